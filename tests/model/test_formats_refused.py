"""Meta's and Hugging Face's formats: what is foreign or damaged is refused by name, and leaves nothing."""

import json
import pickle
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.config import LlamaConfig
from model.formats.errors import FormatError
from model.formats.huggingface import open_huggingface, write_huggingface
from model.formats.meta import open_meta, write_meta
from model.formats.weights import Weights
from model.llama import Llama
from tests.support.formats import CONFIG, drawn, weights_of, write

YARN = '"type":"yarn","factor":2,"original_max_position_embeddings":64'


@pytest.fixture(scope="module")
def model() -> Llama:
    return drawn(CONFIG)


@pytest.fixture(scope="module")
def weights(model) -> Weights:
    return weights_of(model)


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
        ("one file of two", "has 1 of the 2 files of this model; expected consolidated.00.pth to cons"),
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


@pytest.mark.parametrize("writer", [write_huggingface, write_meta])
def test_a_disk_that_fills_is_named_and_leaves_nothing(writer: Callable[..., None], weights, tmp_path):
    limit = {write_huggingface: {"shard_bytes": 1 << 30}, write_meta: {"shards": 1}}[writer]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # a longer file cannot be written
    try:
        with pytest.raises(FormatError, match=r"output=.*/out: could not be written \(") as error:
            writer(weights, tmp_path / "out", dtype=torch.float32, **limit)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in str(error.value) or " bytes free" in str(error.value)
    assert not any(tmp_path.iterdir())


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
        values = {key: json.loads(value) for key, value in (line.split("=") for line in how.splitlines())}
        (folder / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("a file less", "missing; expected every file named in the index"),
        ("truncated", "truncated, or not safetensors"),
        ("mixed", "is not in the file that the index says"),
        ("a tensor less", "is not in the file that the index says"),
        ("pickled", "pytorch_model.bin: truncated, or holds more than tensors"),
        ("no config", "config.json: missing"),
        ("another rotary", "inv_freq is not theta"),
        ("vocab_size=100", "has shape [208, 64], but its config implies [100, 64]"),
        ("num_hidden_layers=3", "model.layers.2."),
        ("num_hidden_layers=1", "model.layers.1."),
        ("num_key_value_heads=2", "k_proj.weight has shape [64, 64], but its config implies [16, 64]"),
        ("num_key_value_heads=3", "n_kv_heads=3: must divide model.n_heads=8"),
        ('rms_norm_eps="1e-5"', "rms_norm_eps=1e-5: expected a number"),
        ("max_position_embeddings=null", "max_position_embeddings=None: expected a positive integer"),
        ('num_key_value_heads="2"', "num_key_value_heads=2: expected a positive integer"),
        ("head_dim=16", "q_proj.weight has shape [64, 64], but its config implies [128, 64]"),
        ("head_dim=7", "head_size=7: rotary"),
        ('rope_scaling={"rope_type":"llama3"}', "factor=None: expected a number"),
        ('rope_scaling={"type":"linear"}', "factor=None: expected a number"),
        ('rope_scaling={"type":"linear","factor":0}', "model.rope_scaling=0.0: must be positive"),
        ('rope_scaling={"type":"longrope","factor":2}', "rotary embeddings of type 'longrope'"),
        (
            'rope_parameters={"rope_type":"yarn","factor":2}',
            "original_max_position_embeddings=None: expected",
        ),
        ('rope_scaling={"type":"yarn"}', "factor=None: expected a number"),
        (f'rope_scaling={{{YARN},"beta_fast":"x"}}', "beta_fast=x: expected a number"),
        (f'rope_scaling={{{YARN},"mscale":"x","mscale_all_dim":1}}', "mscale=x: expected a number"),
        (f'rope_scaling={{{YARN},"truncate":false}}', "truncate=false: expected YaRN's whole numbers"),
        ('rope_parameters={"rope_theta":"x"}', "rope_theta=x: expected a number"),
        ("rope_scaling=8", "rope_scaling=8: expected an object"),
        ('model_type="qwen2"', "model_type=qwen2: expected llama, or mistral"),
        ('model_type="mistral"\nsliding_window=0', "sliding_window=0: expected a positive integer"),
        ('tie_word_embeddings="yes"', "tie_word_embeddings=yes: expected true or false"),
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
        empty = Weights(Path("memory"), odd, lambda name: torch.empty(0))
        write_meta(empty, tmp_path / "odd", shards=4, dtype=torch.float32)

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
