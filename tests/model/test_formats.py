"""Meta's and Hugging Face's formats: exact in both directions, read by third-party code."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file, save_model
from transformers import AutoModelForCausalLM, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import LlamaConfig as TheirConfig

from model.formats.errors import FormatError
from model.formats.huggingface import open_huggingface, write_huggingface
from model.formats.meta import open_meta, write_meta
from model.formats.weights import DTYPES, Weights, parameter_shapes
from model.llama import Llama
from tests.support.formats import CONFIG, FAMILY, LLAMA_3, drawn, filled, tokens, weights_of, write
from tests.support.metas import metas_logits
from tests.support.narrow import as_a
from tests.support.ranks import run_ranks
from tests.support.theirs import their_model

THEIR_SHAPE: dict = dict(
    vocab_size=208, hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=8
)


@pytest.fixture(scope="module")
def model() -> Llama:
    return drawn(CONFIG)


@pytest.fixture(scope="module")
def weights(model) -> Weights:
    return weights_of(model)


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
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    theirs, info = as_a(tuple, loaded)
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
    assert opened.config.hidden_dim == model.config.hidden_dim and not opened.notes
    ours = filled(opened)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, rtol=1e-5, atol=1e-5)


def test_position_interpolation_keeps_its_name(tmp_path):
    write(weights_of(drawn(FAMILY["linear"])), tmp_path / "hf", "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["rope_scaling"] == {"type": "linear", "factor": 4.0}
    (tmp_path / "hf" / "config.json").write_text(
        json.dumps(config | {"rope_scaling": {"type": "linear", "factor": 1}})
    )
    assert open_huggingface(tmp_path / "hf").config == CONFIG


def rotated(folder, rope: dict) -> Weights:
    """A model of transformers saved with these rotations, opened."""
    torch.manual_seed(0)
    config = TheirConfig(**THEIR_SHAPE, max_position_embeddings=256, rope_parameters=rope)
    LlamaForCausalLM(config).save_pretrained(folder)
    return open_huggingface(folder)


@pytest.mark.parametrize(
    "rope",
    [
        {},
        {"attention_factor": 1.25},
        {"mscale": 1.0, "mscale_all_dim": 0.5},
        {"mscale": 1.0},
        {"beta_fast": 8, "beta_slow": 2},
        {"beta_fast": None, "attention_factor": None},
        {"factor": 1.0, "mscale": 1.0, "mscale_all_dim": 0.5},
    ],
    ids=json.dumps,
)
def test_a_yarn_model_gives_the_logits_of_transformers(rope, tmp_path):
    rope = {"factor": 8.0, "original_max_position_embeddings": 64} | rope
    rope |= {"rope_type": "yarn", "rope_theta": 1e4}
    ours = filled(rotated(tmp_path, rope))
    theirs = LlamaForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens()), theirs(tokens()).logits, rtol=1e-5, atol=1e-5)
    again = write(weights_of(ours), tmp_path / "again", "hf").config
    assert again.attention_factor == ours.config.attention_factor
    assert replace(again, rope_attention_factor=None) == replace(ours.config, rope_attention_factor=None)


def test_dynamic_rotations_are_read_up_to_the_context_in_which_they_change_nothing(tmp_path):
    opened = rotated(tmp_path, {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0})
    ours, theirs = filled(opened), LlamaForCausalLM.from_pretrained(tmp_path)
    drawn_tokens = torch.randint(0, 208, (1, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(drawn_tokens), theirs(drawn_tokens).logits, rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match=r"257 tokens: model\.max_seq_len is 256"):
            ours(torch.zeros(1, 257, dtype=torch.int64))
    assert [note.split(",")[0] for note in opened.notes] == [
        "its dynamic rotations are LLaMA's up to 256 tokens"
    ]


@pytest.mark.parametrize(("window", "context"), [(None, 256), (512, 256), (256, 256), (32, 32)])
def test_a_mistral_gives_the_logits_of_transformers_in_its_window(window, context, tmp_path):
    config = MistralConfig(
        **THEIR_SHAPE, num_key_value_heads=2, head_dim=16, max_position_embeddings=256, sliding_window=window
    )
    torch.manual_seed(0)
    theirs = MistralForCausalLM(config)
    theirs.save_pretrained(tmp_path)
    opened = open_huggingface(tmp_path)
    assert opened.config.max_seq_len == context
    read = torch.randint(0, 208, (2, context), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(filled(opened)(read), theirs(read).logits, rtol=1e-5, atol=1e-5)
    assert [note.split(" of ")[0] for note in opened.notes] == ["its sliding window"][: context < 256]


def tied_model() -> LlamaForCausalLM:
    config = TheirConfig(**THEIR_SHAPE, num_key_value_heads=2, tie_word_embeddings=True)
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("way", ["hf small", "meta 2"])
def test_tied_weights_come_back_as_one_matrix_or_in_metas_format_as_two_equal_ones(way, tmp_path):
    tied = replace(CONFIG, tie_word_embeddings=True)
    model = drawn(tied)
    opened = write(weights_of(model), tmp_path / "there", way)
    assert opened.config == (tied if way == "hf small" else CONFIG)
    assert ("output.weight" in parameter_shapes(opened.config)) == (way == "meta 2")
    for name in parameter_shapes(opened.config):
        assert torch.equal(opened.read(name), model.state_dict()[name]), name


def test_tied_weights_saved_under_the_outputs_name_are_read(tmp_path):
    theirs = tied_model()
    theirs.save_pretrained(tmp_path / "tied")
    expected = open_huggingface(tmp_path / "tied").read("tok_embeddings.weight")
    save_model(theirs, str(tmp_path / "tied" / "model.safetensors"), {"format": "pt"})
    assert "model.embed_tokens.weight" not in load_file(tmp_path / "tied" / "model.safetensors")
    assert torch.equal(open_huggingface(tmp_path / "tied").read("tok_embeddings.weight"), expected)


def test_a_tied_output_that_differs_from_its_embedding_is_refused(tmp_path):
    tied_model().save_pretrained(tmp_path / "tied")
    path = tmp_path / "tied" / "model.safetensors"
    tensors = load_file(path)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, path)
    assert open_huggingface(tmp_path / "tied").config.tie_word_embeddings
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
    assert opened.config == model.config and len(opened.notes) == (shape == "llama 3.1")
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


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("size", ["1GB", "200KB"])
def test_pytorchs_own_files_hold_the_same_tensors(weights, tmp_path, size, is_old):
    write_huggingface(weights, tmp_path / "st", dtype=torch.float32, shard_bytes=10**9)
    tensors = load_file(tmp_path / "st" / "model.safetensors")
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(tmp_path / "st" / "config.json", folder)
    if size == "1GB":
        shards = {"pytorch_model.bin": tensors}
    else:
        split = split_torch_state_dict_into_shards(
            tensors, filename_pattern="pytorch_model{suffix}.bin", max_shard_size=size
        )
        shards = {
            file: {name: tensors[name] for name in names} for file, names in split.filename_to_tensors.items()
        }
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        assert len(shards) > 1
    for file, part in shards.items():
        torch.save(part, folder / file, _use_new_zipfile_serialization=not is_old)
    found = open_huggingface(folder)
    assert all(torch.equal(found.read(name), weights.read(name)) for name in parameter_shapes(weights.config))
