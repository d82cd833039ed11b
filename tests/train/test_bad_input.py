"""User errors and disk failures: one clear line, a non-zero exit, nothing lost."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from configs.load import load
from configs.sizes import binary
from data.documents import read_documents, text_files
from data.tokens.build import build_store
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer
from model.flops import n_params
from model.parallelize.mesh import Layout
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, SMALL, command, learned, metrics, run, same_tensors, succeed
from train.config import RunError, TrainConfig
from train.plan import needs

SETTINGS = ("steps=12", "checkpoint.every=4", "checkpoint.keep=3")


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    return folder


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of the trained run, to be damaged."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def refused(*overrides: str, **options) -> str:
    """The command's single line of error."""
    return only_line(run(*overrides, **options))


def only_line(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    lines = [line for line in finished.stderr.splitlines() if line.startswith("relama: error")]
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    return lines[0]


def test_a_mistyped_key_is_refused_before_torch_is_imported():
    code = "import sys; sys.modules['torch'] = None; from train.main import main; sys.exit(main(['dim=5']))"
    finished = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert "dim: unknown key" in only_line(finished)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [truncate, alter, os.remove])
@pytest.mark.parametrize("name", ["__0_0.distcp", "state.json", ".metadata"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(harm, name, copy, trained, corpora):
    newest = copy / "checkpoints" / "step-000012"
    harm(newest / name)
    finished = succeed(f"corpora={corpora}", f"run={copy}", *SETTINGS)
    assert f"{newest} is damaged ({name}" in finished.stdout.replace(str(newest) + "/", "")
    assert "after step 8" in finished.stdout
    assert learned(copy) == learned(trained)
    same_tensors(newest, trained / "checkpoints" / "step-000012")


@pytest.mark.parametrize("harm", ["damaged", "deleted", "their folder too"])
def test_a_run_that_lost_all_its_checkpoints_starts_over_only_when_told_to(harm, copy, trained, corpora):
    for folder in (copy / "checkpoints").glob("step-*"):
        truncate(folder / "__0_0.distcp") if harm == "damaged" else shutil.rmtree(folder)
    if harm == "their folder too":
        shutil.rmtree(copy / "checkpoints")
    before = (copy / "metrics.jsonl").read_bytes()
    line = refused(f"corpora={corpora}", f"run={copy}", *SETTINGS)
    assert "no complete checkpoint" in line and "restart=true" in line
    assert (copy / "metrics.jsonl").read_bytes() == before
    succeed(f"corpora={corpora}", f"run={copy}", *SETTINGS, "restart=true")
    assert learned(copy) == learned(trained)
    assert (copy / "metrics-1.jsonl").read_bytes() == before
    shutil.rmtree(copy / "checkpoints")  # it was told for that start alone
    assert "no complete checkpoint" in refused(f"config={copy / 'config.yaml'}")


def test_a_half_written_checkpoint_is_ignored(copy, corpora):
    (copy / "checkpoints" / "step-000012").rename(copy / "checkpoints" / "step-000012.tmp")
    finished = succeed(f"corpora={corpora}", f"run={copy}", *SETTINGS)
    assert "after step 8" in finished.stdout
    assert not list((copy / "checkpoints").glob("*.tmp"))


# Train where the kernel limits a file's size: a write beyond fails as on a full disk (EFBIG, not ENOSPC).
SMALL_FILES = """
import resource, signal, sys
from train.main import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_disk_that_fills_while_saving_costs_no_checkpoint(copy, trained, corpora):
    shutil.rmtree(copy / "checkpoints" / "step-000012")
    line = only_line(python("-c", SMALL_FILES, *SMALL, f"corpora={corpora}", f"run={copy}", *SETTINGS))
    assert "step-000012: could not be saved" in line
    assert "earlier checkpoints are kept" in line
    assert sorted(path.name for path in (copy / "checkpoints").iterdir()) == [
        "latest",
        "step-000004",
        "step-000008",
    ]
    succeed(f"corpora={corpora}", f"run={copy}", *SETTINGS)  # with space again
    same_tensors(copy / "checkpoints" / "step-000012", trained / "checkpoints" / "step-000012")


def test_a_checkpoint_of_another_shape_is_refused_by_key(trained, corpora, tmp_path):
    line = refused(f"corpora={corpora}", f"run={tmp_path / 'new'}", f"init={trained}", "model.dim=64")
    assert "model.dim: 32 there, 64 here" in line
    assert not (tmp_path / "new").exists()  # nothing is left of a run that never began


def test_a_checkpoint_of_other_data_is_refused_by_folder(copy, corpora, tmp_path):
    other = tmp_path / "corpora"
    shutil.copytree(corpora, other)
    manifest = other / "python_docs" / "tokens" / "manifest.json"
    shutil.rmtree(manifest.parent)
    shutil.copytree(corpora / "python_code" / "tokens", manifest.parent)
    line = refused(f"corpora={other}", f"run={copy}", "data.name=own", *SETTINGS)
    assert "python_docs" in line


def test_a_taken_name_is_refused_before_text_is_prepared(trained, tmp_path):
    (tmp_path / "mine.txt").write_text("Lines of one's own.\n" * 500)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    own = ("data=text", f"input={tmp_path / 'mine.txt'}", f"corpora={tmp_path / 'made'}", *SETTINGS)
    assert "holds another run (data.weights" in refused(*own, f"run={trained}")
    typo = f"input={tmp_path / 'mien.txt'}"
    assert f"{typo}: no such file" in refused(*own, typo, f"run={trained}")
    assert "not a run folder" in refused(*own, f"run={tmp_path / 'photos'}")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            "micro_batch=1000000000000 global_batch=64000000000000",
            "micro_batch=1000000000000: sequences",
        ),
        ("model.dim=1048576", "the model needs"),
        ("init=nowhere", "nowhere: no such file or folder"),
        ("model.vocab_size=32000", "trains a tokenizer of data.vocab_size=4096; set model.vocab_size=-1"),
        ("checkpoint.remote=nosuch://bucket/run", "checkpoint.remote: nosuch://bucket/run: "),
        ("evaluate.every=2 evaluate.tasks=no.yaml", "evaluate.tasks=no.yaml: no such file"),
        ("phases.a.until_step=6 phases.b.weights.other=1", "no token store for other"),
    ],
)
def test_what_needs_no_data_is_refused_before_text_is_prepared(wrong, expected, tmp_path):
    (tmp_path / "mine.txt").write_text("Lines of one's own.\n" * 500)
    own = ("data=text", f"input={tmp_path / 'mine.txt'}", f"corpora={tmp_path / 'made'}", *SETTINGS)
    assert expected in refused(*own, f"run={tmp_path / 'run'}", *wrong.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_init_from_nothing_says_what_was_expected(corpora, tmp_path):
    line = refused(f"corpora={corpora}", f"run={tmp_path / 'new'}", f"init={tmp_path / 'nowhere'}")
    assert "nowhere" in line and "step-" in line


def test_a_folder_that_is_not_a_run_is_left_alone(corpora, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    line = refused(f"corpora={corpora}", f"run={tmp_path / 'photos'}")
    assert "not a run folder" in line
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["one.jpg"]


@pytest.mark.parametrize("harm", ["missing", "empty", "truncated", "altered"])
def test_a_damaged_token_shard_is_named(harm, corpora, tmp_path):
    own = tmp_path / "corpora"
    shutil.copytree(corpora, own)
    shard = own / "python_code" / "tokens" / "train-00000.bin"
    content = bytearray(shard.read_bytes())
    if harm == "missing":
        shard.unlink()
    else:
        content[1000] ^= 1
        shard.write_bytes({"empty": b"", "truncated": content[:-2], "altered": content}[harm])
    line = refused(f"corpora={own}", f"run={tmp_path / 'run'}", "data.name=own")
    assert "train-00000.bin" in line
    assert not (tmp_path / "run" / "checkpoints" / "latest").exists()


def test_a_manifest_of_another_vocabulary_is_refused(corpora, tmp_path):
    run = f"run={tmp_path / 'run'}"
    line = refused(f"corpora={corpora}", run, "data.name=own", "model.vocab_size=32000")
    assert "manifest.json" in line and "model.vocab_size=32000" in line


def test_stores_of_two_tokenizers_are_refused(corpora, tmp_path):
    own = tmp_path / "corpora"
    shutil.copytree(corpora, own)
    docs = own / "python_docs"
    texts = (document.text for path in text_files(docs / "text") for document in read_documents(path))
    model = train_tokenizer(texts, tmp_path / "other.model", vocab_size=2000)
    build_store(docs / "text", docs / "tokens", Tokenizer(model), source="python_docs", heldout=0.03)
    line = refused(f"corpora={own}", f"run={tmp_path / 'run'}", "data.name=own")
    assert "python_docs" in line and "a different tokenizer" in line


def test_missing_corpora_and_memory_are_reported_at_once(tmp_path):
    line = refused(
        "model=65b",
        "data=mix",
        f"corpora={tmp_path}",
        "model.dim=8192",
        "model.n_layers=80",
        "model.n_heads=64",
    )
    assert "commoncrawl" in line and "relama prepare" in line
    assert "GiB" in line


def test_copies_of_the_model_are_counted_in_the_memory_that_it_needs(monkeypatch):
    config = load("train", TrainConfig, ["model=small", "data=mix"])
    monkeypatch.setattr(
        needs, "available_memory", lambda: n_params(replace(config.model, vocab_size=32000)) * 8
    )
    assert needs.weights_problem(config, Layout(dp_shard=4)) == []
    (line,) = needs.weights_problem(config, Layout(dp_replicate=4))
    assert "over 1 rank (parallel.dp_replicate=4 replicas)" in line


def test_an_undecided_precision_is_shown_as_a_range_that_agrees_with_what_is_refused(monkeypatch, tmp_path):
    config = load("train", TrainConfig, ["model=small", "data=mix", "precision=auto", "device=cpu"])
    config = replace(config, model=replace(config.model, vocab_size=32000))
    low, high = (needs.memory(replace(config, precision=name), Layout()) for name in ("bf16", "fp32"))
    assert low and high and low < high
    (_, line) = needs.sentences(config, Layout(), tmp_path)
    assert f"about {binary(low)} (bf16) to {binary(high)} (fp32) of" in line
    monkeypatch.setattr(needs, "available_memory", lambda: int(low))
    needs.refuse_what_cannot_fit(config, Layout(), tmp_path)
    with pytest.raises(RunError, match="micro_batch=4: "):
        needs.refuse_what_cannot_fit(replace(config, precision="fp32"), Layout(), tmp_path)


def ours(stderr: str) -> str:
    """What comes before torchrun's report, which repeats the line of each rank."""
    return stderr.partition("=" * 60)[0]


def test_a_first_command_on_a_bare_machine_fails_with_advice(tmp_path):
    arguments = [sys.executable, "-m", "torch.distributed.run", str(REPOSITORY / "train" / "main.py")]
    finished = subprocess.run(
        [*arguments, "model=7b", "data=mix"], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert finished.returncode == 1
    assert ours(finished.stderr).count("relama: error") == 1
    assert "relama prepare" in finished.stderr


def test_a_wrong_argument_is_reported_by_one_rank(tmp_path):
    finished = subprocess.run(command("optim.lrr=1", ranks=2), capture_output=True, text=True, timeout=400)
    assert finished.returncode == 1
    # None if torchrun ends the first rank because the other was faster: then only its report has the line.
    assert ours(finished.stderr).count("relama: error") <= 1
    assert "optim.lr?" in finished.stderr


def test_a_nan_loss_never_reaches_the_weights(corpora, tmp_path):
    line = refused(
        f"corpora={corpora}",
        f"run={tmp_path / 'run'}",
        "steps=40",
        "optim.lr=1",
        "optim.clip=1e30",
        "optim.warmup_steps=0",
        "optim.weight_decay=1e30",
        "checkpoint.every=1",
    )
    assert "this step did not change the weights" in line
    assert all(m["loss"] == m["loss"] for m in metrics(tmp_path / "run"))


def test_torn_metrics_are_cut_back_to_the_checkpoint(copy, trained, corpora):
    shutil.rmtree(copy / "checkpoints" / "step-000012")
    with open(copy / "metrics.jsonl", "a") as file:
        file.write('{"step": 13, "lo')
    succeed(f"corpora={corpora}", f"run={copy}", *SETTINGS)
    assert learned(copy) == learned(trained)
    json.loads((copy / "order.json").read_text())
