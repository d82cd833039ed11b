"""`logger=prometheus`: the newest step's metrics for Prometheus, in a textfile or on a port.

A gauge's name is `relama_` and the metric's name with `_` for what Prometheus does not allow:
`validation/c4/loss` is `relama_validation_c4_loss{run="NAME"}`. Prometheus itself keeps the history.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from train.loggers import kept
from train.loggers.follow import Position, Values

if TYPE_CHECKING:
    from prometheus_client import Gauge

LOOPBACK = "127.0.0.1"


class Prometheus:
    """The gauges of one run: the newest value of each metric."""

    def __init__(self, setting: str, folder: Path) -> None:
        self._setting, self._folder = setting, folder
        self._server = None

    def open(self, at: Position) -> int:
        from prometheus_client import CollectorRegistry, Gauge, start_http_server

        self.close(failed=False)
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._file = None
        if listening := listens_on(self._setting):
            host, port = listening
            self._server, _ = start_http_server(port, host, self._registry)
        else:
            named = self._setting != "file"
            self._file = Path(self._setting) if named else self._folder / "metrics.prom"
        return at.kept

    def log(self, lines: list[tuple[int, Values]]) -> None:
        from prometheus_client import write_to_textfile

        newest: Values = {}
        for _, values in lines:  # not every step has held-out losses
            newest |= values
        name = kept.shown_name(self._folder, 0)
        self._gauge("step")
        # Read first and set last: whoever reads a step in between has none of its metrics from before it.
        for metric, value in [*newest.items(), ("step", float(lines[-1][0]))]:
            self._gauge(metric).labels(run=name).set(value)
        if self._file:
            write_to_textfile(str(self._file), self._registry)

    def _gauge(self, metric: str) -> "Gauge":
        from prometheus_client import Gauge

        gauge = "relama_" + re.sub(r"\W", "_", metric, flags=re.ASCII)
        if gauge not in self._gauges:
            meaning = f"{metric} of the newest step"
            self._gauges[gauge] = Gauge(gauge, meaning, ["run"], registry=self._registry)
        return self._gauges[gauge]

    def close(self, failed: bool) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def listens_on(setting: str) -> tuple[str, int] | None:
    """The host and port of `logger.prometheus=PORT` or `HOST:PORT`; None if it names a file."""
    found = re.fullmatch(r"(?:(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d+)", setting)
    return ((found["host"] or LOOPBACK).strip("[]"), int(found["port"])) if found else None
