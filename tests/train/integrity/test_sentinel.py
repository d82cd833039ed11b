"""The sentinel sees every flipped bit between two updates, and nothing where nothing was flipped."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.parallelize.mesh import Layout
from tests.support.narrow import present
from tests.support.states import step, trained
from train.checkpoint.checksums import checksum, local
from train.checkpoint.staging import local_parts
from train.checkpoint.tensors import tensors_of
from train.config import RunError
from train.config_groups import OptimConfig, WatchdogConfig
from train.integrity.bounds import ROUNDING, largest_ratio, moment_limits
from train.integrity.sentinel import Sentinel, pieces
from train.run.lineage import Stretch

OPTIM = OptimConfig(warmup_steps=0)
RANKS: Any = SimpleNamespace(layout=Layout(), device=torch.device("cpu"), mesh=None)


def config(integrity: float = 1.0, **optim) -> Any:
    settings = OptimConfig(warmup_steps=0, **optim)
    watchdog = WatchdogConfig(integrity=integrity)
    return SimpleNamespace(optim=settings, steps=1000, global_batch=4096, watchdog=watchdog)


def guarded(integrity: float = 1.0):
    model, optimizer = trained()
    sentinel = Sentinel(model, config(integrity), RANKS)
    sentinel.record(optimizer, 1, OPTIM.lr)
    return model, optimizer, sentinel


def flip(tensor: torch.Tensor, entry: int, bit: int) -> None:
    tensor.detach().view(torch.int32).reshape(-1)[entry] ^= -(2**31) if bit == 31 else 1 << bit


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("offset", [0, 1])
def test_every_bit_counts(size, dtype, offset):
    part = torch.randn(size + offset).to(dtype)[offset:]
    before = checksum(part).item()
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[part.element_size()]
    words = part.view(integers)
    bits = 8 * part.element_size()
    for bit in range(bits):
        place = bit * 7 % size
        mask = -(2 ** (bits - 1)) if bit == bits - 1 else 1 << bit
        words[place] ^= mask
        assert checksum(part).item() != before, f"bit {bit} of entry {place}"
        words[place] ^= mask
    assert checksum(part).item() == before


def test_a_sum_does_not_depend_on_the_values_being_numbers():
    part = torch.tensor([math.nan, math.inf, -math.inf, -0.0])
    assert checksum(part) == checksum(part.clone()) != checksum(part.abs())


@pytest.mark.parametrize("kind", ["weights", "exp_avg", "exp_avg_sq", "step"])
@pytest.mark.parametrize("bit", [0, 12, 22, 23, 30, 31])
def test_a_flip_between_two_updates_is_found_and_named(kind, bit):
    model, optimizer, sentinel = guarded()
    assert sentinel.changes(optimizer, 2) == 0 and sentinel.finding(optimizer) is None
    name, parameter = list(model.named_parameters())[3]
    flip(parameter if kind == "weights" else optimizer.state[parameter][kind], 0, bit)
    assert sentinel.changes(optimizer, 2) == 1
    finding = present(sentinel.finding(optimizer))
    assert (name if kind != "step" else "step counts") in finding
    assert "changed between two updates" in finding and "rank 0 (" in finding


@pytest.mark.parametrize("integrity", [1.0, 0.0005])
def test_nothing_is_found_where_nothing_was_flipped(integrity):
    model, optimizer, sentinel = guarded(integrity)
    assert (sentinel.pieces > 1) == (integrity < 1)
    for number in range(2, 60):
        loss = step_without_update(model, number)
        assert math.isfinite(loss) and sentinel.changes(optimizer, number) == 0
        optimizer.step()
        optimizer.zero_grad()
        sentinel.record(optimizer, number, OPTIM.lr, whole=number % 10 == 0)
        assert sentinel.finding(optimizer) is None


def step_without_update(model, number: int) -> float:
    optimizer: Any = SimpleNamespace(step=lambda: None, zero_grad=lambda: None)
    loss = step(model, optimizer, number)
    torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIM.clip)
    return loss


def test_with_pieces_every_flip_is_found_in_its_turn():
    """One K-th of each shard is checked per step: K records in a row cover it all."""
    _, optimizer, sentinel = guarded(0.0005)
    parameter = max(optimizer.param_groups[0]["params"], key=torch.Tensor.numel)
    found = []
    for turn in range(sentinel.pieces):
        sentinel.record(optimizer, turn, 0.0)
        flip(parameter, parameter.numel() - 1, 5)
        found.append(int(sentinel.changes(optimizer, turn + 1)))
        flip(parameter, parameter.numel() - 1, 5)
    assert sum(found) == 1


@pytest.mark.parametrize("kind", ["weights", "exp_avg", "exp_avg_sq"])
def test_what_an_update_cannot_do_is_found_within_eight_steps(kind):
    model, optimizer, sentinel = guarded()
    for number in range(2, 10):
        sentinel.record(optimizer, number, OPTIM.lr)
    name, parameter = list(model.named_parameters())[5]
    tensor = parameter if kind == "weights" else optimizer.state[parameter][kind]
    with torch.no_grad():
        tensor.reshape(-1)[1] = -3.0  # a large weight, a moment beyond the clipped norm, a negative square
    findings = []
    for number in range(10, 18):
        sentinel.record(optimizer, number, OPTIM.lr)
        findings.append(sentinel.finding(optimizer))
    assert [f for f in findings if f and name in f and "beyond what AdamW can do" in f]


def test_the_recorded_sums_are_those_of_the_checkpoint_s_tensors():
    model, optimizer, sentinel = guarded()
    parts = dict(local_parts(tensors_of(model, optimizer)))
    sums = sentinel.sums(optimizer)
    assert sums is not None and sums.keys() == {name for name in parts if not name.endswith(".step")}
    assert all(checksum(local(parts[name])) == total for name, total in sums.items())


def test_replacing_the_state_on_purpose_is_not_reported():
    model, optimizer, sentinel = guarded()
    with torch.no_grad():
        next(model.parameters()).fill_(7.0)
    sentinel.forget()
    sentinel.record(optimizer, 5, 0.0)
    assert sentinel.changes(optimizer, 6) == 0 and sentinel.finding(optimizer) is None


@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.9, 0.999), (0.0, 0.95), (0.95, 0.9), (0.5, 0.5)])
def test_no_gradients_move_torch_s_adamw_further_than_the_bound(betas):
    """The worst gradients, for which the Cauchy–Schwarz inequality is an equality, come near it."""
    steps = 60
    bound = ratio(betas, steps)
    worst = 0.0
    draw = torch.Generator().manual_seed(0)
    # At age i the worst gradient is proportional to (β1/β2)^i.
    adverse = [
        (betas[0] / betas[1]) ** (steps - t) if betas[0] else float(t == steps) for t in range(1, steps + 1)
    ]
    series = [adverse, [1.0] * steps, [float(t == 5) for t in range(steps)]]
    series += [(torch.randn(steps, generator=draw) * 10 ** float(scale)).tolist() for scale in range(-3, 3)]
    for gradients in series:
        parameter = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer = torch.optim.AdamW([parameter], lr=1.0, betas=betas, eps=1e-30, weight_decay=0.0)
        for gradient in gradients:
            before = parameter.item()
            parameter.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            worst = max(worst, abs(parameter.item() - before))
    assert worst <= bound * ROUNDING
    assert worst >= 0.8 * bound


def ratio(betas: tuple[float, float], steps: int) -> float:
    return largest_ratio([Stretch(steps, list(betas), 1.0)])


@pytest.mark.parametrize(
    ("first", "then"),
    [((0.9, 0.999), (0.9, 0.95)), ((0.99, 0.95), (0.5, 0.99)), ((0.9, 0.95), (0.9, 0.95))],
)
@pytest.mark.parametrize("at", [1, 4, 40])
def test_a_branch_s_other_settings_do_what_the_bounds_of_both_allow(first, then, at):
    """At its first updates, AdamW still has the moments of the settings before."""
    stretches = [Stretch(at, list(first), 1.0), Stretch(at + 20, list(then), 0.01)]
    bound, limits = largest_ratio(stretches), moment_limits(stretches)
    parameter = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = torch.optim.AdamW([parameter], lr=1.0, betas=first, eps=1e-30, weight_decay=0.0)
    worst = 0.0
    for update in range(1, at + 21):
        if update > at:
            optimizer.param_groups[0]["betas"] = then
        before = parameter.item()
        parameter.grad = torch.tensor(1.0 if update <= at else 0.01, dtype=torch.float64)
        optimizer.step()
        if update > at:
            worst = max(worst, abs(parameter.item() - before))
            for key, (least, greatest) in limits.items():
                assert least <= optimizer.state[parameter][key].item() <= greatest
    assert worst <= bound * ROUNDING


def test_a_ratio_without_a_bound_is_infinite():
    assert ratio((0.9, 0.0), 100) == math.inf
    assert ratio((0.0, 0.0), 100) == 1.0
    assert ratio((0.99, 0.5), 10**6) == math.inf


@pytest.mark.parametrize(
    ("tokens", "replicas", "share", "expected"),
    [(32768, 1, 0.01, 1), (128, 1, 0.01, 183), (32768, 8, 0.01, 6), (128, 1, 1.0, 1), (4096, 1, 0.0, 0)],
)
def test_only_a_share_of_a_step_is_spent_on_reading_the_state(tokens, replicas, share, expected):
    ranks: Any = SimpleNamespace(layout=Layout(dp_replicate=replicas), device=torch.device("cpu"))
    settings: Any = SimpleNamespace(global_batch=tokens, watchdog=WatchdogConfig(integrity=share))
    assert pieces(settings, ranks) == expected


def test_a_machine_that_keeps_flipping_ends_the_run_in_one_line():
    _, _, sentinel = guarded()
    assert [sentinel.reload(step, "memory corruption")["action"] for step in (3, 3, 5)] == ["reload"] * 3
    with pytest.raises(RunError, match="step 7: memory corruption, after 3 returns to a checkpoint"):
        sentinel.reload(7, "memory corruption")


@pytest.mark.parametrize("kind", ["weights", "exp_avg", "exp_avg_sq"])
def test_the_highest_exponent_bit_flipped_by_an_update_is_named_before_the_next_is_judged(kind):
    """A finding measures every tensor: it does not wait for the tensor's turn."""
    for number in range(len(list(trained()[0].parameters()))):
        model, optimizer, sentinel = guarded()
        name, parameter = list(model.named_parameters())[number]
        flip(parameter if kind == "weights" else optimizer.state[parameter][kind], 0, 30)
        sentinel.record(optimizer, 2, OPTIM.lr)
        finding = present(sentinel.finding(optimizer))
        assert name in finding and "beyond what AdamW can do" in finding
        assert sentinel.finding(optimizer) == finding  # also when it is asked again
