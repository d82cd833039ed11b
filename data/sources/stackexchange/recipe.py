"""Stack Exchange: questions, each with its answers, the highest score first.

In: `Posts.xml`, alone or in a `.7z`, or a folder of these, of which the 28 largest sites are taken
(paper §2.1). Out: a document for each question, `Q: title`, its body, then `A: …` for each answer, parted by
empty lines: the marks that The Pile and RedPajama wrote, so that it can be told where an answer begins.
Posts are parted by their question's id into temporary runs, and joined one run at a time: the memory taken
does not grow with the dump, and neither the rows' order nor the number of runs changes the documents.
"""

import json
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data.documents import Document, Drop, Record
from data.sources import rows
from data.sources.stackexchange.html_text import html_to_text
from data.sources.stackexchange.posts import Rows, Unreadable, read_posts, unpacked_size

VERSION = 1  # of what this recipe gives: raise it when the same input gives other text
DUPLICATES = None  # ids tell a site's posts apart
SITES = 28  # of a folder (paper §2.1)
LICENCE = "cc-by-sa-4.0"  # of a post that does not say (dumps of before 2018 do not)

RUN_BYTES = 64 << 20  # of XML, about, that are joined at once
MAX_RUNS = 100  # files open at once are twice as many
MAX_QUESTION = 32 << 20  # bytes of a question and its answers
SLICE_BYTES = 8 << 30  # of XML, or a quarter of that packed, that one task reads; every task parses all of it
MAX_SLICES = 16

_INPUT = "Posts.xml, a site's .7z, or a folder of these"
_QUESTION, _ANSWER = 1, 2
_OTHERS = {
    3: "orphaned tag wiki",
    4: "tag wiki excerpt",
    5: "tag wiki",
    6: "moderator nomination",
    7: "wiki placeholder",
    8: "privilege wiki",
}
# Sites with a domain of their own; all others are under stackexchange.com.
_DOMAINS = ("stackoverflow.com", "superuser.com", "serverfault.com", "askubuntu.com", "mathoverflow.net")
_DOMAINS += ("stackapps.com", "stackexchange.com")
# Stack Overflow's tables come in an archive each; only this one is read.
_OTHER_TABLES = re.compile(r"[-.](badges|comments|posthistory|postlinks|tags|users|votes)\.(7z|xml)$", re.I)
_POSTS = re.compile(r"(?:^|[-._])posts$", re.I)

# A post in a run; its text is in another file, as `_TEXT` fields parted by NULs, which XML cannot hold.
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
_TEXT = ("Title", "Tags", "ContentLicense", "LastActivityDate", "Body")
_SPREAD = 0x9E3779B97F4A7C15  # odd, so that no two ids are spread to the same 64 bits


def inputs(path: Path) -> list[Path]:
    """The file, or the 28 largest sites under a folder; of a site that is there twice the larger file.

    A site is as large as its file. Meta sites are sites of their own.
    """
    if path.is_file() and path.name.lower().endswith((".xml", ".7z")):
        return [path]
    found: dict[str, tuple[int, str, Path]] = {}
    for file in rows.visible_files(path) if path.is_dir() else []:
        if _is_posts(file):
            sized = (file.stat().st_size, str(file), file)
            site = site_of(file) or str(file)
            found[site] = max(found.get(site, sized), sized)
    if not found:
        raise rows.expected(path, _INPUT)
    largest = sorted(found.values(), key=lambda sized: (-sized[0], sized[1]))[:SITES]
    return sorted(file for _, _, file in largest)


