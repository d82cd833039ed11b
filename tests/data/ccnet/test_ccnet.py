"""CCNet's rules against values worked out by hand, and its stages against plain sets."""

import hashlib
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data.ccnet.repeats
import data.folders
from data.ccnet import paragraphs, repeats
from data.documents import read_documents, text_files
from tests.support.web import draw_pages, packed, prepare, report, sentence, wet, write_dump

CONTROL = re.compile("[" + "".join(map(chr, [*range(32), *range(127, 160)])) + "]")


def by_definition(line: str) -> str:
    """CCNet's normalization, one step at a time."""
    line = line.strip().lower()
    line = re.sub(r"\d", "0", line)
    return CONTROL.sub("", "".join(mark for mark in line if mark not in paragraphs.PUNCTUATION))


@pytest.mark.parametrize(
    ("line", "normal"),
    [
        ("Hello, World! (1984)", "hello, world! (0000)"),  # ASCII punctuation is kept
        ("Café Ärger", "café ärger"),  # accents are kept
        ("“Yes” — he said…", "yes  he said"),
        ("１２ ٣ tea", "00 0 tea"),  # digits of any script; full-width 1 is one
        ("a\u007fb\x01c\u009fd", "abcd"),
    ],
)
def test_the_normal_form_and_the_hash_by_hand(line, normal):
    assert paragraphs.normalize(line) == normal
    (found,) = paragraphs.hashes(line)
    assert int(found) == int.from_bytes(hashlib.sha1(normal.encode()).digest()[:8], "little")


def test_a_known_hash():
    # printf 'hello' | sha1sum: aaf4c61ddcc5e8a2 dabede0f…
    assert paragraphs.hashes("HELLO").tobytes().hex() == "aaf4c61ddcc5e8a2"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
@settings(max_examples=100, deadline=None)
def test_a_text_is_normalized_line_by_line(lines):
    lines = [line.replace("\n", " ").strip() for line in lines]
    assert paragraphs.normalize("\n".join(lines)).split("\n") == [by_definition(line) for line in lines]


def kept_by_brute_force(files: list[list[list[int]]], group: int | None = None) -> list[list[list[int]]]:
    group = group or len(files)
    kept = []
    for place, pages in enumerate(files):
        together = files[place // group * group : (place // group + 1) * group]
        count = Counter(number for other in together for page in other for number in page)
        kept.append([[number for number in page if count[number] == 1] for page in pages])
    return kept


@pytest.fixture(scope="module")
def no_sync():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@given(
    seed=st.integers(0, 10**6),
    n_files=st.integers(1, 9),
    tasks=st.integers(1, 5),
    size=st.integers(1, 400),
    group=st.sampled_from([None, 1, 2, 3]),
)
@settings(max_examples=20, deadline=None)
def test_the_two_stages_find_exactly_the_repeats_that_a_set_finds(
    tmp_path_factory, no_sync, seed, n_files, tasks, size, group
):
    """For any division into tasks and ranges, including the lowest and highest hash."""
    files = draw_pages(seed, n_files)
    as_hash = {
        number: np.uint64(number * 0x9E3779B97F4A7C15 % 2**64) for page in files for p in page for number in p
    }
    as_hash |= {0: np.uint64(0), 1: np.uint64(2**64 - 1)}
    folder = tmp_path_factory.mktemp("hashed")
    no_sync.setattr(data.folders, "sync", lambda path: None)  # a third of a second on a slow disk
    no_sync.setattr(data.ccnet.repeats, "PARTITION", size)
    cut = [files[start::tasks] for start in range(tasks)]
    places = [list(range(n_files))[start::tasks] for start in range(tasks)]
    hashed = [folder / f"hashed{number}" for number in range(tasks)]
    for one, own, where in zip(hashed, cut, places):
        sets = [place // group if group else 0 for place in where]
        pages = [(number, page) for number, file in zip(sets, own) for page in file]
        repeats.write_hashes(
            ((number, np.array([as_hash[p] for p in page], paragraphs.HASH)) for number, page in pages), one
        )
    partitions = repeats.partitions(hashed)
    reduced = [(which, folder / f"partition{number}") for number, which in enumerate(partitions)]
    for which, made in random.Random(seed).sample(reduced, len(reduced)):
        repeats.reduce_partition(hashed, which, made)
    found: dict[int, list[list[int]]] = {}
    for number, (one, own, where) in enumerate(zip(hashed, cut, places)):
        repeated = repeats.repeated(one, number, reduced)
        with repeats.opened_order(one) as read_hashes:
            for place, file in zip(where, own):
                among = repeated[place // group if group else 0]
                going = [repeats.isin_sorted(read_hashes(len(page)), among) for page in file]
                found[place] = [[p for p, g in zip(page, gone) if not g] for page, gone in zip(file, going)]
    assert [found[place] for place in range(n_files)] == kept_by_brute_force(files, group)


def test_a_file_whose_name_is_not_utf_8_is_in_its_own_group(tmp_path):
    folder = tmp_path / "dump"
    folder.mkdir()
    page = "\n".join(["A title", *map(sentence, range(9))])
    for number, name in enumerate(("a.warc.wet.gz", "b\udcff.warc.wet.gz")):
        (folder / name).write_bytes(packed([wet(number, page)]))
    arguments = ["ccnet.skip=language,perplexity,references", "engine.workers=1", "ccnet.group=1"]
    assert prepare(folder, tmp_path / "c", *arguments) == 0
    assert report(tmp_path / "c")["kept"] == 2


@pytest.mark.parametrize("group", [None, 2])
def test_every_copy_of_a_repeated_paragraph_is_removed_even_the_first(tmp_path, group):
    folder = tmp_path / "dump"
    whole = write_dump(folder)
    arguments = [
        "ccnet.skip=language,perplexity,references",
        "engine.workers=1",
        f"ccnet.group={group or 'null'}",
    ]
    assert prepare(folder, tmp_path / "c", *arguments) == 0
    kept = kept_by_brute_force(whole, group)
    expected = {
        (f"{place}.warc.wet.gz", number): "\n".join(map(sentence, page))
        for place, pages in enumerate(kept)
        for number, page in enumerate(pages)
        if page
    }
    made = [page for path in text_files(tmp_path / "c/commoncrawl/text") for page in read_documents(path)]
    assert {(Path(page.file).name, page.record): page.text for page in made} == expected
    facts = report(tmp_path / "c")["paragraphs"]
    assert facts["read"] == sum(len(page) for pages in whole for page in pages)
    assert facts["read"] - facts["removed"] == sum(len(page) for pages in kept for page in pages)
