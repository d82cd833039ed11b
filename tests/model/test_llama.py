"""The transformer against transformers' own, and what it refuses."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama, RMSNorm
from model.rotary import rotary_frequencies, rotate, rotation_table
from tests.support.narrow import present
from tests.support.theirs import their_model, their_name, their_rope, to_theirs

CONFIG = LlamaConfig(
    dim=64, n_layers=3, n_heads=4, vocab_size=211, multiple_of=32, max_seq_len=48, norm_eps=1e-5
)


def both(config: LlamaConfig, dtype: torch.dtype) -> tuple[Llama, LlamaForCausalLM]:
    ours = Llama(config)
    initialize(ours, seed=5)
    with torch.no_grad():  # scales of 1 would hide whether a norm scales
        for name, parameter in ours.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
    ours = ours.to(dtype)
    return ours, their_model(config, ours)


def batch(config: LlamaConfig) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(
        0, config.vocab_size, (3, config.max_seq_len + 1), generator=torch.Generator().manual_seed(0)
    )
    return tokens[:, :-1], tokens[:, 1:]


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()


# Small shapes of the family: what each model changes in LLaMA's.
FAMILY = {
    "two heads": {"n_heads": 2},
    "llama": {"n_heads": 4},
    "llama 2 70b": {"n_kv_heads": 2, "ffn_dim_multiplier": 1.3},
    "tinyllama": {"n_kv_heads": 1},
    "llama 3": {"n_kv_heads": 2, "rope_theta": 500000.0},
    "llama 3.1": {  # with an original context in which some rotations are slow, some fast, some between
        "n_kv_heads": 2,
        "rope_theta": 500000.0,
        "rope_scaling": 8.0,
        "rope_original_seq_len": 24,
    },
    "linear": {"rope_scaling": 4.0, "rope_low_freq_factor": 8192.0, "rope_high_freq_factor": 16384.0},
    "yarn": {  # the same, of more pairs
        "n_heads": 2,
        "rope_type": "yarn",
        "rope_scaling": 4.0,
        "rope_high_freq_factor": 16.0,
        "rope_original_seq_len": 200,
    },
    "wide heads": {"n_kv_heads": 2, "head_size": 24},
    "tied": {"n_kv_heads": 2, "tie_word_embeddings": True},
}


# bf16 keeps 8 bits, so after a few dozen rounded layers the result is accurate to a few percent.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize("shape", FAMILY)
def test_logits_and_every_gradient_equal_those_of_transformers(shape, dtype, tolerance):
    config = replace(CONFIG, **FAMILY[shape])
    ours, theirs = both(config, dtype)
    inputs, labels = batch(config)
    our_logits, their_logits = ours(inputs), theirs(inputs).logits
    assert our_logits.dtype == dtype
    assert relative_error(our_logits, their_logits) < tolerance
    if dtype == torch.float32:
        torch.testing.assert_close(our_logits, their_logits, rtol=1e-5, atol=1e-5)
    our_loss = ours(inputs, labels)
    their_loss = F.cross_entropy(their_logits.float().flatten(0, 1), labels.flatten())
    assert our_loss.dtype == torch.float32
    assert our_loss.item() == pytest.approx(their_loss.item(), rel=tolerance)
    our_loss.backward()
    their_loss.backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        expected = present(gradients.pop(their_name(name)))
        found = to_theirs(name, present(parameter.grad), config.head_dim)
        assert relative_error(found, expected) < tolerance, name
    assert not gradients


def test_bf16_logits_are_as_close_to_exact_as_those_of_transformers():
    exact, _ = both(CONFIG, torch.float64)
    ours, theirs = both(CONFIG, torch.bfloat16)
    inputs, _ = batch(CONFIG)
    with torch.no_grad():
        truth = exact(inputs)
        assert relative_error(ours(inputs), truth) < 1.1 * relative_error(theirs(inputs).logits, truth)


def test_the_norm_is_computed_in_fp32_cast_back_and_only_then_scaled():
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    norm = RMSNorm(64, eps=1e-2).bfloat16()
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    wide = x.float()
    normalized = (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-2)).bfloat16()
    assert torch.equal(norm(x), normalized * norm.weight)


def test_parameters_are_named_as_in_metas_checkpoints_and_nothing_else_is_saved():
    layer = [
        "attention.wq",
        "attention.wk",
        "attention.wv",
        "attention.wo",
        "feed_forward.w1",
        "feed_forward.w2",
        "feed_forward.w3",
        "attention_norm",
        "ffn_norm",
    ]
    expected = {"tok_embeddings.weight", "norm.weight", "output.weight"}
    expected |= {f"layers.{i}.{name}.weight" for i in range(CONFIG.n_layers) for name in layer}
    model = Llama(CONFIG)
    assert set(model.state_dict()) == expected == {name for name, _ in model.named_parameters()}


def test_a_token_never_sees_those_after_it():
    model = Llama(CONFIG)
    initialize(model, seed=0)
    inputs, _ = batch(CONFIG)
    changed = inputs.clone()
    changed[:, 20] = (changed[:, 20] + 1) % CONFIG.vocab_size
    before, after = model(inputs), model(changed)
    torch.testing.assert_close(before[:, :20], after[:, :20], rtol=0, atol=1e-6)
    assert (before[:, 20:] - after[:, 20:]).abs().amax(dim=-1).min() > 1e-4


def test_rotation_turns_adjacent_pairs_by_their_positions_angle():
    x = torch.randn(2, 7, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, rotation_table(LlamaConfig(24, 1, 3, 2, max_seq_len=7), torch.device("cpu")))
    for position in range(7):
        for pair in range(4):
            angle = torch.tensor(position * 10000.0 ** (-2 * pair / 8), dtype=torch.float64)
            a, b = x[:, position, :, 2 * pair], x[:, position, :, 2 * pair + 1]
            expected = torch.stack((a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()), -1)
            torch.testing.assert_close(
                turned[:, position, :, 2 * pair : 2 * pair + 2], expected, rtol=1e-5, atol=1e-5
            )


def complex_rotate(x: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
    """Meta's formula (docs/recipe.md §4): pairs times e^(i · angle), as complex numbers."""
    turns = torch.complex(rotations[:, 0, 0::2].contiguous(), rotations[:, 1, 1::2].contiguous())
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns[:, None]).flatten(-2).type_as(x)