def slices(path: Path) -> int:
    """How many slices a file is read in."""
    size = path.stat().st_size * (4 if path.name.lower().endswith(".7z") else 1)
    return min(MAX_SLICES, max(1, size // SLICE_BYTES))


def read(path: Path, index: int = 0, n_slices: int = 1) -> Iterator[Record | Drop]:
    """Every question with its answers, and what is left over. Raises Unreadable after what could be read."""
    broken = None
    n_runs = min(MAX_RUNS, max(1, unpacked_size(path) // n_slices // RUN_BYTES))
    with tempfile.TemporaryDirectory(prefix="relama-posts-") as folder:
        with ExitStack() as files:
            runs = _Runs(Path(folder), str(path), n_runs, index, n_slices, files)
            try:
                read_posts(path, Rows(runs.add, runs.bad))
            except Unreadable as error:
                broken = error
        yield from runs.dropped()
        for run in range(n_runs):
            yield from runs.join(run, site_of(path))
    if broken and index == 0:
        raise broken


def clean(record: Record, *, source: str = "stackexchange") -> Document | Drop:
    """The question and its answers as text; answers without any are left out."""
    question = "\n\n".join(filter(None, (" ".join(record.meta["title"].split()), html_to_text(record.text))))
    if not question:
        return record.drop("empty")
    texts = [html_to_text(answer["html"]) for answer in record.meta["answers"]]
    scores = [{"id": answer["id"], "score": answer["score"]} for answer in record.meta["answers"]]
    answers = [score for score, text in zip(scores, texts) if text]
    text = "\n\n".join(["Q: " + question, *("A: " + text for text in texts if text)])
    return replace(record, meta=record.meta | {"answers": answers}).document(source, text)


def site_of(path: Path) -> str:
    """The site's host by the name of its archive, file or folder; "" where that is none."""
    stem = path.name.lower().removesuffix(".7z").removesuffix(".xml")
    says_posts = _POSTS.search(stem) is not None
    stem = _POSTS.sub("", stem)
    if says_posts and not stem:
        return _host(path.parent.name.lower())
    return _host(stem, known=says_posts)


def _host(name: str, known: bool = False) -> str:
    """`coffee.stackexchange.com` of itself, and of `coffee` if that is known to name a site."""
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", name):
        return ""
    if not name.endswith(_DOMAINS):
        if not known:
            return ""
        own = next((domain for domain in _DOMAINS if name.split(".")[-1] == domain.split(".")[0]), "")
        name = name + own.removeprefix(own.split(".")[0]) if own else f"{name}.stackexchange.com"
    # Metas had the name before their site's until 2017.
    return re.sub(r"^meta\.(.+)\.stackexchange\.com$", r"\1.meta.stackexchange.com", name)


def _is_posts(file: Path) -> bool:
    name = file.name.lower()
    if name.endswith(".7z"):
        return not _OTHER_TABLES.search(name)
    return name.endswith(".xml") and _POSTS.search(name.removesuffix(".xml")) is not None


@dataclass
class _Post:
    """A row that was written to a run."""

    id: int
    score: int | None
    row: int
    kind: int
    content: bytes

    def text(self) -> dict[str, str]:
        return dict(zip(_TEXT, self.content.decode().split("\0")))

    def rank(self) -> tuple:
        """Of two that claim the same id, the one touched last; then whatever is the same in any order."""
        return self.text()["LastActivityDate"], self.score is not None, self.score or 0, self.content


class _Runs:
    """Posts, each in the run that its question's id falls to: ranges of the spread ids."""

    def __init__(
        self, folder: Path, file: str, n_runs: int, index: int, n_slices: int, files: ExitStack
    ) -> None:
        self._folder, self._file = folder, file
        self._first, self._all = index * n_runs, n_slices * n_runs
        self._posts = [files.enter_context(self._path(run, "posts").open("wb")) for run in range(n_runs)]
        self._texts = [files.enter_context(self._path(run, "texts").open("wb")) for run in range(n_runs)]
        self._drops = files.enter_context(self._path(0, "drops").open("w"))

    def _path(self, run: int, what: str) -> Path:
        return self._folder / f"{run:03d}.{what}"

    def _run_of(self, number: int) -> int:
        return ((number * _SPREAD % 2**64) * self._all >> 64) - self._first

    def add(self, row: int, attributes: dict[str, str]) -> None:
        """Take a row of the file: into a run, or among what is dropped."""
        kind, name = _whole(attributes.get("PostTypeId")), _whole(attributes.get("Id"))
        question = name if kind == _QUESTION else _whole(attributes.get("ParentId"))
        if kind is None:
            self.bad(row, "no PostTypeId", f"Id {name}")
        elif kind not in (_QUESTION, _ANSWER):
            reason = f"post type {kind}: {_OTHERS[kind]}" if kind in _OTHERS else "unknown post type"
            self._drop(row, reason, f"Id {name}, PostTypeId {kind}")
        elif name is None or question is None:
            self.bad(row, "no Id" if name is None else "answer without ParentId", f"Id {name}")
        else:
            run = self._run_of(question)
            if 0 <= run < len(self._posts):
                content = "\0".join(attributes.get(key, "") for key in _TEXT).encode()
                score = _whole(attributes.get("Score"))
                head = _POST.pack(question, name, score or 0, row, len(content), kind, score is not None)
                self._posts[run].write(head)
                self._texts[run].write(content)

    def bad(self, row: int, reason: str, detail: str) -> None:
        """Note a row that is not as it should be."""
        self._drop(row, reason, detail, malformed=True)

    def _drop(self, row: int, reason: str, detail: str, malformed: bool = False) -> None:
        if 0 <= self._run_of(row) < len(self._posts):
            print(json.dumps([reason, row, detail, malformed]), file=self._drops)

    def dropped(self) -> Iterator[Drop]:
        """What was noted while reading."""
        with self._path(0, "drops").open() as lines:
            for line in lines:
                reason, row, detail, malformed = json.loads(line)
                yield Drop(reason, self._file, row, detail, malformed)

    def join(self, run: int, site: str) -> Iterator[Record | Drop]:
        """The questions of a run with their answers, in the order of the spread ids."""
        posts = np.fromfile(self._path(run, "posts"), _POSTS_DTYPE)
        starts = np.cumsum(posts["bytes"], dtype=np.int64) - posts["bytes"]
        spread = posts["question"].astype(np.uint64) * np.uint64(_SPREAD)
        order = np.lexsort((posts["row"], posts["id"], -posts["score"], posts["kind"], spread))
        edges = np.flatnonzero(np.diff(spread[order])) + 1
        with self._path(run, "texts").open("rb", buffering=0) as texts:
            for group in np.split(order, edges) if len(order) else []:
                if posts["bytes"][group].sum(dtype=np.int64) + len(group) * _POST.size > MAX_QUESTION:
                    reason = f"question larger than {MAX_QUESTION >> 20} MiB"
                    yield from (
                        self._left(row, reason, malformed=True) for row in posts["row"][group].tolist()
                    )
                    continue
                yield from self._joined(self._load(posts[group], starts[group], texts), site)

    def _load(self, posts: np.ndarray, starts: np.ndarray, texts) -> Iterator[_Post]:
        for (_, name, score, row, size, kind, scored), start in zip(posts.tolist(), starts.tolist()):
            texts.seek(start)
            yield _Post(name, score if scored else None, row, kind, texts.read(size))

    def _joined(self, posts: Iterator[_Post], site: str) -> Iterator[Record | Drop]:
        """One question and its answers, in order, as a record."""
        kept: dict[tuple[int, int], _Post] = {}
        for post in posts:
            other = kept.setdefault((post.kind, post.id), post)
            if other is post:
                continue
            if (other.content, other.score) == (post.content, post.score):
                yield self._left(post.row, "duplicate post", f"Id {post.id}")
                continue
            kept[post.kind, post.id], less = (post, other) if post.rank() > other.rank() else (other, post)
            yield self._left(less.row, "duplicate id, other content", f"Id {less.id}")
        answers = sorted(kept.values(), key=lambda post: (post.kind, -(post.score or 0), post.id))
        if answers[0].kind == _QUESTION:
            yield self._record(answers[0], answers[1:], site)
        else:
            yield from (self._left(post.row, "orphan answer", f"Id {post.id}") for post in answers)

    def _left(self, row: int, reason: str, detail: str = "", malformed: bool = False) -> Drop:
        return Drop(reason, self._file, row, detail, malformed)

    def _record(self, question: _Post, answers: list[_Post], site: str) -> Record:
        asked, said = question.text(), [answer.text() for answer in answers]
        licences = {_licence(text["ContentLicense"]) for text in (asked, *said)}
        unscored = sum(post.score is None for post in (question, *answers))
        meta = {
            "site": site,
            "id": question.id,
            "title": asked["Title"],
            "tags": [tag for tag in re.split(r"[<>|]+", asked["Tags"]) if tag],
            "score": question.score,
            "answers": [
                {"id": answer.id, "score": answer.score, "html": text["Body"]}
                for answer, text in zip(answers, said)
            ],
        } | ({"missing_scores": unscored} if unscored else {})
        url = f"https://{site}/questions/{question.id}" if site else ""
        return Record(self._file, question.row, asked["Body"], url, " AND ".join(sorted(licences)), meta)


def _licence(said: str) -> str:
    """`CC BY-SA 3.0` as SPDX writes it."""
    if not said:
        return LICENCE
    return said.lower().replace(" ", "-") if re.fullmatch(r"[\w .+-]{1,40}", said) else "unknown"


def _whole(text: str | None) -> int | None:
    """A number of at most 18 digits, which is what an id or a score can be."""
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,18}", text) else None
