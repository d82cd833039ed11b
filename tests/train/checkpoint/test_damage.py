"""Any changed or missing byte of a checkpoint is detected; nothing hostile is executed."""

import enum
import json
import os
import pickle
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata

from tests.support.narrow import present
from tests.support.states import trained
from train.checkpoint.folder import damage, describe, newest_complete, read_state, render
from train.checkpoint.reader import read_metadata
from train.checkpoint.tensors import load, save
from train.config import RunError

FLIPS = 150  # of each file, at random offsets
CUTS = 50


@pytest.fixture
def saved(tmp_path):
    """Save two checkpoints of a run; returns the folder of the newer one."""
    model, optimizer = trained()
    order = {"weights": {"a": 0.1, "b": 1e-30}, "segments": [[0, 1, 2]]}
    for number in (1, 2):
        folder = save(tmp_path, model, optimizer, {"step": number, "order": order}, keep=2)
    return folder


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "state.json"])
def test_every_flipped_byte_and_every_cut_is_named(name, saved, capsys):
    path, seed = saved / name, random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole = path.read_bytes()
    places = range(len(whole)) if len(whole) < FLIPS else chance.sample(range(len(whole)), FLIPS)
    harmed = []
    for place in places:
        content = bytearray(whole)
        content[place] ^= chance.randint(1, 255)
        harmed.append(bytes(content))
    harmed += [whole[: chance.randrange(len(whole))] for _ in range(CUTS)]
    harmed += [whole + b"\0", whole + b"\n", b""]
    problems = []
    for content in harmed:
        path.write_bytes(content)
        problems = damage(saved)
        assert len(problems) == 1 and name in problems[0] and "\n" not in problems[0], problems
    found, state = present(newest_complete(saved.parent))  # the last of them
    assert state["step"] == 1 and found.name == "step-000001"
    assert f"{saved} is damaged ({problems[0]}); trying the one before" in capsys.readouterr().out
    path.write_bytes(whole)
    assert damage(saved) == [] and present(newest_complete(saved.parent))[1]["step"] == 2


def test_a_state_with_numbers_for_keys_is_read_as_it_is_written(tmp_path):
    model, optimizer = trained()
    skipped = {9: "spike", 10: "spike", 101: "spike"}
    folder = save(tmp_path, model, optimizer, {"step": 1, "skipped": skipped}, keep=1)
    assert read_state(folder)["skipped"] == {"9": "spike", "10": "spike", "101": "spike"}


def resealed(folder: Path) -> None:
    """Recompute the checksums, as an attacker who knows the format would."""
    state = json.loads((folder / "state.json").read_text())
    state.pop("xxh3")
    names = [name for name in state["files"] if (folder / name).is_file()]
    state["files"] |= describe([folder / name for name in names])
    (folder / "state.json").write_text(render(state))


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self):
        return os.mkdir, (str(self._place),)


def metadata_of(folder: Path) -> Metadata:
    return pickle.loads((folder / ".metadata").read_bytes())


def a_call(folder: Path, trap: Path) -> str:
    (folder / ".metadata").write_bytes(pickle.dumps(Hostile(trap)))
    return "posix.mkdir"


def a_call_hidden_deep(folder: Path, trap: Path) -> str:
    metadata = metadata_of(folder)
    metadata.planner_data["model.norm.weight"] = Hostile(trap)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return "posix.mkdir"


def a_name_of_python(folder: Path, trap: Path) -> str:
    (folder / ".metadata").write_bytes(
        b'cbuiltins\neval\n(S\'__import__("os").mkdir("%s")\'\ntR.' % bytes(trap)
    )
    return "builtins.eval"


def an_attribute_of_an_allowed_name(folder: Path, trap: Path) -> str:
    (folder / ".metadata").write_bytes(b"\x80\x04\x8c\x05torch\x8c\x08Size.mro\x93.")
    return "torch.Size.mro"


def an_attribute_that_is_no_member(folder: Path, trap: Path) -> str:
    class Attribute:
        def __reduce__(self):
            return getattr, (Metadata, "__init__")

    (folder / ".metadata").write_bytes(pickle.dumps(Attribute()))
    return "builtins.getattr of '__init__'"


def an_entry_that_torch_would_unpickle(folder: Path, trap: Path) -> str:
    metadata = metadata_of(folder)
    metadata.state_dict_metadata["model.norm.weight"] = BytesStorageMetadata()
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return "BytesStorageMetadata"


def a_file_elsewhere(folder: Path, trap: Path) -> str:
    metadata = metadata_of(folder)
    next(iter(metadata.storage_data.values())).relative_path = "../../elsewhere/__0_0.distcp"
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return "'../../elsewhere/__0_0.distcp', not a file of this folder"


def a_file_at_the_root(folder: Path, trap: Path) -> str:
    metadata = metadata_of(folder)
    next(iter(metadata.storage_data.values())).relative_path = "/etc/passwd"
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return "'/etc/passwd', not a file of this folder"


def not_metadata(folder: Path, trap: Path) -> str:
    (folder / ".metadata").write_bytes(pickle.dumps(torch.Size([1])))
    return "not a Relama checkpoint's metadata"


@pytest.mark.parametrize(
    "attack",
    [
        a_call,
        a_call_hidden_deep,
        a_name_of_python,
        an_attribute_of_an_allowed_name,
        an_attribute_that_is_no_member,
        an_entry_that_torch_would_unpickle,
        a_file_elsewhere,
        a_file_at_the_root,
        not_metadata,
    ],
)
def test_a_hostile_checkpoint_is_refused_by_name_and_nothing_of_it_runs(attack, saved, tmp_path):
    trap = tmp_path / "trap"
    named = attack(saved, trap)
    resealed(saved)
    assert damage(saved) == []  # its checksums are valid
    with pytest.raises(RunError) as refusal:
        load(saved, *trained())
    assert named in str(refusal.value) and str(saved) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not trap.exists()
    with pytest.raises(RunError):
        read_metadata(saved)


class OfPython311(pickle.Pickler):
    """Pickles an enum's members as Python 3.11.0 to 3.11.3 do; Debian 12 has 3.11.2."""

    def reducer_override(self, obj: object) -> Any:
        return (getattr, (type(obj), obj.name)) if isinstance(obj, enum.Enum) else NotImplemented


def test_a_checkpoint_written_by_an_early_python_3_11_is_read(saved):
    metadata = read_metadata(saved)
    with open(saved / ".metadata", "wb") as file:
        OfPython311(file).dump(metadata)
    assert b"getattr" in (saved / ".metadata").read_bytes()
    assert read_metadata(saved) == metadata


@pytest.mark.parametrize("name", ["../step-000001/__0_0.distcp", "/etc/passwd", "..", "x/__0_0.distcp"])
def test_a_state_that_names_files_elsewhere_is_refused(name, saved):
    state = json.loads((saved / "state.json").read_text())
    state.pop("xxh3")
    state["files"][name] = {"bytes": 1, "xxh3": ""}
    (saved / "state.json").write_text(render(state))
    (problem,) = damage(saved)
    assert repr(name) in problem and "not a Relama checkpoint" in problem


def test_a_link_in_place_of_a_file_counts_as_missing(saved, tmp_path):
    shutil.move(saved / "__0_0.distcp", tmp_path / "elsewhere")
    (saved / "__0_0.distcp").symlink_to(tmp_path / "elsewhere")
    assert damage(saved) == ["__0_0.distcp is missing"]
