"""Keeps posts on disk, partitioned by their question's id, and joins them one partition at a time.

Memory does not grow with the dump, and the output depends neither on the order of the rows nor on the number
of partitions.
"""

import json
import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data.documents import Drop, Record
from data.splitmix import GAMMA

LICENSE = "cc-by-sa-4.0"  # for posts that do not name one (as in dumps from before 2018)
MAX_QUESTION = 32 << 20  # most bytes of a question and its answers

_QUESTION, _ANSWER = 1, 2
_OTHERS = {
    3: "orphaned tag wiki",
    4: "tag wiki excerpt",
    5: "tag wiki",
    6: "moderator nomination",
    7: "wiki placeholder",
    8: "privilege wiki",
}
# A post in a partition. Its text is in another file: the `_TEXT` fields separated by NULs, which XML forbids.
_POST = struct.Struct("<qqqqIBB")
_POSTS_DTYPE = np.dtype(
    [
        ("question", "<i8"),
        ("id", "<i8"),
        ("score", "<i8"),
        ("row", "<i8"),
        ("bytes", "<u4"),
        ("kind", "u1"),
        ("scored", "u1"),
    ]
)
# Bytes of each open file; Python 3.14's default of 128 KiB would take that for every partition.
_BUFFER = 8 << 10
_TEXT = ("Title", "Tags", "ContentLicense", "LastActivityDate", "Body")


@dataclass
class _Post:
    """A row that was written to a partition."""

    id: int
    score: int | None
    row: int
    kind: int
    content: bytes

    def text(self) -> dict[str, str]:
        return dict(zip(_TEXT, self.content.decode().split("\0")))

    def precedence(self) -> tuple:
        """A key that sorts posts with the same id: the most recently active last, in any row order."""
        return self.text()["LastActivityDate"], self.score is not None, self.score or 0, self.content


