"""Meta's and Hugging Face's formats: exact in both directions, read by third-party code; refusals."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from transformers import LlamaConfig as TheirConfig

from model.formats.huggingface import open_huggingface, write_huggingface
from model.formats.meta import open_meta, write_meta
from model.formats.weights import DTYPES, FormatError, Weights, parameter_shapes
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from tests.support.metas import metas_logits
from tests.support.ranks import run_ranks
from tests.support.theirs import their_model

CONFIG = LlamaConfig(
    dim=64, n_layers=2, n_heads=8, vocab_size=208, multiple_of=64, norm_eps=1e-5, max_seq_len=2048
)
LLAMA_3 = replace(CONFIG, n_kv_heads=4, rope_theta=500000.0, multiple_of=32, ffn_dim_multiplier=1.3)
SCALED = replace(LLAMA_3, rope_scaling=8.0)
FAMILY = {
    "llama": CONFIG,
    "llama 2 70b": replace(CONFIG, n_kv_heads=2, ffn_dim_multiplier=1.3, multiple_of=4096),
    "llama 3": LLAMA_3,
    "llama 3.1": SCALED,
    "llama 3.2": replace(SCALED, rope_scaling=32.0),
    "wide heads": replace(CONFIG, n_heads=4, n_kv_heads=2, head_size=24),
    "narrow feed-forward": replace(CONFIG, multiple_of=100, ffn_dim_multiplier=100 / 170),
}


def drawn(config: LlamaConfig) -> Llama:
    model = Llama(config)
    initialize(model, seed=3)
    with torch.no_grad():  # scales of 1 would hide exchanged norms
        for number, parameter in enumerate(model.parameters()):
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(number))
    return model.eval()


def weights_of(model: Llama) -> Weights:
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return Weights(Path("memory"), model.config, tensors.__getitem__)


@pytest.fixture(scope="module")
def model() -> Llama:
    return drawn(CONFIG)


@pytest.fixture(scope="module")
def weights(model) -> Weights:
    return weights_of(model)


def tokens() -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (2, 40), generator=torch.Generator().manual_seed(0))


def filled(weights: Weights) -> Llama:
    model = Llama(weights.config)
    model.load_state_dict({name: weights.read(name).float() for name in parameter_shapes(weights.config)})
    return model.eval()


def write(weights: Weights, folder: Path, way: str, dtype: torch.dtype = torch.float32) -> Weights:
    """`way`: hf, hf in small files, or meta in a number of files."""
    if way.startswith("hf"):
        write_huggingface(weights, folder, dtype=dtype, shard_bytes=10**9 if way == "hf" else 40_000)
        return open_huggingface(folder)
    write_meta(weights, folder, shards=int(way[-1]), dtype=dtype)
    return open_meta(folder)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("way", ["hf", "hf small", "meta 1", "meta 2", "meta 4", "meta 8"])
def test_every_tensor_comes_back_bit_equal_or_rounded_once(weights, tmp_path, way, dtype):
    there = write(weights, tmp_path / "there", way, dtype)
    other = "meta 2" if way.startswith("hf") else "hf small"
    back = write(there, tmp_path / "back", other, dtype)  # from their format to the other one
    assert there.config == back.config == CONFIG
    for name in parameter_shapes(CONFIG):
        expected = weights.read(name).to(dtype)
        for found in (there.read(name), back.read(name)):
            assert found.dtype == dtype and found.is_contiguous()
            assert torch.equal(found, expected), name
    assert not (tmp_path / "there.tmp").exists()


@pytest.mark.parametrize("shape", FAMILY)
def test_transformers_loads_the_export_and_gives_our_logits(shape, tmp_path):
    model = drawn(FAMILY[shape])
    write(weights_of(model), tmp_path / "hf", "hf small")
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens()).logits, model(tokens()), rtol=1e-5, atol=1e-5)
    assert theirs.config.rms_norm_eps == 1e-5 and theirs.config.max_position_embeddings == 2048
    assert theirs.generation_config.top_p == 0.95 and theirs.generation_config.top_k in (0, None)


def to_version_4(config: dict) -> dict:
    """A config.json as transformers 4 wrote it: `rope_theta` and `rope_scaling`, with an older key."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    return config | {"rope_scaling": None if rope["type"] == "default" else rope}


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("shape", FAMILY)
def test_a_model_that_transformers_saved_gives_its_logits(shape, version, tmp_path):
    model = drawn(FAMILY[shape])
    theirs = their_model(model.config, model)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="60KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    if version == 4:
        path = tmp_path / "theirs" / "config.json"
        path.write_text(json.dumps(to_version_4(json.loads(path.read_text()))))
    opened = open_huggingface(tmp_path / "theirs")
    assert opened.config.hidden_dim == model.config.hidden_dim and not opened.tied
    ours = filled(opened)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, rtol=1e-5, atol=1e-5)


