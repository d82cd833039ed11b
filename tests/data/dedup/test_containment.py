"""The books dropped are those that brute force over all pairs finds, however books are split over files."""

import random
import re
import unicodedata
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import documents, folders
from data.dedup import containment, shingles
from data.documents import Document, write_parts


def naive_shingles(text: str) -> set[tuple[str, ...]]:
    folded = unicodedata.normalize("NFKD", text).casefold().replace("æ", "ae").replace("œ", "oe")
    words = re.findall(r"[^\W_]+", "".join(c for c in folded if not "\u0300" <= c <= "\u036f"))
    width = min(5, len(words))
    return {tuple(words[at : at + width]) for at in range(len(words) - width + 1)} if words else set()


def brute_force(texts: list[str]) -> dict[int, tuple[int, Fraction]]:
    """{book: (the kept book that contains most of it, the share)}; copies share the first one's fate."""
    sets = [naive_shingles(text) for text in texts]
    gone = {}
    by_rank = sorted(range(len(texts)), key=lambda book: (-len(sets[book]), book))
    for place, book in enumerate(by_rank):
        same = next(other for other in by_rank if sets[other] == sets[book])
        if same != book and sets[book]:
            gone[book] = gone.get(same, (same, Fraction(1)))
            continue
        holders = [other for other in by_rank[:place] if other not in gone and sets[book]]
        shares = [(Fraction(len(sets[book] & sets[other]), len(sets[book])), other) for other in holders]
        best = max((share for share, _ in shares), default=Fraction(0))
        if best > Fraction(9, 10):
            gone[book] = next(other for share, other in shares if share == best), best
    return gone


def measured(texts: list[str], folder: Path, sizes: list[int]) -> dict[int, tuple[int, float]]:
    """The result of the four stages, with the books in files of these sizes."""
    made = [Document(f"b:{i}", "books", text, "in", i) for i, text in enumerate(texts)]
    files, first = [], []
    while made:
        size = sizes[len(files) % len(sizes)]
        (place := folder / f"text-{len(files)}").mkdir()
        first.append(sum(1 for _ in texts) - len(made))
        files += write_parts(made[:size], place)
        made = made[size:]
    found = containment.contained(files, folder)
    assert found == sorted(found, key=lambda book: (book.file, book.row))
    return {
        first[book.file] + book.row: (first[book.held_by_file] + book.held_by_row, book.share)
        for book in found
    }


def assert_equal(found: dict, expected: dict) -> None:
    assert {book: holder for book, (holder, _) in found.items()} == {
        book: holder for book, (holder, _) in expected.items()
    }
    assert all(found[book][1] == float(share) for book, (_, share) in expected.items())


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Skip syncing: no test here simulates a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "sync", lambda path: None)
        yield


@pytest.fixture
def small(monkeypatch):
    """Low bounds, so that small corpora exercise every loop."""
    monkeypatch.setattr(documents, "GROUP_ROWS", 2)
    monkeypatch.setattr(containment, "SORTED", 200)
    monkeypatch.setattr(containment, "PARTITION", 2500)
    monkeypatch.setattr(containment, "CACHE", 1000)


WORDS = ["the", "sea", "Café", "don’t", "and", "«so»", "BOOK", "naïve", "1815", "end--of", "Æneas", "_it_"]


@st.composite
def corpora(draw) -> list[str]:
    """Books assembled from the same pieces, with a few words changed."""
    chance = draw(st.randoms(use_true_random=False))
    stock = [chance.choices(WORDS, k=chance.randrange(1, 40)) for _ in range(chance.randrange(2, 6))]
    texts = []
    for _ in range(draw(st.integers(2, 9))):
        words = [word for place in chance.choices(stock, k=chance.randrange(6)) for word in place]
        for _ in range(chance.randrange(3)):
            if words:
                words[chance.randrange(len(words))] = chance.choice(["", "other", "..."])
        texts.append(chance.choice([" ", "\n", ", "]).join(words[chance.randrange(5) :]))
    return texts


