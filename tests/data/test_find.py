"""What find says of a document is what reading the run sample by sample shows."""

import io
import re
import threading

import pytest

from data.documents import read_row
from data.errors import DataError
from data.explain import seen
from data.order import Order
from data.phases.selection import Wanted, select, shown, wanted_in
from data.phases.steps import Steps

STOP = 900


def test_the_samples_that_show_a_document_are_found_without_reading_the_others(stores):
    sizes = {length: {s: store.n_sequences(length) for s, store in stores.items()} for length in (100, 150)}
    order = Order.start(seed=2, weights={"prose": 2, "code": 1}, n_sequences=sizes[100], seq_len=100)
    order = order.change(300, weights={"prose": 1, "code": 3}, n_sequences=sizes[100], seq_len=100)
    order = order.change(600, weights={"prose": 1, "code": 1}, n_sequences=sizes[150], seq_len=150)
    order = order.skip(250, 330).skip(700, 720)
    steps = Steps(((0, 6), (100, 3)))
    for source, store in stores.items():
        n_shown = 0  # the run shows some documents in no sample
        for span in list(store.documents(0, store.n_tokens))[:12]:
            ranges = shown([span])
            ((low, high),) = ranges
            expected = {}
            for n in range(STOP):
                sample, length = order.locate(n), order.seq_len(n)
                start = sample.index * length
                both = set(range(start, start + length + 1)) & set(range(low, high))
                if sample.source == source and both:
                    expected[n] = len(both)
            found = list(seen(order, steps, source, ranges, STOP))
            assert {place.sample: place.tokens for place in found} == expected
            n_shown += bool(expected)
            for place in found:
                first = steps.sample(place.step - 1)
                assert first <= place.sample < first + steps.batch(place.step)
        assert n_shown >= 4


def test_documents_are_named_by_url_record_license_id_or_pattern(stores, tmp_path):
    store = stores["prose"]
    spans = list(store.documents(0, store.n_tokens))
    assert len(spans) == store.n_documents
    for span in spans[:3]:
        document = read_row(span.text_file, span.row)
        names = [document.url or document.id, document.id, f"{document.file}#{document.record}"]
        for name in names:
            assert select(stores, [Wanted.of(name)]) == {"prose": [span]}
        listed = tmp_path / "list.txt"
        listed.write_text(f"# a comment\n{document.id}\n\n{names[0]}\n")
        assert select(stores, wanted_in(str(listed))) == {"prose": [span]}
    for everything in ("re:.", "license:MIT"):
        counts = {source: len(found) for source, found in select(stores, wanted_in(everything)).items()}
        assert counts == {source: store.n_documents for source, store in stores.items()}


def test_the_nearest_names_of_an_unknown_document_are_shown(stores):
    store = stores["prose"]
    span = next(iter(store.documents(0, 1)))
    document = read_row(span.text_file, span.row)
    near = {
        f"{document.id}x": document.id,
        "license:no such": "; the nearest: mit",
        f"{document.file}x#0": document.file,
        f"{document.file}#99999999999999999999": "its file is known, without this record",
    }
    for name, expected in near.items():
        with pytest.raises(DataError) as refused:
            select(stores, [Wanted.of(name)])
        assert expected in str(refused.value)


def test_no_thread_of_arrow_reads_pythons_files(stores, monkeypatch):
    """One that still held such a file when Python ended would abort a command that has done its work."""
    readers = set()

    class Watched(io.FileIO):
        def read(self, size=-1, /):
            readers.add(threading.get_ident())
            return super().read(size)

    monkeypatch.setattr(
        "data.tokens.store.TokenStore.open_text", lambda store, number: Watched(store.text_files[number])
    )
    assert select(stores, wanted_in("license:MIT"))
    assert readers == {threading.get_ident()}


@pytest.mark.parametrize(
    "name", ["https://example.org/nothing", "nowhere.txt#7", "license:none such", "re:nothing", "re:("]
)
def test_a_document_that_no_store_knows_is_refused_in_one_line_with_what_to_do(stores, name, tmp_path):
    with pytest.raises(DataError) as refused:
        select(stores, wanted_in(name))
    said = str(refused.value)
    assert said.startswith(f"document={name}: ") and "\n" not in said
    assert name == "re:(" or re.search("; (the nearest: |give |a pattern is searched for in )", said)
    (listed := tmp_path / "list.txt").write_text(f"# a comment\n\n{name}\n")
    with pytest.raises(DataError) as refused:
        select(stores, wanted_in(str(listed), "without"))
    assert str(refused.value) == said.replace("document=", f"without={listed}, line 3: ")


def test_a_file_that_names_no_document_is_refused_with_its_key(tmp_path):
    (listed := tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match=f"^without={re.escape(str(listed))}: names no document"):
        wanted_in(str(listed), "without")
