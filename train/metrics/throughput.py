"""How fast a step went: tokens a second with and without its stalls, and the share of the device's peak."""

from data.order import Order
from model.flops import flops_per_token
from train.config import TrainConfig
from train.metrics.clock import STALLS, Clock
from train.metrics.hardware import peak_memory_gib
from train.metrics.peak import peak_flops
from train.phases.timeline import Phase
from train.precision import DTYPES
from train.ranks.setup import Ranks


class Throughput:
    """Rates of a run's steps. Every rank constructs one: on CPUs that measures their peak, all at once."""

    def __init__(self, config: TrainConfig, ranks: Ranks) -> None:
        self._config, self._device = config, ranks.device
        self._peak = peak_flops(ranks.device, DTYPES[config.precision])

    def of(self, phase: Phase, consumed: int, order: Order, clock: Clock) -> dict:
        """The fields of a metrics.jsonl line about speed, memory and epochs, after `consumed` samples."""
        seconds, flops = clock.total(), flops_per_token(self._config.model, phase.seq_len)
        stalls = sum(clock.spent.get(name, 0.0) for name in STALLS)
        per_second = phase.global_batch / seconds
        if self._peak is not None and per_second * flops > self._peak:
            self._peak = None  # measured too low: unknown rather than wrong
        return {
            "tokens_per_second": per_second,
            "tokens_per_second_computing": phase.global_batch / max(1e-9, seconds - stalls),
            "peak_flops": self._peak,
            "mfu": None if self._peak is None else per_second * flops / self._peak,
            "memory_gib": peak_memory_gib(self._device),
            "epochs": order.epochs(consumed),
            "seconds": {"total": seconds, **clock.spent},
        }
