"""What loggers wrote, read back by their own software: every step once, resumed and rewound."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import logged
from tests.support.ports import free_port
from train.config_groups import LoggerConfig
from train.loggers import chosen
from train.loggers.chosen import Loggers
from train.loggers.follow import Position
from train.loggers.to_prometheus import Prometheus
from train.run.history import cut_back

RUN_CONFIG = {"optim": {"lr": 0.1}, "seed": 0, "long": "x" * 600}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(chosen, "PATIENCE", 120.0)  # a busy machine takes long to import a logger


class Run:
    """The metrics.jsonl of a run that goes where the test says."""

    def __init__(self, folder: Path, config: LoggerConfig) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.metrics, self.config = folder, folder / "metrics.jsonl", config

    def start(self, kept: int, rewinds: int = 0) -> None:
        self._cut(kept)
        self.loggers = Loggers(self.config, self.metrics, RUN_CONFIG, Position(kept, rewinds))

    def rewind(self, kept: int, rewinds: int) -> None:
        self._cut(kept)
        self.loggers.moved(Position(kept, rewinds))

    def train(self, first: int, last: int, loss: float = 1.0) -> None:
        for step in range(first, last + 1):
            line = {
                "step": step,
                "loss": loss * step,
                "tokens": step * 8,
                "validation": {"c4": {"loss": 2.0}},
            }
            with self.metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.loggers.wrote()

    def end(self) -> None:
        self.loggers.close(failed=False)

    def _cut(self, kept: int) -> None:
        self.metrics.touch()
        cut_back(self.metrics, kept)


def live(run: Run) -> None:
    """A run that ends at step 5 after a save at 3, resumes, rewinds from 8 to 2, and ends at 6."""
    run.start(0)
    run.train(1, 5)
    run.end()
    run.start(3)
    run.train(4, 8)
    run.end()  # a rewind in the next process is no other than one in the same
    run.start(8)
    run.rewind(2, 1)
    run.train(3, 6, loss=10.0)
    run.end()


def expected(scale) -> dict:
    return {
        step: {"loss": float(scale(step) * step), "tokens": step * 8.0, "validation/c4/loss": 2.0}
        for step in range(1, 7)
    }


REWOUND = expected(lambda step: 10 if step > 2 else 1)


def test_tensorboard_shows_every_step_once(tmp_path, capsys):
    pytest.importorskip("tensorboard")
    run = Run(tmp_path / "run", LoggerConfig(tensorboard=True))
    live(run)
    assert logged.tensorboard(run.folder) == REWOUND
    (run.folder / "tensorboard" / "logged.json").write_text("null")  # all is logged again
    run.start(6, 1)
    run.end()
    assert logged.tensorboard(run.folder) == REWOUND
    assert "warning" not in capsys.readouterr().out


def test_mlflow_has_every_step_once_and_a_rewind_as_a_run_below(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mlflow")
    store = tmp_path / "store"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(store))
    run = Run(tmp_path / "run", LoggerConfig(mlflow="auto", project="exp"))
    run.start(0)
    run.train(1, 5)
    run.end()
    first = json.loads((run.folder / "mlflow.json").read_text())["id"]
    run.start(3)
    run.train(4, 8)
    run.rewind(2, 1)
    run.train(3, 6, loss=10.0)
    run.end()
    from mlflow import MlflowClient

    second = json.loads((run.folder / "mlflow.json").read_text())["id"]
    assert logged.mlflow(store, second) == REWOUND
    assert set(logged.mlflow(store, first)) >= {1, 2, 3, 4, 5}
    client = MlflowClient(tracking_uri=str(store))
    data = client.get_run(second).data
    assert data.tags["mlflow.parentRunId"] == first and data.params["optim.lr"] == "0.1"
    assert client.get_run(first).info.status == "KILLED" and client.get_run(second).info.status == "FINISHED"
    assert "warning" not in capsys.readouterr().out


def test_an_id_of_another_mlflow_begins_a_complete_run(tmp_path):
    pytest.importorskip("mlflow")
    run = Run(tmp_path / "run", LoggerConfig(mlflow=str(tmp_path / "one")))
    run.start(0)
    run.train(1, 2)
    run.end()
    run.config = LoggerConfig(mlflow=str(tmp_path / "two"))
    run.start(2)
    run.end()
    number = json.loads((run.folder / "mlflow.json").read_text())["id"]
    assert sorted(logged.mlflow(tmp_path / "two", number)) == [1, 2]


def test_prometheus_has_the_newest_step_in_a_file_and_on_loopback(tmp_path, capsys):
    pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    port = free_port()
    run = Run(tmp_path / 'a "run"', LoggerConfig(prometheus="file"))
    live(run)
    served = Run(tmp_path / "served", LoggerConfig(prometheus=str(port)))
    served.start(0)
    served.train(1, 6)
    _until(lambda: b'relama_step{run="served"} 6.0' in _read(port))
    texts = [(run.folder / "metrics.prom").read_text(), _read(port).decode()]
    served.end()
    for text, name, loss in zip(texts, ('a "run"', "served"), (60.0, 6.0)):
        found = {family.name: family.samples[0] for family in text_string_to_metric_families(text)}
        assert {key: sample.value for key, sample in found.items()} == {
            "relama_step": 6.0,
            "relama_loss": loss,
            "relama_tokens": 48.0,
            "relama_validation_c4_loss": 2.0,
        }
        assert found["relama_loss"].labels == {"run": name}
    with pytest.raises(urllib.error.URLError):
        _read(port)  # closed with the run
    assert "warning" not in capsys.readouterr().out


def test_prometheus_shows_the_held_out_loss_of_a_step_that_later_ones_came_with(tmp_path):
    pytest.importorskip("prometheus_client")
    gauges = Prometheus("file", tmp_path)
    gauges.open(Position(0, 0))
    gauges.log([(1, {"loss": 3.0, "validation/c4/loss": 2.5}), (2, {"loss": 2.0})])
    text = (tmp_path / "metrics.prom").read_text()
    assert f'relama_validation_c4_loss{{run="{tmp_path.name}"}} 2.5' in text
    assert f'relama_loss{{run="{tmp_path.name}"}} 2.0' in text


def test_a_step_in_prometheus_has_no_metric_of_the_step_before(tmp_path, monkeypatch):
    client = pytest.importorskip("prometheus_client")
    gauges, texts = Prometheus("file", tmp_path), []
    gauges.open(Position(0, 0))
    gauges.log([(1, {"loss": 1.0, "tokens": 1.0})])

    def read_then_set(gauge, value: float, real=client.Gauge.set) -> None:
        texts.append(client.generate_latest(gauges._registry).decode())
        real(gauge, value)
        texts.append(client.generate_latest(gauges._registry).decode())

    monkeypatch.setattr(client.Gauge, "set", read_then_set)
    gauges.log([(2, {"loss": 2.0, "tokens": 2.0})])
    later = [text for text in texts if f'relama_step{{run="{tmp_path.name}"}} 2.0' in text]
    assert later and not any("} 1.0" in text for text in later)
    assert later[0].index("relama_step") < later[0].index("relama_loss")  # a reader takes its time, too


def _read(port: int) -> bytes:
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read()


def _until(holds) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)
