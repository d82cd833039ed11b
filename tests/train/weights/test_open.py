"""What `weights=` may name, and how a refusal says what was meant."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.states import CONFIG, trained
from train.checkpoint.tensors import save
from train.config import RunError
from train.weights.open import open_weights, refuse_unknown


def test_the_runs_of_a_folder_are_named_as_a_shell_takes_them(tmp_path):
    for name in ("plain", "with space"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    with pytest.raises(RunError) as refused:
        refuse_unknown(tmp_path)
    assert str(refused.value).endswith(f"choose one: {tmp_path}/plain, '{tmp_path}/with space'")


def test_a_folder_of_weights_with_a_runs_name_is_read_and_the_run_is_named(tmp_path, monkeypatch, capsys):
    """As `import output=smol`, then `train init=smol run=smol`, leaves them."""
    monkeypatch.chdir(tmp_path)
    for folder, step in ((Path("smol"), 0), (Path("runs/smol"), 7)):
        model, optimizer = trained()
        (folder / "checkpoints").mkdir(parents=True)
        shape = {"model": asdict(CONFIG), "tokenizer": "none", "fingerprints": {}}
        save(folder / "checkpoints", model, optimizer, {"step": step, **shape}, keep=1)
    said = "relama: reading the weights in ./smol, not the run runs/smol; give runs/smol for that\n"
    assert (open_weights(Path("smol")).step, capsys.readouterr().err) == (0, said)
    assert (open_weights(Path("runs/smol")).step, capsys.readouterr().err) == (7, "")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], "an adapter (LoRA), not a model; merge it"),
        (["adapter_config.json", "adapter_model.bin"], "an adapter (LoRA), not a model; merge it"),
        (["llama-7b.Q4_0.gguf"], "weights in GGUF, which is not read"),
        (
            ["lit_model.pth", "model_config.yaml"],
            "litgpt's weights; convert them (litgpt convert_from_litgpt)",
        ),
        (["step-100/.metadata", "step-100/__0_0.distcp"], "a distributed checkpoint of torch, but not a"),
        (
            [".metadata", "__0_0.distcp"],
            "a distributed checkpoint of torch, but not a complete one of Relama",
        ),
        (["step-100/.metadata", "step-100/state.json"], "its weights are in {}/step-100; give that folder"),
        (["latest_checkpointed_iteration.txt", "iter_0000100/.metadata"], "Megatron's checkpoint; export it"),
        (["mp_rank_00/model_optim_rng.pt"], "Megatron's checkpoint; export it"),
        (["original/params.json", "README.md"], "its weights are in {}/original; give that folder"),
        (
            ["refs/main", "snapshots/ab12/config.json"],
            "its weights are in {}/snapshots/ab12; give that folder",
        ),
        (["notes.txt"], "neither a run folder"),
    ],
)
def test_a_folder_of_another_kind_is_refused_with_what_to_give_instead(files, expected, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    with pytest.raises(RunError) as refused:
        refuse_unknown(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}: {expected.format(tmp_path)}")
