"""Which nodes are named, from made-up measurements."""

import copy
import itertools

from train.check.measures import rounds
from train.check.verdict import bad_nodes, problems, shown


def healthy(nodes: int = 4, per_node: int = 2) -> list[dict]:
    found = []
    for number in range(nodes * per_node):
        first = number % per_node == 0
        others = [other for other in range(0, nodes * per_node, per_node) if other != number]
        found.append(
            {
                "node": f"node{number // per_node}",
                "problems": [],
                "tokens": "abc",
                "versions": {"torch": "2.13.0"},
                "clock": 0.001 * number,
                "matrix": 1e14 * (1 + 0.01 * number),
                "memory": 1e12,
                "disk_write": 1e9 if first else None,
                "disk_read": 2e9 if first else None,
                "tokens_read": 1e8 if first else None,
                "remote_write": 1e8 if first else None,
                "remote_read": None,
                "pairs": {other: 2e10 for other in others} if first else {},
            }
        )
    return found


def test_healthy_machines_have_no_problem():
    assert problems(healthy()) == [] and bad_nodes(healthy()) == []
    assert problems(healthy(1, 1)) == []


def test_each_fault_names_its_node_and_no_other():
    for change in (
        {"matrix": 0.7e14},
        {"memory": 0.7e12},
        {"disk_write": 1e8},
        {"disk_read": 1e8},
        {"tokens_read": 1e7},
        {"remote_write": 1e7},
        {"versions": {"torch": "2.12.0"}},
        {"clock": -90.0},
        {"tokens": "abd"},
        {"problems": ["data: corpora: no such folder"]},
        {"pairs": {0: 1e9, 2: 1e9, 6: 1e9}},
    ):
        found = healthy()
        found[4] |= copy.deepcopy(change)  # the first rank of node2
        lines = problems(found)
        assert lines and all(line.startswith("node2:") for line in lines), (change, lines)
        assert bad_nodes(found) == ["node2"]


def test_a_wrong_clock_of_the_first_node_is_its_own_fault():
    found = healthy()
    for rank in found[2:]:
        rank["clock"] += 90.0  # all are measured against the first rank's
    (line,) = problems(found)
    assert line.startswith("node0: its clock is -90.0 s off most nodes'")
    assert bad_nodes(found) == ["node0"]


def test_a_name_within_another_is_not_that_node():
    found = healthy()
    for rank in found:
        rank["node"] = rank["node"].replace("node2", "xnode1")
    found[4]["memory"] = 1e11
    assert bad_nodes(found) == ["xnode1"]


def test_a_slow_link_names_both_ends():
    found = healthy()
    found[0]["pairs"][4] = found[4]["pairs"][0] = 1e9
    (line,) = problems(found)
    assert line == "node0 and node2: the link between them is slow: 1 GB/s, the median is 20 GB/s"


def test_if_all_nodes_are_bad_none_is_left_out():
    found = [rank | {"problems": ["data: missing"]} for rank in healthy()]
    assert bad_nodes(found) == []


def test_each_two_members_meet_once_in_rounds_of_disjoint_pairs():
    for count in range(1, 12):
        members = [3 * number for number in range(count)]
        met = rounds(members)
        for pairs in met:
            assert len({member for pair in pairs for member in pair}) == 2 * len(pairs)
        pairs = sorted(tuple(sorted(pair)) for pairs in met for pair in pairs)
        assert pairs == sorted(itertools.combinations(members, 2))
        assert len(met) <= count


def test_rates_have_three_digits_and_a_unit():
    assert shown(1.234e14, "FLOP/s") == "123 TFLOP/s" and shown(999.0, "B/s") == "999 B/s"