@pytest.mark.parametrize("theta", [10000.0, 500000.0])
def test_the_rotation_table_has_the_bits_of_metas(theta):
    config = LlamaConfig(dim=256, n_heads=2, max_seq_len=2048, rope_theta=theta)
    frequencies = theta ** (-torch.arange(0, 128, 2).float() / 128)
    angles = torch.outer(torch.arange(2048).float(), frequencies)
    expected = torch.polar(torch.ones_like(angles), angles)
    cos, sin = rotation_table(config, torch.device("cpu")).unbind(1)
    for at in (0, 1):
        assert torch.equal(cos[:, at::2], expected.real)
    assert torch.equal(sin[:, 1::2], expected.imag) and torch.equal(sin[:, 0::2], -expected.imag)


@pytest.mark.parametrize("original", [1, 5, 24, 200, 4096, 10**7])
@pytest.mark.parametrize("turns", [(0.5, 1.0), (1.0, 32.0), (30.0, 32.0), (1e3, 1e6)])
@pytest.mark.parametrize(("theta", "heads", "factor"), [(1e4, 4, 16.0), (5e5, 1, 4.0), (20.0, 2, 0.5)])
def test_yarns_rotations_are_those_of_transformers(original, turns, theta, heads, factor):
    low, high = turns
    shape: dict = dict(
        rope_type="yarn", rope_scaling=factor, rope_low_freq_factor=low, rope_high_freq_factor=high
    )
    config = replace(CONFIG, n_heads=heads, rope_theta=theta, rope_original_seq_len=original, **shape)
    theirs = TheirConfig(
        hidden_size=config.dim, num_attention_heads=config.n_heads, rope_parameters=their_rope(config)
    )
    frequencies, attention_factor = ROPE_INIT_FUNCTIONS["yarn"](theirs, torch.device("cpu"))
    torch.testing.assert_close(rotary_frequencies(config), frequencies, rtol=1e-5, atol=0)
    assert config.attention_factor == pytest.approx(attention_factor, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("head_dim", [32, 64, 128])  # LLaMA's heads are 128 wide
def test_rotation_and_its_gradient_have_the_bits_of_complex_numbers(head_dim, dtype):
    table = rotation_table(LlamaConfig(head_dim * 4, n_heads=4, max_seq_len=300), torch.device("cpu"))
    draw = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(2, 300, 4, head_dim, generator=draw).to(dtype) for _ in range(2))
    x.requires_grad_()
    ours, theirs = rotate(x, table), complex_rotate(x, table)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(turned, x, grad)[0] for turned in (ours, theirs)))