@settings(deadline=None, max_examples=80)
@given(corpora(), st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_dropped_books_are_those_that_brute_force_drops(texts, sizes):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(containment, "edition_key", lambda text, meta: 0)  # length alone decides
        assert_equal(measured(texts, Path(folder), sizes), brute_force(texts))


def library(seed: int) -> list[str]:
    """Novels, editions of them with more and fewer words changed, parts, anthologies, and copies."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(4000)]
    texts = []

    def novel(length: int) -> list[str]:
        return draw.choices(words, k=length)

    def edition(book: list[str], changed: float) -> list[str]:
        return [draw.choice(words) if draw.random() < changed else word for word in book]

    novels = [novel(draw.randrange(1500, 9000)) for _ in range(6)]
    for book in novels:
        texts += [book, edition(book, 0.004), edition(book, 0.018), edition(book, 0.021), edition(book, 0.05)]
        texts.append(book[draw.randrange(500) :])  # no beginning
        texts.append(book[: len(book) // 2] + novel(len(book) // 20))
    texts.append(novels[0] + novels[1])
    texts.append(novels[2] + edition(novels[3], 0.03))
    texts += [novels[4], list(novels[4]), novels[5][:300], novels[5][1000:1100], novel(200)]
    draw.shuffle(texts)
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize("seed", [2])
def test_long_books_looked_up_by_a_sample_give_the_result_of_brute_force(seed, tmp_path, small):
    texts = library(seed)
    expected = brute_force(texts)
    assert 15 < len(expected) < len(texts) - 10
    for number, sizes in enumerate([[len(texts)], [3, 1, 7]]):
        (tmp_path / str(number)).mkdir()
        assert_equal(measured(texts, tmp_path / str(number), sizes), expected)


def test_the_number_of_tasks_changes_nothing(tmp_path, monkeypatch):
    texts = library(3)
    found = []
    for size in (1 << 23, 6000, 1000):
        monkeypatch.setattr(containment, "PARTITION", size)
        (tmp_path / str(size)).mkdir()
        found.append(measured(texts, tmp_path / str(size), [5]))
        sketches = sorted((tmp_path / str(size)).glob("sketch-*"))
        counts = sorted((tmp_path / str(size)).glob("candidates-*"))
        files = sorted((tmp_path / str(size)).glob("text-*/*"), key=lambda path: int(path.parent.name[5:]))
        pieces = [tmp_path / str(size) / f"m{place}.npy" for place in range(4)]
        for place, out in enumerate(pieces):
            containment.measure(files, sketches, counts, place, 4, out)
        whole = np.load(tmp_path / str(size) / "measured.npy")
        assert np.array_equal(np.concatenate(list(map(np.load, pieces))), whole)
    assert found[0] == found[1] == found[2] != {}


def test_a_book_inside_a_dropped_book_is_kept_unless_another_contains_it(tmp_path):
    draw = random.Random(4)
    long = [f"w{i}" for i in range(1000)]
    middle = long[:440] + [f"m{i}" for i in range(36)]  # 91 % of it in the long one
    short = middle[150:]  # all of it in the middle one, 89 % in the long one
    texts = [" ".join(words) for words in (short, middle, long, draw.sample(long, 500))]
    found = measured(texts, tmp_path, [4])
    assert {book: holder for book, (holder, _) in found.items()} == {1: 2}
    assert_equal(found, brute_force(texts))


def test_a_book_is_dropped_above_nine_tenths_not_at_nine_tenths(tmp_path):
    long = [f"w{i}" for i in range(1000)]
    others = [f"x{i}" for i in range(10)]
    texts = [" ".join(words) for words in (long, long[:94] + others, long[500:595] + others)]
    found = measured(texts, tmp_path, [2])
    assert found == {2: (0, 91 / 101)} and brute_force(texts) == {2: (0, Fraction(91, 101))}


def test_many_editions_of_one_book_leave_the_longest_however_few_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(containment, "MAX_SHARED", 3)
    words = [f"w{i}" for i in range(3000)]
    texts = [" ".join([*words[:place], "x", *words[place:]]) for place in range(0, 3000, 100)]
    texts += [" ".join([*words, "and", "more"])] * 2
    found = measured(texts, tmp_path, [7])
    expected = brute_force(texts)
    assert found.keys() == expected.keys() and len(found) == len(texts) - 1


def test_short_books_in_a_long_one_are_missed_as_rarely_as_documented(tmp_path):
    draw = random.Random(5)
    long = [draw.choice("abcdefghijklmnopqrstuvwxyz") * draw.randrange(1, 9) for _ in range(60_000)]
    for length, found_of_300 in ((200, 300), (44, 290)):  # (7/8)^40 is 0.5 %
        (tmp_path / str(length)).mkdir()
        texts = [" ".join(long)] + [
            " ".join(long[at : at + length]) for at in draw.sample(range(len(long) - length), 300)
        ]
        found = measured(texts, tmp_path / str(length), [999])
        assert sum(holder == 0 for holder, _ in found.values()) >= found_of_300


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "ﬁn", "ΣΊΣΥΦΟΣ", "ïï", " ", "\n", "—", "ẞ"])).map(" ".join),
    st.integers(1, 40),
)
def test_shingles_do_not_depend_on_where_the_text_is_cut(text, piece):
    whole = shingles.shingles(text)
    assert len(whole) == len(naive_shingles(text)) and np.all(whole[1:] > whole[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "PIECE", piece)
        assert np.array_equal(shingles.shingles(text), whole)


def test_case_accents_and_punctuation_are_folded_and_words_are_not():
    one = "“Don’t,” said Ænéas — naïve as _ever_; the œuvre was FINISHED."
    other = "don't said aeneas\nnaive as Ever the oeuvre was 'finished'"
    assert np.array_equal(shingles.shingles(one), shingles.shingles(other))
    assert not np.isin(shingles.shingles("a b c d e"), shingles.shingles("a b c d f e")).any()
    assert len(shingles.shingles("滿紙荒唐言一把辛酸淚")) == 6  # each ideograph is a word
    assert len(shingles.shingles("* * *")) == 0


def test_texts_without_words_are_kept(tmp_path):
    assert measured(["* * *", "* * *", "…", "word"], tmp_path, [2]) == {}


def test_a_repeated_stage_keeps_the_first_output(tmp_path):
    (tmp_path / "text").mkdir()
    (file,) = write_parts([Document("a", "books", "one two three four five six", "in", 0)], tmp_path / "text")
    for _ in range(2):
        containment.sketch(file, tmp_path / "run")
        containment.candidates([tmp_path / "run"], 0, 1, tmp_path / "counts")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts", "run", "text"]
    assert not list(tmp_path.rglob("*.tmp"))


def kept_editions(folder: Path, texts: list[str], metas: list[str]) -> dict[int, int]:
    """{book: the kept book that contains it}, for books with what their headers declare."""
    (place := folder / "text").mkdir()
    made = [Document(f"b:{i}", "books", text, "in", i, meta=metas[i]) for i, text in enumerate(texts)]
    found = containment.contained(write_parts(made, place), folder)
    return {book.row: book.held_by_row for book in found}


BOOK = " ".join(f"word{n}" for n in range(2000))
LONGER = BOOK + " " + " ".join(f"more{n}" for n in range(50))  # each is in the other
PART = " ".join(BOOK.split()[:300])
ACCENTED = BOOK.replace("word1", "wörd1")  # the same words
ONE_ACCENT = BOOK.replace("word1 ", "wörd1 ")  # in 16,000 characters: no language with accents
OLD, NEW = '{"released": "1998-06"}', '{"released": "2008-08-26"}'


@pytest.mark.parametrize(
    ("texts", "metas", "held"),
    [
        ([LONGER, BOOK], [OLD, NEW], {0: 1}),  # the newer, though shorter
        ([LONGER, BOOK], [NEW, OLD], {1: 0}),
        ([LONGER, BOOK], ["{}", NEW], {1: 0}),  # the longer's date is unknown
        ([LONGER, BOOK], [NEW, NEW], {1: 0}),
        ([LONGER, BOOK], [NEW, NEW[:-1] + ', "edition": 11}'], {0: 1}),  # of a day, the higher number
        ([BOOK, BOOK.upper()], [OLD, NEW], {0: 1}),  # equal words
        ([BOOK, BOOK, BOOK], [OLD, NEW, OLD], {0: 1, 2: 1}),
        ([LONGER, BOOK, PART], [OLD, NEW, OLD], {0: 1, 2: 1}),  # a part is in both
        ([BOOK, PART], [OLD, NEW], {1: 0}),  # a newer part is not a newer edition
        ([BOOK, ACCENTED], [OLD, OLD], {0: 1}),  # in ASCII, as 7vrne10.txt beside 8vrne10.txt
        ([BOOK, ACCENTED, BOOK], ["{}", "{}", "{}"], {0: 1, 2: 1}),
        ([ACCENTED, BOOK], [OLD, NEW], {1: 0}),
        ([LONGER, ACCENTED], [NEW, OLD], {0: 1}),  # though longer and newer
        ([LONGER, BOOK, ACCENTED, PART], [NEW, NEW, OLD, OLD], {0: 2, 1: 2, 3: 2}),
        ([ACCENTED, ACCENTED.upper()], [OLD, NEW], {0: 1}),
        ([BOOK, ONE_ACCENT], [OLD, OLD], {1: 0}),
        ([LONGER, BOOK, " ".join(LONGER.split()[-100:])], [OLD, NEW, OLD], {0: 1}),  # only the older had it
    ],
)
def test_the_newer_of_two_editions_is_kept(tmp_path, texts, metas, held):
    assert kept_editions(tmp_path, texts, metas) == held
