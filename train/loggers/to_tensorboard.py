"""`logger=tensorboard`: a run's metrics as TensorBoard's event files, in runs/NAME/tensorboard.

Each start and rewind begins a file with TensorBoard's own mark, a session start, which takes back all steps
from there on in the files before it. `logged.json` says up to which step the files are complete.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from data import folders
from train.loggers.follow import Position, Values
from train.run.schema import parse

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter


class TensorBoard:
    """The event files of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tensorboard"
        self._cursor = self._folder / "logged.json"
        self._writer: EventFileWriter | None = None

    def open(self, at: Position) -> int:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]  # generated
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is not None:
            self._writer.close()
        step = min(at.kept, self._held())
        self._writer = EventFileWriter(str(self._folder))
        mark = SessionLog(status=SessionLog.SessionStatus.START)
        self._writer.add_event(Event(wall_time=time.time(), step=step + 1, session_log=mark))
        self._keep(step)
        return step

    def log(self, lines: list[tuple[int, Values]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]  # generated
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]  # generated

        assert self._writer is not None
        for step, values in lines:
            of_step = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=of_step))
            self._writer.add_event(event)
        self._keep(lines[-1][0])

    def close(self, failed: bool) -> None:
        if self._writer is not None:
            self._writer.close()

    def _keep(self, step: int) -> None:
        assert self._writer is not None
        self._writer.flush()
        folders.write_whole(self._cursor, json.dumps({"step": step}))

    def _held(self) -> int:
        """The last step that is complete; 0, to log all of them again, if that is not known."""
        try:
            found = parse(self._cursor.read_bytes())
        except (OSError, ValueError):
            return 0
        step = found.get("step") if isinstance(found, dict) else None
        return step if isinstance(step, int) else 0