def test_forty_steps_have_the_bits_of_those_with_complex_numbers(monkeypatch):
    config = replace(CONFIG, dim=128, n_layers=2)

    def losses() -> list[float]:
        model, seen = Llama(config), []
        initialize(model, seed=0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for step in range(40):
            draw = torch.Generator().manual_seed(step)
            tokens = torch.randint(0, config.vocab_size, (2, config.max_seq_len + 1), generator=draw)
            loss = model(tokens[:, :-1], tokens[:, 1:])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seen.append(loss.item())
        return seen

    real = losses()
    monkeypatch.setattr("model.llama.rotate", complex_rotate)
    assert losses() == real and real[-1] != real[0]


def test_the_rotation_table_survives_the_meta_device_and_casts():
    reference = Llama(CONFIG).rotations
    with torch.device("meta"):
        model = Llama(CONFIG)
    assert model.rotations.is_meta
    model.to_empty(device="cpu")
    assert torch.equal(model.rotations, reference)
    assert torch.equal(model.to(torch.bfloat16).rotations, reference)
    assert torch.equal(model.double().rotations, reference)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 3}, "model.n_heads=3: must divide model.dim=64"),
        ({"n_heads": 64}, "model.n_heads=64: a head of model.dim=64 is 1 wide"),
        ({"n_heads": 0}, "model.n_heads=0: must be at least 1"),
        ({"dim": -8}, "model.dim=-8: must be at least 1"),
        ({"n_layers": 0}, "model.n_layers=0: must be at least 1"),
        ({"vocab_size": 0}, "model.vocab_size=0: must be at least 1, or -1"),
        ({"multiple_of": 0}, "model.multiple_of=0: must be at least 1"),
        ({"max_seq_len": 0}, "model.max_seq_len=0: must be at least 1"),
        ({"norm_eps": 0.0}, "model.norm_eps=0.0: must be positive"),
        ({"norm_eps": float("nan")}, "model.norm_eps=nan: must be positive"),
        ({"rope_theta": float("inf")}, "model.rope_theta=inf: must be positive and finite"),
        ({"n_kv_heads": 3}, "model.n_kv_heads=3: must divide model.n_heads=4"),
        ({"n_kv_heads": 8}, "model.n_kv_heads=8: must divide model.n_heads=4"),
        ({"n_kv_heads": 0}, "model.n_kv_heads=0: must be at least 1, or null"),
        ({"head_size": 15}, "model.head_size=15: rotary embeddings rotate pairs"),
        ({"head_size": -2}, "model.head_size=-2: must be at least 1, or null"),
        ({"ffn_dim_multiplier": 0.0}, "model.ffn_dim_multiplier=0.0: must be positive"),
        ({"ffn_dim_multiplier": 1e-9}, "model.ffn_dim_multiplier=1e-09: leaves no hidden units"),
        ({"rope_scaling": -8.0}, "model.rope_scaling=-8.0: must be positive"),
        ({"rope_high_freq_factor": 1.0}, "model.rope_high_freq_factor=1.0: must be finite, and above"),
        ({"rope_original_seq_len": 0}, "model.rope_original_seq_len=0: must be at least 1"),
        ({"rope_type": "longrope"}, "model.rope_type=longrope: expected llama3 or yarn"),
        ({"rope_type": "yarn", "rope_theta": 1.0}, "model.rope_theta=1.0: must be above 1 with"),
        ({"rope_attention_factor": 2.0}, "model.rope_attention_factor=2.0: only for model.rope_type=yarn"),
        (
            {"rope_type": "yarn", "rope_scaling": 2.0, "rope_attention_factor": 0.0},
            "model.rope_attention_factor=0.0: must be positive",
        ),
        (
            {"rope_type": "yarn", "rope_attention_factor": 2.0},
            "model.rope_attention_factor=2.0: only for model.rope_type=yarn with",
        ),
    ],
    ids=json.dumps,
)
def test_an_impossible_shape_is_refused_in_one_line_that_names_the_key(change, message):
    with pytest.raises(ValueError) as refusal:
        replace(CONFIG, **change)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_a_model_cannot_be_built_before_its_vocabulary_is_known():
    with pytest.raises(ValueError, match=r"^model\.vocab_size=-1: "):
        Llama(replace(CONFIG, vocab_size=-1))


def test_more_tokens_than_positions_are_refused():
    with pytest.raises(ValueError, match=r"^49 tokens: model\.max_seq_len is 48"):
        Llama(CONFIG)(torch.zeros(1, 49, dtype=torch.int64))
