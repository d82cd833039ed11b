"""A bad element of a JSON array costs itself: the elements around it come out once each, in order."""

import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.documents import Drop
from data.sources.files import limits
from data.sources.files.json_values import json_values

BAD = [
    '{"text": bad}',
    '{"text": tru}',
    '{"text": "comma", }',
    '{"text": "line\nend"}',
    '{"text": "escape \\x"}',
    "{'text': 'quotes'}",
    '{"text": "no end, "id": 1}',
    '{"text": "no brace", "meta": {"x": 1}',
    '{"text": "other bracket"]',
    '{"text" "no colon"}',
    '{"text": "no comma" "id": 1}',
    '{"text": "rows inside", "rows": [{"text": "a"}, {"text": bad}, {"text": "b"}]}',
    '{"text": "brackets } , { in a string", "x": \\}',
    "bare words",
    '"a string"',
    "17",
    '[{"text": "inside"}]',
]


def read(content: str) -> list[tuple[int, str]]:
    """The place and the text of each good element, and the place of each bad one."""
    items = json_values(io.BufferedReader(io.BytesIO(content.encode())), Path("a.json"))
    return [(item.record, "bad") if isinstance(item, Drop) else (item[0], item[1]["text"]) for item in items]


def good(number: int) -> str:
    return json.dumps({"text": f"Good {number}", "meta": [{"text": "}, {"}]})


@pytest.mark.parametrize("separator", [", ", ",\n  "])
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_element_costs_itself(bad, separator):
    array = "[" + separator.join([good(0), bad, good(2), good(3)]) + "]"
    assert read(array) == [(0, "Good 0"), (1, "bad"), (2, "Good 2"), (3, "Good 3")]
    assert read("[" + separator.join([good(0), bad]) + "]") == [(0, "Good 0"), (1, "bad")]


@given(st.lists(st.sampled_from([None, None, *BAD]), min_size=1, max_size=12))
def test_good_elements_around_bad_ones_come_out_once(elements):
    array = ", ".join(good(number) if bad is None else bad for number, bad in enumerate(elements))
    found = read(f"[{array}]")
    kept = [text for _, text in found if text != "bad"]
    assert kept == [f"Good {number}" for number, bad in enumerate(elements) if bad is None]


def test_objects_over_several_lines_are_read_past_a_bad_one():
    objects = '{\n"text": "one"\n}\n{\n"text": bad\n}\n{"text": "three"}'
    assert read(objects) == [(0, "one"), (1, "bad"), (2, "three")]


def test_an_element_above_the_bound_costs_itself():
    array = f'[{good(0)}, {{"text": "{"x" * (3 << 20)}"}}, {good(2)}]'
    with limits.within(limits.Limits(record_bytes=1 << 20)):
        assert read(array) == [(0, "Good 0"), (1, "bad"), (2, "Good 2")]


def test_many_bad_elements_take_linear_time_and_a_file_without_good_ones_is_given_up():
    bad = ", ".join(['{"text": "no brace", "meta": {"x": 1}'] * 20_000)
    begin = time.process_time()
    found = read(f"[{good(0)}, {bad}, {good(1)}]")
    assert (len(found), found[-1]) == (20_002, (20_001, "Good 1"))
    assert len(read("[" + "x, " * 100_000 + good(0) + "]")) < 2000
    assert time.process_time() - begin < 60
