"""`logger=mlflow`: a run's metrics in MLflow, in a folder or on a tracking server.

The run's id is kept in mlflow.json. MLflow keeps every value ever logged for a step, so a run that resumes
asks it for the last step; a run that rewinds becomes a new run below the first (`mlflow.parentRunId`).
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.redact import redact_tree
from train.config_groups import LoggerConfig
from train.loggers import kept
from train.loggers.follow import Position, Values
from train.loggers.kept import Kept

if TYPE_CHECKING:
    from mlflow import MlflowClient

SEAL = "tokens"  # every line has it; logged last, so that a step that has it is complete
MOST_METRICS, MOST_PARAMETERS, LONGEST = 1000, 100, 500  # of a request; of a value


class Mlflow:
    """One run in MLflow, or one for each stretch between rewinds."""

    def __init__(self, config: LoggerConfig, folder: Path, run_config: dict[str, Any]) -> None:
        self._config, self._folder, self._run_config = config, folder, run_config
        self._path = folder / "mlflow.json"
        self._client: MlflowClient | None = None
        self._id = ""

    def open(self, at: Position) -> int:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3.13 refuses folders otherwise
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = self._client = MlflowClient(tracking_uri=address(self._config.mlflow))
        before = kept.read(self._path)
        if before is not None:
            try:
                if before.follows(at):
                    client.update_run(before.id, status="RUNNING")
                    self._id = before.id
                    sealed = client.get_metric_history(before.id, SEAL)
                    return max((metric.step for metric in sealed), default=0)
                client.set_terminated(before.id, "KILLED")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                before = None  # deleted there, or another server
        self._id = self._create(client, before, at)
        return 0

    def log(self, lines: list[tuple[int, Values]]) -> None:
        from mlflow.entities import Metric

        assert self._client is not None
        now = int(time.time() * 1000)
        for step, values in lines:
            last = {SEAL: values.pop(SEAL)} if SEAL in values else {}
            metrics = [Metric(name, value, now, step) for name, value in (values | last).items()]
            for begin in range(0, len(metrics), MOST_METRICS):
                self._client.log_batch(self._id, metrics=metrics[begin : begin + MOST_METRICS])

    def close(self, failed: bool) -> None:
        if self._client is not None and self._id:
            self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _create(self, client: "MlflowClient", before: Kept | None, at: Position) -> str:
        from mlflow.entities import Param

        found = client.get_experiment_by_name(self._config.project)
        experiment = found.experiment_id if found else client.create_experiment(self._config.project)
        tags = {"mlflow.parentRunId": before.group} if before else {}
        name = kept.shown_name(self._folder, at.rewinds)
        number = client.create_run(experiment, run_name=name, tags=tags).info.run_id
        parameters = [
            Param(name, str(value)[:LONGEST]) for name, value in _leaves(redact_tree(self._run_config))
        ]
        for begin in range(0, len(parameters), MOST_PARAMETERS):
            client.log_batch(number, params=parameters[begin : begin + MOST_PARAMETERS])
        group = before.group if before else number
        kept.write(self._path, Kept(number, group, at.rewinds, str(self._folder.absolute())))
        return number


def address(setting: str) -> str:
    """The tracking URI of `logger.mlflow`: auto is $MLFLOW_TRACKING_URI, or else mlruns/ here."""
    found = os.environ.get("MLFLOW_TRACKING_URI", "mlruns") if setting == "auto" else setting
    return found if ":" in found else str(Path(found).absolute())


def _leaves(tree: object, prefix: str = "") -> list[tuple[str, object]]:
    """A config's keys, dotted, with their values."""
    if not isinstance(tree, dict):
        return [(prefix.removesuffix("."), tree)]
    return [leaf for key, value in tree.items() for leaf in _leaves(value, f"{prefix}{key}.")]