def tied_model() -> LlamaForCausalLM:
    config = TheirConfig(
        vocab_size=208,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def test_a_tied_output_comes_in_as_a_second_matrix_with_the_same_logits_and_gradients(tmp_path):
    theirs = tied_model()
    theirs.save_pretrained(tmp_path / "tied")
    opened = open_huggingface(tmp_path / "tied")
    ours = filled(opened)
    assert opened.tied
    torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, rtol=1e-5, atol=1e-5)
    inputs, labels = tokens()[:, :-1], tokens()[:, 1:]
    ours(inputs, labels).backward()
    F.cross_entropy(theirs(inputs).logits.flatten(0, 1), labels.flatten()).backward()
    at_input, at_output = ours.tok_embeddings.weight.grad, ours.output.weight.grad
    assert at_input is not None and at_output is not None
    torch.testing.assert_close(
        at_input + at_output, theirs.model.embed_tokens.weight.grad, rtol=1e-4, atol=1e-6
    )


def test_a_tied_output_that_differs_from_its_embedding_is_refused(tmp_path):
    tied_model().save_pretrained(tmp_path / "tied")
    path = tmp_path / "tied" / "model.safetensors"
    tensors = load_file(path)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, path)
    assert open_huggingface(tmp_path / "tied").tied
    tensors["lm_head.weight"] += 1
    save_file(tensors, path)
    with pytest.raises(
        FormatError, match=r"lm_head.weight differs .* tie_word_embeddings=True; set it to false"
    ):
        open_huggingface(tmp_path / "tied")


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("shape", ["llama 2 70b", "llama 3", "llama 3.1"])
def test_metas_files_hold_the_later_llamas(shape, shards, tmp_path):
    model = drawn(FAMILY[shape])
    write_meta(weights_of(model), tmp_path / "m", shards=shards, dtype=torch.float32)
    params = json.loads((tmp_path / "m" / "params.json").read_text())
    later = {
        key: params.get(key) for key in ("n_kv_heads", "ffn_dim_multiplier", "rope_theta", "use_scaled_rope")
    }
    assert (
        later
        == {
            "llama 2 70b": dict(n_kv_heads=2, ffn_dim_multiplier=1.3, rope_theta=None, use_scaled_rope=None),
            "llama 3": dict(n_kv_heads=4, ffn_dim_multiplier=1.3, rope_theta=500000.0, use_scaled_rope=None),
            "llama 3.1": dict(
                n_kv_heads=4, ffn_dim_multiplier=1.3, rope_theta=500000.0, use_scaled_rope=True
            ),
        }[shape]
    )
    cut = torch.load(tmp_path / "m" / "consolidated.00.pth")["tok_embeddings.weight"].shape
    assert cut == ((208, 64 // shards) if shape == "llama 2 70b" else (208 // shards, 64))
    opened = open_meta(tmp_path / "m")
    assert opened.config == model.config
    for name in parameter_shapes(model.config):
        assert torch.equal(opened.read(name), model.get_parameter(name)), name


def test_what_metas_params_cannot_hold_is_refused_by_key(tmp_path):
    for config, key in ((FAMILY["llama 3.2"], "rope_scaling=32"), (FAMILY["wide heads"], "head_size=24")):
        with pytest.raises(FormatError, match=f"^model.{key}: .*use format=hf$"):
            write_meta(weights_of(drawn(config)), tmp_path / "m", shards=1, dtype=torch.float32)
    with pytest.raises(FormatError, match=r"shards=8: does not divide model\.n_kv_heads=4"):
        write_meta(weights_of(drawn(LLAMA_3)), tmp_path / "m", shards=8, dtype=torch.float32)
    assert not (tmp_path / "m").exists()


def _rank_of_metas(folder: str) -> torch.Tensor:
    return metas_logits(
        folder, CONFIG.hidden_dim, CONFIG.vocab_size, tokens(), dist.get_rank(), dist.get_world_size()
    ).tolist()


@pytest.mark.distributed
def test_fairscales_own_layers_load_the_shards_and_give_our_logits(model, weights, tmp_path):
    write(weights, tmp_path / "meta", "meta 2")
    for logits in run_ranks(_rank_of_metas, 2, str(tmp_path / "meta")):
        with torch.no_grad():
            torch.testing.assert_close(torch.tensor(logits), model(tokens()), rtol=1e-5, atol=1e-5)


class Hostile:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('owned').write_text('executed')",))


def damaged_meta(folder: Path, how: str) -> None:
    first, second = folder / "consolidated.00.pth", folder / "consolidated.01.pth"
    tensors = torch.load(second, weights_only=True)
    params = json.loads((folder / "params.json").read_text())
    if how == "one file of two":
        second.unlink()
    elif how == "a gap":
        second.rename(folder / "consolidated.02.pth")
    elif how == "a tensor less":
        del tensors["layers.1.attention.wo.weight"]
        torch.save(tensors, second)
    elif how == "another model's file":
        tensors["norm.weight"] = tensors["norm.weight"] + 1
        torch.save(tensors, second)
    elif how == "another rotary":
        tensors["rope.freqs"] = tensors["rope.freqs"] / 2
        torch.save(tensors, second)
    elif how == "truncated":
        second.write_bytes(second.read_bytes()[:-2000])
    elif how == "empty":
        second.write_bytes(b"")
    elif how == "hostile":
        torch.save({"norm.weight": Hostile()}, second)
    elif how == "hostile, old":
        second.write_bytes(pickle.dumps(Hostile()))
    elif how == "no params":
        (folder / "params.json").unlink()
    elif how == "torn params":
        (folder / "params.json").write_text("{")
    elif how == "a list":
        (folder / "params.json").write_text("[]")
    else:
        key, value = how.split("=")
        (folder / "params.json").write_text(json.dumps(params | {key: json.loads(value)}))
    assert first.exists()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("one file of two", "over 1 file(s): wrong vocabulary size, or missing shards"),
        ("a gap", "consolidated.01.pth is missing"),
        ("a tensor less", "layers.1.attention.wo.weight is missing"),
        ("another model's file", "norm.weight differs from consolidated.00.pth's"),
        ("another rotary", "rope.freqs is not theta"),
        ("truncated", "consolidated.01.pth: truncated"),
        ("empty", "consolidated.01.pth: refused"),
        ("hostile", "refers to exec"),
        ("hostile, old", "refused"),
        ("no params", "params.json: missing"),
        ("torn params", "not readable as JSON"),
        ("a list", "not readable as JSON"),
        ('rope_theta="x"', "rope_theta=x: expected a number"),
        ("max_seq_len=0", "max_seq_len=0: expected a positive integer"),
        ("vocab_size=416", "vocab_size=416, but output.weight has 208 rows"),
        ("dim=128", "its config implies [208, 64]"),
        ("dim=-1", "dim=-1: expected a positive integer"),
        ("n_layers=3", "layers.2."),
        ("n_kv_heads=2", "attention.wk.weight of one of 2 file(s) has shape [32, 64]"),
        ("n_kv_heads=3", "n_kv_heads=3: must divide model.n_heads=8"),
        ('n_kv_heads="2"', "n_kv_heads=2: expected a positive integer"),
        ("ffn_dim_multiplier=1.5", "feed_forward.w"),
        ("ffn_dim_multiplier=true", "ffn_dim_multiplier=True: expected a number"),
        ("use_scaled_rope=8", "use_scaled_rope=8: expected true or false"),
        ("moe_args=2", "moe_args=2: not a LLaMA setting"),
        ("rope_theta=500000", "rope.freqs is not theta"),
    ],
)
def test_foreign_models_in_metas_format_are_refused_by_name(weights, tmp_path, monkeypatch, how, message):
    monkeypatch.chdir(tmp_path)
    write_meta(weights, tmp_path / "m", shards=2, dtype=torch.float32)
    params = json.loads((tmp_path / "m" / "params.json").read_text())
    (tmp_path / "m" / "params.json").write_text(json.dumps(params | {"vocab_size": 208}))
    damaged_meta(tmp_path / "m", how)
    with pytest.raises(FormatError) as error:
        open_meta(tmp_path / "m")
    assert message in str(error.value) and str(tmp_path / "m") in str(error.value)
    assert not (tmp_path / "owned").exists()


