"""The verbs that export and import weights, and training from imported weights."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.tokens.tokenizer import Tokenizer
from model.formats.weights import parameter_shapes
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, metrics, run, succeed
from train.evaluation import validate
from train.weights import average, export, import_
from train.weights.open import load_model, open_weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(corpora, tmp_path_factory):
    """One run, exported and imported in both formats."""
    root = tmp_path_factory.mktemp("formats")
    succeed(f"corpora={corpora}", f"run={root / 'run'}", "steps=2")
    for verb, arguments in (
        (
            export,
            (f"weights={root / 'run'}", "format=hf", f"output={root / 'hf'}", "max_shard_gb=0.0002"),
        ),
        (
            export,
            (f"weights={root / 'run'}", "format=meta", f"output={root / 'meta'}", "shards=2"),
        ),
        (import_, (f"weights={root / 'hf'}", f"output={root / 'from_hf'}")),
        (
            import_,
            (f"weights={root / 'meta'}", f"output={root / 'from_meta'}", "max_seq_len=256"),
        ),
    ):
        assert verb.main(list(arguments)) == 0
    return root


def test_every_tensor_is_the_checkpoints_in_every_format(folders):
    ours = open_weights(folders / "run")
    for name in ("hf", "meta", "from_hf", "from_meta"):
        weights = open_weights(folders / name)
        model = load_model(weights, CPU)
        for key, parameter in model.named_parameters():
            assert torch.equal(weights.read(key), ours.read(key)), (name, key)
            assert torch.equal(parameter, ours.read(key)), (name, key)
        if name != "meta":  # Meta's files do not record the context length
            assert weights.config == ours.config
    assert set(parameter_shapes(ours.config)) == {key for key, _ in model.named_parameters()}


def test_transformers_reads_the_text_and_gives_our_logits(folders):
    theirs = AutoModelForCausalLM.from_pretrained(folders / "hf")
    their_tokenizer = AutoTokenizer.from_pretrained(folders / "hf")
    text = "def  f(x):\n    return </s> é"
    ids = their_tokenizer(text, return_tensors="pt").input_ids
    tokenizer = Tokenizer(folders / "run" / "tokenizer.model")
    assert ids[0].tolist() == [tokenizer.bos_id, *tokenizer.encode(text)]
    with torch.no_grad():
        ours = load_model(open_weights(folders / "run"), CPU)(ids)
        torch.testing.assert_close(ours, theirs(ids).logits, rtol=1e-5, atol=1e-5)


def test_held_out_loss_is_the_same_from_every_format(folders, corpora, capsys):
    tables = []
    for name in ("run", "hf", "meta", "from_hf"):
        arguments = [
            f"weights={folders / name}",
            "data=sample",
            f"corpora={corpora}",
            "seq_len=64",
            "sequences=3",
            "dtype=fp32",
        ]
        assert validate.main(arguments) == 0
        tables.append(capsys.readouterr().out.splitlines()[1:])
    assert all(table == tables[0] for table in tables)


@pytest.mark.distributed
def test_training_from_any_format_on_two_ranks_is_training_from_the_checkpoint(folders, corpora, tmp_path):
    losses = []
    for name in ("run", "hf", "meta"):
        ranks = 0 if name == "run" else 2
        succeed(
            f"corpora={corpora}", f"run={tmp_path / name}", f"init={folders / name}", "steps=2", ranks=ranks
        )
        losses.append([line["loss"] for line in metrics(tmp_path / name)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    from_scratch = metrics(folders / "run")[0]["loss"]  # the initial weights' loss on the same samples
    assert losses[0][0] < from_scratch - 0.2


@pytest.mark.parametrize("way", ["import", "average"])
def test_imported_and_averaged_weights_have_their_shape_beside_them(way, folders, corpora, tmp_path, capsys):
    folder = folders / "from_hf"
    if way == "average":
        folder = tmp_path / "mean"
        assert average.main([f"weights={folders / 'run'},{folders / 'hf'}", f"output={folder}"]) == 0
        assert f"relama train config={folder}/model.yaml init={folder}" in capsys.readouterr().out
    rest = (f"corpora={corpora}", "data=sample", "seq_len=64", "micro_batch=1", "global_batch=512", "steps=1")
    done = python(
        *(REPOSITORY / "train" / "main.py", f"config={folder / 'model.yaml'}", f"init={folder}"),
        *(f"run={tmp_path / 'new'}", "optim.warmup_steps=0", *rest),
    )
    assert done.returncode == 0, done.stderr
    assert open_weights(tmp_path / "new").config == open_weights(folders / "run").config
    refused = run(f"corpora={corpora}", f"run={tmp_path / 'r'}", f"init={folder}", "model.n_layers=3")
    assert refused.stderr.rstrip().endswith(f"3 here); give config={folder}/model.yaml or model.n_layers=2")


def test_training_from_another_shape_is_refused_by_key(folders, corpora, tmp_path):
    finished = run(
        f"corpora={corpora}", f"run={tmp_path / 'r'}", f"init={folders / 'hf'}", "model.n_layers=3"
    )
    assert finished.returncode == 1
    assert "model.n_layers: 2 there, 3 here" in finished.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (
            export.main,
            "weights=ROOT/run format=gguf output=OUT",
            "format=gguf: expected one of hf, meta",
        ),
        (export.main, "weights=ROOT/run format=hf output=OUT dtype=int8", "dtype=int8"),
        (
            export.main,
            "weights=ROOT/run format=hf output=OUT shards=2",
            "for hf use max_shard_gb=",
        ),
        (export.main, "weights=ROOT/run format=meta output=OUT shards=3", "shards=3"),
        (
            export.main,
            "weights=ROOT/run format=meta output=OUT shards=4",
            "does not divide model.n_heads",
        ),
        (export.main, "weights=ROOT/run format=hf output=ROOT/hf", "already exists"),
        (export.main, "weights=nowhere format=hf output=OUT", "nowhere: no such file or folder"),
        (
            export.main,
            "weights=ROOT/run format=hf output=OUT tokenizer=OTHER",
            "a vocabulary of 300",
        ),
        (import_.main, "weights=ROOT/run output=OUT", "already a Relama checkpoint"),
        (import_.main, "weights=ROOT/hf output=OUT tokenizer=OTHER", "a vocabulary of 300"),
        (import_.main, "weights=ROOT/hf output=OUT max_seq_len=0", "max_seq_len=0"),
        (import_.main, "weights=ROOT/bare output=OUT", "came without a tokenizer.model or tokenizer.json"),
    ],
)
def test_a_misfit_is_reported_in_one_line_and_leaves_nothing(
    main, arguments, message, folders, tmp_path, capsys, other_tokenizer
):
    if not (folders / "bare").exists():
        shutil.copytree(folders / "hf", folders / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    replaced = arguments.replace("ROOT", str(folders)).replace("OUT", str(tmp_path / "out"))
    assert main(replaced.replace("OTHER", str(other_tokenizer)).split()) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert not list(tmp_path.glob("out*"))


@pytest.fixture(scope="module")
def other_tokenizer(tmp_path_factory):
    import sentencepiece

    folder = tmp_path_factory.mktemp("other")
    (folder / "text.txt").write_text("\n".join(f"words and more words {i} are here" for i in range(500)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "other"),
        vocab_size=300,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return folder / "other.model"


def changed(folder, to, change) -> None:
    """A copy of Hugging Face weights in one file, with `change` applied to its tensors and config."""
    weights = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors*"))
    config = json.loads((to / "config.json").read_text())
    change(weights, config)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, to / "model.safetensors")
    (to / "config.json").write_text(json.dumps(config))


def test_pieces_that_the_tokenizer_does_not_have_are_cut_and_counted(folders, tmp_path, capsys):
    def pad(weights: dict, config: dict) -> None:
        config["vocab_size"] += 64
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            weights[name] = torch.cat([weights[name], torch.ones(64, weights[name].shape[1])])

    changed(folders / "hf", tmp_path / "padded", pad)
    assert import_.main([f"weights={tmp_path / 'padded'}", f"output={tmp_path / 'out'}"]) == 0
    assert "has 64 pieces that tokenizer.model does not have" in capsys.readouterr().out
    ours, theirs = open_weights(folders / "run"), open_weights(tmp_path / "out")
    assert ours.config == theirs.config
    assert all(torch.equal(ours.read(name), theirs.read(name)) for name in parameter_shapes(ours.config))


def test_weights_with_nan_are_refused_by_tensor_and_leave_nothing(folders, tmp_path, capsys):
    def break_one(weights: dict, config: dict) -> None:
        weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")

    changed(folders / "hf", tmp_path / "nan", break_one)
    assert import_.main([f"weights={tmp_path / 'nan'}", f"output={tmp_path / 'out'}"]) == 1
    assert "layers.1.feed_forward.w3.weight has 1 non-finite values" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_exported_files_have_the_mode_that_the_umask_gives(folders, tmp_path):
    before = os.umask(0o027)
    try:
        assert export.main([f"weights={folders / 'run'}", "format=hf", f"output={tmp_path / 'hf'}"]) == 0
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "hf").iterdir()} == {0o640}


@pytest.mark.parametrize(("of_norms", "of_matrices"), [("bfloat16", "float32"), ("float16", "bfloat16")])
def test_weights_of_several_dtypes_are_exported_in_one_that_rounds_none_of_them(
    of_norms, of_matrices, folders, tmp_path
):
    hf, meta, back = (str(tmp_path / name) for name in ("hf", "meta", "back"))
    assert export.main([f"weights={folders / 'run'}", "format=hf", f"output={hf}"]) == 0
    dtypes = {True: getattr(torch, of_norms), False: getattr(torch, of_matrices)}
    tensors = load_file(f"{hf}/model.safetensors")
    mixed = {name: tensor.to(dtypes["norm" in name]) for name, tensor in tensors.items()}
    save_file(mixed, f"{hf}/model.safetensors")
    assert export.main([f"weights={hf}", "format=meta", f"output={meta}", "dtype=auto"]) == 0
    assert export.main([f"weights={meta}", "format=hf", f"output={back}", "dtype=auto"]) == 0
    exported = load_file(f"{back}/model.safetensors")
    assert all(torch.equal(exported[name], tensor.float()) for name, tensor in mixed.items())