class Partitions:
    """Posts, each in the partition of its question's id; a partition is a range of ids after hashing.

    Slice `index` of `n_slices` keeps the posts of its own `n_partitions` and ignores all others.
    """

    def __init__(
        self, folder: Path, file: str, n_partitions: int, index: int, n_slices: int, files: ExitStack
    ) -> None:
        self._folder, self._file = folder, file
        self._first, self._all = index * n_partitions, n_slices * n_partitions
        self._posts, self._texts = (
            [
                files.enter_context(self._path(number, kind).open("wb", buffering=_BUFFER))
                for number in range(n_partitions)
            ]
            for kind in ("posts", "texts")
        )
        self._drops = files.enter_context(self._path(0, "drops").open("w"))

    def add(self, row: int, attributes: dict[str, str]) -> None:
        """Write a row of the file to its partition, or record why it is dropped."""
        kind, name = _integer(attributes.get("PostTypeId")), _integer(attributes.get("Id"))
        question = name if kind == _QUESTION else _integer(attributes.get("ParentId"))
        if kind is None:
            self.bad(row, "no PostTypeId", f"Id {name}")
        elif kind not in (_QUESTION, _ANSWER):
            reason = f"post type {kind}: {_OTHERS[kind]}" if kind in _OTHERS else "unknown post type"
            self._drop(row, reason, f"Id {name}, PostTypeId {kind}")
        elif name is None or question is None:
            self.bad(row, "no Id" if name is None else "answer without ParentId", f"Id {name}")
        else:
            partition = self._partition_of(question)
            if 0 <= partition < len(self._posts):
                content = "\0".join(attributes.get(key, "") for key in _TEXT).encode()
                score = _integer(attributes.get("Score"))
                head = _POST.pack(question, name, score or 0, row, len(content), kind, score is not None)
                self._posts[partition].write(head)
                self._texts[partition].write(content)

    def bad(self, row: int, reason: str, detail: str) -> None:
        """Record a malformed row."""
        self._drop(row, reason, detail, malformed=True)

    def dropped(self) -> Iterator[Drop]:
        """The drops that were recorded while reading."""
        with self._path(0, "drops").open() as lines:
            for line in lines:
                reason, row, detail, malformed = json.loads(line)
                yield Drop(reason, self._file, row, detail, malformed)

    def join(self, partition: int, site: str) -> Iterator[Record | Drop]:
        """The questions of a partition with their answers, in the order of the hashed ids."""
        posts = np.fromfile(self._path(partition, "posts"), _POSTS_DTYPE)
        starts = np.cumsum(posts["bytes"], dtype=np.int64) - posts["bytes"]
        spread = posts["question"].astype(np.uint64) * np.uint64(GAMMA)
        order = np.lexsort((posts["row"], posts["id"], -posts["score"], posts["kind"], spread))
        edges = np.flatnonzero(np.diff(spread[order])) + 1
        with self._path(partition, "texts").open("rb", buffering=0) as texts:
            for thread in np.split(order, edges) if len(order) else []:
                if posts["bytes"][thread].sum(dtype=np.int64) + len(thread) * _POST.size > MAX_QUESTION:
                    reason = f"question larger than {MAX_QUESTION >> 20} MiB"
                    for row in posts["row"][thread].tolist():
                        yield self._left_out(row, reason, malformed=True)
                    continue
                yield from self._joined(_load(posts[thread], starts[thread], texts), site)

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:03d}.{kind}"

    def _partition_of(self, number: int) -> int:
        return ((number * GAMMA % 2**64) * self._all >> 64) - self._first

    def _drop(self, row: int, reason: str, detail: str, malformed: bool = False) -> None:
        if 0 <= self._partition_of(row) < len(self._posts):
            print(json.dumps([reason, row, detail, malformed]), file=self._drops)

    def _joined(self, posts: Iterator[_Post], site: str) -> Iterator[Record | Drop]:
        """One question and its answers, in order, as a record."""
        kept: dict[tuple[int, int], _Post] = {}
        for post in posts:
            other = kept.setdefault((post.kind, post.id), post)
            if other is post:
                continue
            if (other.content, other.score) == (post.content, post.score):
                yield self._left_out(post.row, "duplicate post", f"Id {post.id}")
                continue
            less, kept[post.kind, post.id] = sorted((post, other), key=_Post.precedence)
            yield self._left_out(less.row, "duplicate id, different content", f"Id {less.id}")
        answers = sorted(kept.values(), key=lambda post: (post.kind, -(post.score or 0), post.id))
        if answers[0].kind == _QUESTION:
            yield self._record(answers[0], answers[1:], site)
        else:
            yield from (self._left_out(post.row, "orphan answer", f"Id {post.id}") for post in answers)

    def _left_out(self, row: int, reason: str, detail: str = "", malformed: bool = False) -> Drop:
        return Drop(reason, self._file, row, detail, malformed)

    def _record(self, question: _Post, answers: list[_Post], site: str) -> Record:
        asked, answered = question.text(), [answer.text() for answer in answers]
        licenses = {_license(text["ContentLicense"]) for text in (asked, *answered)}
        unscored = sum(post.score is None for post in (question, *answers))
        meta = {
            "site": site,
            "id": question.id,
            "title": asked["Title"],
            "tags": [tag for tag in re.split(r"[<>|]+", asked["Tags"]) if tag],
            "score": question.score,
            "answers": [
                {"id": answer.id, "score": answer.score, "html": text["Body"]}
                for answer, text in zip(answers, answered)
            ],
        } | ({"missing_scores": unscored} if unscored else {})
        url = f"https://{site}/questions/{question.id}" if site else ""
        return Record(self._file, question.row, asked["Body"], url, " AND ".join(sorted(licenses)), meta)


def _load(posts: np.ndarray, starts: np.ndarray, texts: BinaryIO) -> Iterator[_Post]:
    for (_, name, score, row, size, kind, scored), start in zip(posts.tolist(), starts.tolist()):
        texts.seek(start)
        yield _Post(name, score if scored else None, row, kind, texts.read(size))


def _license(named: str) -> str:
    """A name such as `CC BY-SA 3.0` in SPDX's form."""
    if not named:
        return LICENSE
    return named.lower().replace(" ", "-") if re.fullmatch(r"[\w .+-]{1,40}", named) else "unknown"


def _integer(text: str | None) -> int | None:
    """An id or score: an integer of at most 18 digits, else None."""
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,18}", text) else None