def test_a_context_in_params_json_is_kept(weights, tmp_path):
    write_meta(weights, tmp_path / "m", shards=1, dtype=torch.float32)
    path = tmp_path / "m" / "params.json"
    assert open_meta(tmp_path / "m").config.max_seq_len == 2048
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_seq_len": 64, "rope_theta": None}))
    assert open_meta(tmp_path / "m").config.max_seq_len == 64


def test_the_index_has_the_size_of_the_tensors(weights, tmp_path):
    write(weights, tmp_path / "h", "hf small")
    size = sum(t.nbytes for file in (tmp_path / "h").glob("*.safetensors") for t in load_file(file).values())
    index = json.loads((tmp_path / "h" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == size


def damaged_huggingface(folder: Path, how: str) -> None:
    files = sorted(folder.glob("*.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    if how == "a file less":
        files[1].unlink()
    elif how == "truncated":
        files[1].write_bytes(files[1].read_bytes()[:-100])
    elif how == "mixed":
        shutil.copy(files[0], files[1])
    elif how == "a tensor less":
        tensors = load_file(files[1])
        name = min(tensors)
        del tensors[name]
        save_file(tensors, files[1])
    elif how == "pickled":
        for path in [*files, folder / "model.safetensors.index.json"]:
            path.unlink()
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile()))
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "another rotary":
        tensors = load_file(files[1])
        name = "model.layers.0.self_attn.rotary_emb.inv_freq"
        save_file(tensors | {name: torch.ones(4)}, files[1])
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        index["weight_map"][name] = files[1].name
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        key, value = how.split("=")
        (folder / "config.json").write_text(json.dumps(config | {key: json.loads(value)}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a file less", "missing; expected every file named in the index"),
        ("truncated", "truncated, or not safetensors"),
        ("mixed", "is not in the file that the index says"),
        ("a tensor less", "is not in the file that the index says"),
        ("pickled", "pytorch_model.bin is a pickle"),
        ("no config", "config.json: missing"),
        ("another rotary", "inv_freq is not theta"),
        ("vocab_size=100", "has shape [208, 64], but its config implies [100, 64]"),
        ("num_hidden_layers=3", "model.layers.2."),
        ("num_hidden_layers=1", "model.layers.1."),
        ("num_key_value_heads=2", "k_proj.weight has shape [64, 64], but its config implies [16, 64]"),
        ("num_key_value_heads=3", "n_kv_heads=3: must divide model.n_heads=8"),
        ('num_key_value_heads="2"', "num_key_value_heads=2: expected a positive integer"),
        ("head_dim=16", "q_proj.weight has shape [64, 64], but its config implies [128, 64]"),
        ("head_dim=7", "head_size=7: rotary"),
        ('rope_scaling={"rope_type":"llama3"}', "factor=None: expected a number"),
        ('rope_scaling={"type":"linear","factor":2}', "rotary embeddings of type 'linear'"),
        ('rope_parameters={"rope_type":"yarn","factor":2}', "rotary embeddings of type 'yarn'"),
        ('rope_parameters={"rope_theta":"x"}', "rope_theta=x: expected a number"),
        ("rope_scaling=8", "rope_scaling=8: expected an object"),
        ('model_type="mistral"', "model_type=mistral"),
        ("tie_word_embeddings=true", "tie_word_embeddings=True"),
        ("attention_bias=true", "attention_bias=True"),
        ("mlp_bias=true", "mlp_bias=True"),
        ("intermediate_size=100", "gate_proj.weight has shape [192, 64], but its config implies [100, 64]"),
        ("hidden_size=null", "hidden_size=None"),
    ],
)
def test_foreign_hugging_face_models_are_refused_by_name(weights, tmp_path, how, message):
    write(weights, tmp_path / "h", "hf small")
    damaged_huggingface(tmp_path / "h", how)
    with pytest.raises(FormatError) as error:
        open_huggingface(tmp_path / "h")
    assert message in str(error.value) and str(tmp_path / "h") in str(error.value)


def test_a_failed_write_leaves_nothing(weights, tmp_path):
    large = Weights(Path("memory"), CONFIG, lambda name: weights.read(name) * 1e6)
    with pytest.raises(FormatError, match="dtype=bfloat16"):
        write(large, tmp_path / "large", "hf", torch.float16)
    with pytest.raises(FormatError, match=r"does not divide model[.]n_heads"):
        odd = LlamaConfig(dim=60, n_heads=6, n_layers=1, vocab_size=208)
        write_meta(Weights(Path("memory"), odd, None), tmp_path / "odd", shards=4, dtype=torch.float32)

    def full_disk(name: str) -> torch.Tensor:
        if name == "norm.weight":
            raise OSError(28, "No space left on device")
        return weights.read(name)

    with pytest.raises(FormatError, match="No space left"):
        write(Weights(Path("memory"), CONFIG, full_disk), tmp_path / "full", "hf small")
    assert not list(tmp_path.iterdir())
    write(weights, tmp_path / "there", "hf")
    with pytest.raises(FormatError, match="already exists"):
        write(weights, tmp_path / "there", "hf")
