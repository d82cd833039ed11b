"""What benchmarks/gpu.py or `relama launch check` measured, for `relama plan measured=FILE`."""

import json
import math
from pathlib import Path

from train.config import RunError

EXPECTED = "expected the JSON file that benchmarks/gpu.py or relama launch check wrote"


def measured_rate(file: Path, dim: int) -> tuple[float, str]:
    """FLOP/s that one GPU reaches in blocks about `dim` wide, and what the figure is based on.

    The faster of eager and compiled, of the measured width nearest to `dim`. Raises RunError.
    """
    try:
        found = json.loads(file.read_text())
        lines = [line for line in found["speed"] if "error" not in line]
        nearest = min((line["dim"] for line in lines), key=lambda other: abs(math.log(other / dim)))
        best = max(
            (line for line in lines if line["dim"] == nearest), key=lambda line: line["flops_per_second"]
        )
        rate = float(best["flops_per_second"])
        if "basis" in best:
            return rate, f"{found['device']}: {best['basis']}"
        share = "" if best["mfu"] is None else f", {best['mfu']:.0%} of its peak"
        way = "compiled" if best["compiled"] else "eager"
        basis = f"measured on {found['device']}: {best['shape']}-shaped blocks, {way}{share}, alone"
    except OSError as error:
        raise RunError(f"measured={file}: cannot be read ({error.strerror}); {EXPECTED}") from None
    except (ValueError, KeyError, TypeError):
        raise RunError(f"measured={file}: holds no speed; {EXPECTED}") from None
    return rate, basis
