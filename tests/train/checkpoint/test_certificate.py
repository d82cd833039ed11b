"""A checkpoint is verified only if the steps after it, replayed from it, are bitwise equal."""

import pytest
import torch

from tests.support.runs import learned, same_tensors, succeed
from tests.support.states import step, trained
from train.checkpoint import tensors
from train.checkpoint.certificate import Certifier
from train.checkpoint.folder import is_verified, step_folder
from train.checkpoint.saver import Saver
from train.checkpoint.staging import local_parts
from train.checkpoint.tensors import tensors_of


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("fault", ["none", "another loss", "another weight", "damaged", "its write failed"])
def test_the_run_continues_from_its_own_state_whatever_a_replay_finds(fault, tmp_path, capsys, monkeypatch):
    model, optimizer = trained()
    saver = Saver(tmp_path, keep=3)
    certifier = Certifier(saver, 2, torch.device("cpu"))
    if fault == "its write failed":
        monkeypatch.setattr(tensors, "commit", lambda *_: (_ for _ in ()).throw(OSError("no")))
    saver.save(model, optimizer, {"step": 1})
    certifier.saved(1)
    for number in (2, 3):
        saver.before_update()
        certifier.saw(number, step(model, optimizer, number))
        assert certifier.is_due(number) == (number == 3)
    before = {name: part.clone() for name, part in local_parts(tensors_of(model, optimizer))}
    saver.wait()
    folder = step_folder(tmp_path, 1)
    if fault == "damaged":
        flip_a_bit(folder / "__0_0.distcp")
    replayed = []

    def replay(first, last):
        replayed.extend(range(first, last + 1))
        losses = {number: step(model, optimizer, number) for number in range(first, last + 1)}
        if fault == "another loss":
            losses[3] += 1e-6
        if fault == "another weight":
            with torch.no_grad():
                next(model.parameters())[3, 5] += 1e-4
        return losses

    assert certifier.certify(model, optimizer, replay) == (fault == "none")
    assert is_verified(folder) == (fault == "none")
    assert replayed == ([] if fault in ("damaged", "its write failed") else [2, 3])
    for name, part in local_parts(tensors_of(model, optimizer)):
        assert torch.equal(part, before[name]), name
    output = capsys.readouterr().out
    assert {
        "none": "step-000001 is verified: replaying steps 2 to 3",
        "another loss": "NOT verified (step 3: loss ",
        "another weight": "NOT verified (the state after step 3 differs",
        "damaged": "NOT verified (__0_0.distcp was altered",
        "its write failed": "could not be saved",
    }[fault] in output
    assert output.count("\n") == 1


@pytest.mark.distributed
def test_a_run_with_certificates_is_the_run_without(corpora, tmp_path):
    settings = (
        f"corpora={corpora}",
        "steps=14",
        "checkpoint.every=4",
        "checkpoint.keep=1",
        "validate.every=7",
    )
    plain, verified = tmp_path / "plain", tmp_path / "verified"
    succeed(*settings, f"run={plain}", "checkpoint.asynchronous=false", ranks=2)
    finished = succeed(*settings, f"run={verified}", "checkpoint.verify=3", ranks=2)
    assert finished.stdout.count("is verified") == 2  # 4 and 8; step 12 is not followed by three steps
    assert learned(verified) == learned(plain)
    left = [path.name for path in sorted((verified / "checkpoints").glob("step-*"))]
    assert left == ["step-000008", "step-000014"]  # the last verified one is kept beyond `keep`
    same_tensors(verified / "checkpoints/step-000014", plain / "checkpoints/step-000014")


def test_more_steps_than_between_two_saves_are_refused(corpora, tmp_path):
    from tests.support.runs import run

    refused = run(
        f"corpora={corpora}", f"run={tmp_path / 'run'}", "checkpoint.every=4", "checkpoint.verify=4"
    )
    assert refused.returncode == 1
    assert "checkpoint.verify=4: expected 0 (none), or fewer steps than checkpoint.every=4" in refused.stderr
