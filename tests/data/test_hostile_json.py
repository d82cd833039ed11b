"""JSON files of strangers' stores and runs: whatever a value is replaced by, one line says what is wrong."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.explain import explain
from data.tokens.store import TokenStore, manifest_checksum
from tests.data.test_explain import run  # noqa: F401 - a fixture

VALUES = (None, {}, [], -1, 10**30, 1.5, "x", True, "../../etc/passwd", [[]], {"a": None})
DEEP = b"[" * 200_000


def places(tree: object, depth: int = 0) -> Iterator[tuple]:
    """The keys that lead to each value; of a list's entries, to the first."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (key,)
            yield from ((key, *rest) for rest in places(value))
    elif isinstance(tree, list) and tree:
        yield (0,)
        yield from ((0, *rest) for rest in places(tree[0]))


def altered(tree: dict) -> Iterator[tuple[tuple, object, dict]]:
    """The tree with each value in turn deleted, or replaced by each of VALUES."""
    for place in places(tree):
        for value in (..., *VALUES):
            other = copy.deepcopy(tree)
            at = other
            for key in place[:-1]:
                at = at[key]
            if value is ...:
                del at[place[-1]]
            else:
                at[place[-1]] = value
            yield place, value, other


def refusal(call, *arguments) -> str | None:
    """The refusal's text, None if there is none. Any other error passes."""
    try:
        call(*arguments)
    except DataError as error:
        assert "\n" not in str(error)
        return str(error)
    return None


def use(folder: Path) -> None:
    for split in ("train", "heldout"):
        store = TokenStore.open(folder, split)
        store.verify()
        store.read(0, min(1, store.n_tokens))
        list(store.documents(0, 1))


def test_a_manifest_with_any_other_value_is_used_or_refused(stores, tmp_path):
    folder = tmp_path / "tokens"
    shutil.copytree(next(iter(stores.values())).folder, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    n_refused = 0
    for place, value, other in altered(manifest):
        if place[0] == "xxh3":
            continue
        path.write_text(json.dumps({**other, "xxh3": manifest_checksum(other)}))
        try:
            said = refusal(use, folder)
        except Exception as error:
            raise AssertionError(f"{place} = {value!r}") from error
        assert said is None or str(folder) in said, (place, value, said)
        n_refused += said is not None
    assert n_refused > 100
    path.write_bytes(DEEP)
    assert str(path) in (refusal(use, folder) or "")


def test_an_order_with_any_other_value_is_explained_or_refused(run, tmp_path):  # noqa: F811
    path = run / "order.json"
    known = json.loads(path.read_text())
    n_refused = 0
    for place, value, other in altered(known):
        path.write_text(json.dumps(other))
        try:
            said = refusal(lambda: list(explain(run, 1, limit=1)))
        except Exception as error:
            raise AssertionError(f"{place} = {value!r}") from error
        n_refused += said is not None
    assert n_refused > 50
    path.write_bytes(DEEP)
    assert str(path) in (refusal(lambda: list(explain(run, 1, limit=1))) or "")
