"""Read back what loggers wrote, each with its own software's reader, as {step: {name: value}}."""

import os
import struct
import time
from collections import defaultdict
from pathlib import Path

History = dict[int, dict[str, float]]


def tensorboard(folder: Path) -> History:
    """By TensorBoard's own reader, with its rules for restarts. AssertionError if a step is twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    history: History = defaultdict(dict)
    for tag in found.Tags()["scalars"]:
        for event in found.Scalars(tag):
            assert tag not in history[event.step], f"{tag} twice at {event.step}"
            history[event.step][tag] = event.value
    return dict(history)


def mlflow(store: Path, number: str) -> History:
    """By MLflow's client. AssertionError if a step is twice."""
    from mlflow import MlflowClient

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # otherwise it refuses a folder
    client = MlflowClient(tracking_uri=str(store))
    history: History = defaultdict(dict)
    for name in client.get_run(number).data.metrics:
        for metric in client.get_metric_history(number, name):
            assert name not in history[metric.step], f"{name} twice at {metric.step}"
            history[metric.step][name] = metric.value
    return dict(history)


def wandb(folder: Path, number: str, expected: list[int]) -> list[int]:
    """The steps in all files of one run, in the order in which `wandb sync` sends them.

    wandb's own process writes them, and may still be at it: waits two minutes for the `expected` ones.
    """
    deadline = time.monotonic() + 120
    while (found := _wandb(folder, number)) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _wandb(folder: Path, number: str) -> list[int]:
    from wandb.proto import wandb_internal_pb2

    steps = []
    for path in sorted(folder.glob(f"wandb/*run-*-{number}/run-{number}.wandb")):
        for content in _records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(content)  # pyright: ignore[reportAttributeAccessIssue]  # generated
            if record.WhichOneof("record_type") == "history":
                steps.append(record.history.step.num)
    return steps


def _records(content: bytes) -> list[bytes]:
    """The records of a log in LevelDB's format, behind wandb's seven bytes."""
    found, part, at, block = [], b"", 7, 32768
    while at + 7 <= len(content):
        if block - at % block < 7:  # the rest of a block too small for a header
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        part += content[at + 7 : at + 7 + length]
        if kind in (1, 4):  # a full record, or its last part
            found.append(part)
            part = b""
        at += 7 + length
    return found
