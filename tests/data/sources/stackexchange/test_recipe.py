"""Posts become questions with their answers, the best answer first, whatever the order in the file."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Drop
from data.sources.stackexchange import partitions, posts, recipe
from tests.support.stackexchange import (
    SITE,
    answer,
    documents,
    items,
    only,
    question,
    reasons,
    row,
    site,
    texts,
    xml,
)

# ---- the document


def test_answers_follow_by_their_score_as_a_number_and_ties_by_their_id(tmp_path):
    scores = {11: 9, 12: 100, 13: -3, 14: 10, 15: 10, 16: 0}
    rows = [answer(name, 1, score, f"<p>by {name}</p>") for name, score in reversed(scores.items())]
    document = only(
        items(site(tmp_path, [*rows, question(1, "Which tea?", "<p>I <b>ask</b>.</p>", Score=7)]))
    )
    answers = "\n\n".join(f"A: by {name}" for name in (12, 14, 15, 11, 16, 13))
    assert document.text == f"Q: Which tea?\n\nI ask.\n\n{answers}"
    assert document.url == f"https://{SITE}/questions/1" and document.record == 6
    meta = json.loads(document.meta)
    assert [(answer["id"], answer["score"]) for answer in meta["answers"]] == [
        (12, 100),
        (14, 10),
        (15, 10),
        (11, 9),
        (16, 0),
        (13, -3),
    ]
    assert (meta["site"], meta["id"], meta["title"], meta["score"]) == (SITE, 1, "Which tea?", 7)


def test_a_question_without_answers_is_kept_and_an_empty_answer_is_not_written(tmp_path):
    rows = [question(1, "One"), question(2, "Two"), answer(3, 2, body="<p> </p>"), answer(4, 2, 0)]
    assert texts(items(site(tmp_path, rows))) == {"Q: One\n\nAsked.", "Q: Two\n\nAsked.\n\nA: Said."}


def test_an_empty_question_is_dropped(tmp_path):
    rows = [question(1, " ", "<p></p>"), answer(2, 1), row(Id=3, PostTypeId=1, Score=1)]
    assert reasons(items(site(tmp_path, rows))) == {"empty": 2}


def test_entities_are_decoded_once_and_a_title_is_plain_text(tmp_path):
    body = (
        "<p>&amp;lt; &lt;b&gt; &amp;amp;</p><pre><code>if a &lt; b:\n\n\treturn &quot;&quot;\n</code></pre>"
    )
    document = only(items(site(tmp_path, [question(1, "Is <b> &amp; bold?", body)])))
    assert document.text == 'Q: Is <b> &amp; bold?\n\n&lt; <b> &amp;\n\nif a < b:\n\n\treturn ""'


@pytest.mark.parametrize(
    ("tags", "names"), [("<a-b><c#>", ["a-b", "c#"]), ("|a-b|c#|", ["a-b", "c#"]), ("", [])]
)
def test_tags_are_read_as_old_and_new_dumps_write_them(tmp_path, tags, names):
    document = only(items(site(tmp_path, [question(1, Tags=tags)])))
    assert json.loads(document.meta)["tags"] == names


def test_the_license_is_the_one_named_in_the_posts(tmp_path):
    three, four = {"ContentLicense": "CC BY-SA 3.0"}, {"ContentLicense": "CC BY-SA 4.0"}
    rows = [question(1), question(2, **three), question(3, **three), answer(4, 3, **four)]
    rows += [question(5, ContentLicense="\t!")]
    found = {document.url[-1]: document.licence for document in documents(items(site(tmp_path, rows)))}
    assert found == {
        "1": "cc-by-sa-4.0",
        "2": "cc-by-sa-3.0",
        "3": "cc-by-sa-3.0 AND cc-by-sa-4.0",
        "5": "unknown",
    }


def test_a_missing_score_counts_as_zero_and_is_recorded(tmp_path):
    rows = [question(1, Score=None), answer(2, 1, None), answer(3, 1, -1), answer(4, 1, 1)]
    document = only(items(site(tmp_path, [*rows, answer(5, 1, Score="many")])))
    meta = json.loads(document.meta)
    assert [answer["id"] for answer in meta["answers"]] == [4, 2, 5, 3]
    assert meta["answers"][1]["score"] is None and meta["score"] is None and meta["missing_scores"] == 3


# ---- drops


def test_other_types_are_counted_by_type(tmp_path):
    rows = [
        row(Id=n, PostTypeId=kind, Body="x") for n, kind in enumerate([3, 4, 4, 5, 99, -7, "1e3", None], 1)
    ]
    assert reasons(items(site(tmp_path, rows))) == {
        "post type 3: orphaned tag wiki": 1,
        "post type 4: tag wiki excerpt": 2,
        "post type 5: tag wiki": 1,
        "unknown post type": 2,
        "no PostTypeId": 2,
    }


def test_orphans_and_posts_without_an_id_are_counted_with_their_place(tmp_path):
    rows = [
        answer(1, 7),
        question(2),
        row(PostTypeId=1, Title="x"),
        row(PostTypeId=2, Id=5),
        answer("9" * 5000, 2),
    ]
    found = items(site(tmp_path, rows))
    dropped = {(item.reason, item.record, item.malformed) for item in found if isinstance(item, Drop)}
    assert dropped == {
        ("orphan answer", 0, False),
        ("no Id", 2, True),
        ("answer without ParentId", 3, True),
        ("no Id", 4, True),
    }
    assert len(documents(found)) == 1


def test_the_most_recently_active_post_of_a_repeated_id_is_kept(tmp_path):
    old, new = (
        {"LastActivityDate": "2015-01-01T00:00:00.000"},
        {"LastActivityDate": "2016-01-01T00:00:00.000"},
    )
    rows = [question(1), question(1), answer(2, 1, body="new", **new), answer(2, 1, 5, body="old", **old)]
    found = items(site(tmp_path, rows))
    assert texts(found) == {"Q: Why?\n\nAsked.\n\nA: new"}
    assert reasons(found) == {"duplicate post": 1, "duplicate id, different content": 1}


def test_a_question_too_large_to_join_is_dropped_post_by_post(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "MAX_QUESTION", 1000)
    rows = [question(1), *(answer(n, 1, body="x" * 100) for n in range(2, 12)), question(20)]
    found = items(site(tmp_path, rows))
    assert len(documents(found)) == 1 and len(found) == 12
    assert all(item.malformed for item in found if isinstance(item, Drop))


# ---- the same from any order, number of partitions and slices

ids = st.integers(1, 6)
bodies = st.sampled_from(["<p>a</p>", "b &lt; c", "", "<pre>x\n y</pre>"])
dates = st.sampled_from(["2015", "2016"])
scores = st.one_of(st.none(), st.integers(-3, 12))
some_posts = st.lists(
    st.one_of(
        st.builds(question, ids, st.sampled_from(["T", "U"]), bodies, Score=scores, LastActivityDate=dates),
        st.builds(answer, st.integers(4, 12), ids, scores, bodies, LastActivityDate=dates),
        st.builds(row, Id=ids, PostTypeId=st.sampled_from([3, 5, None])),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=80)
@given(some_posts, st.randoms(use_true_random=False))
def test_any_order_of_the_rows_gives_the_same_documents_in_the_same_order(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        first = items(site(Path(folder), rows))
        second = items(site(Path(folder), shuffled))
    known = [[(document.id, document.meta) for document in documents(found)] for found in (first, second)]
    assert known[0] == known[1]
    posts_in = Counter(made["Id"] for made in rows if made.get("PostTypeId") == "1")
    assert len(documents(first)) + reasons(first).get("empty", 0) == len(posts_in)
    assert len(first) - len(documents(first)) == len(second) - len(documents(second))


@settings(deadline=None, max_examples=60)
@given(some_posts, st.integers(1, 9), st.integers(1, 4))
def test_partitions_and_slices_change_nothing(rows, n_partitions, n_slices):
    with tempfile.TemporaryDirectory() as folder:
        path = site(Path(folder), rows)
        whole = items(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recipe, "PARTITION_BYTES", max(1, path.stat().st_size // n_partitions))
            assert items(path) == whole
            pieces = [item for index in range(n_slices) for item in items(path, index, n_slices)]
    assert documents(pieces) == documents(whole)
    assert Counter(map(repr, pieces)) == Counter(map(repr, whole))


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_the_pieces_in_which_a_file_is_parsed_change_nothing(tmp_path, monkeypatch, piece):
    lines = xml([question(1, "Ä" * 30), answer(2, 1), question(3), answer(4, 3), question(5)]).split("\n")
    lines[3] = lines[3].replace("Said", "S&id")
    lines[5] = lines[5].replace(" />", "")
    path = site(tmp_path, "\n".join(lines))
    whole = items(path)
    monkeypatch.setattr(posts, "PIECE", piece)
    assert items(path) == whole
    assert len(documents(whole)) == 3 and reasons(whole) == {"malformed record": 2}
