"""Hugging Face datasets: we read datasets it saved, and it opens the files we write."""

import json

import datasets
import pytest
import yaml

from data.documents import SCHEMA, read_documents, text_files
from data.main import main
from data.prepare.everything import MEASURED
from data.tokens.store import TokenStore

ROWS = {
    "text": [f"document {i}, with words enough" for i in range(300)],
    "url": [f"https://e.org/{i}" for i in range(300)],
}
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software ...
The above copyright notice and this permission notice shall be included in all copies."""


@pytest.fixture
def saved(tmp_path):
    datasets.Dataset.from_dict(ROWS).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_a_saved_dataset_is_read_and_load_dataset_opens_what_we_write(saved, tmp_path):
    assert main(["recipe=text", "source=mine", f"input={saved}", f"output={tmp_path / 'made'}"]) == 0
    files = [str(path) for path in text_files(tmp_path / "made" / "text")]
    opened = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert not (tmp_path / "made" / "quarantine.jsonl").exists()
    assert opened["text"][:] == ROWS["text"] and opened["url"][:] == ROWS["url"]
    assert opened.column_names == SCHEMA.names
    assert opened["record"][:] == list(range(300))


def test_a_truncated_saved_dataset_is_quarantined(saved, tmp_path):
    (file,) = saved.glob("*.arrow")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert main(["recipe=text", "source=mine", f"input={saved}", f"output={tmp_path / 'made'}"]) == 1
    assert not (tmp_path / "made" / "text").exists()


def listed(tmp_path, **sources) -> str:
    (tmp_path / "dumps.yaml").write_text(yaml.safe_dump(sources))
    return f"input={tmp_path / 'dumps.yaml'}"


def prose(tmp_path, name: str, count: int = 400) -> str:
    path = tmp_path / f"{name}.jsonl"
    words = "the house of reason stands on a hill beyond every river and each road that leads there is long"
    with path.open("w") as file:
        for i in range(count):
            text = f"{name} {i}: {words} {' '.join(words.split()[i % 7 :])} {i * i}."
            file.write(json.dumps({"text": text, "url": f"https://{name}.org/{i}"}) + "\n")
    return str(path)


def test_all_sources_of_a_list_become_text_a_tokenizer_and_tokens(tmp_path, capsys):
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "LICENSE").write_text(MIT)
    (tmp_path / "repository" / "a.py").write_text("def add(first, second):\n    return first + second\n" * 9)
    arguments = [
        listed(
            tmp_path,
            c4=prose(tmp_path, "c4"),
            github=str(tmp_path / "repository"),
            mine=[prose(tmp_path, "mine")],
        ),
        "recipe=all",
        f"corpora={tmp_path / 'corpora'}",
        "vocab_size=320",
        "heldout=0.1",
        "data.weights.mine=3",
        "engine.workers=1",
    ]
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert "B of disk" in output.err and "hours on 1 cores" in output.err
    assert "data.sources=c4,github,mine" in output.out and output.out.count("Next") == 1
    stores = {
        name: TokenStore.open(tmp_path / "corpora" / name / "tokens") for name in ("c4", "github", "mine")
    }
    assert len({store.tokenizer_fingerprint for store in stores.values()}) == 1
    kept = [d for path in text_files(tmp_path / "corpora/mine/text") for d in read_documents(path)]
    assert len(kept) == 400 and {d.source for d in kept} == {"mine"}
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpora").rglob("*.bin")}
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made, "a second run makes nothing again"
    capsys.readouterr()
    assert main([*arguments, "stage=text"]) == 0
    assert capsys.readouterr().out.count("Next: the same command with stage=all") == 1


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["source: path"]),
        ("- a\n- b\n", ["source: path"]),
        ("c4: 3\n", ["c4", "a path"]),
        ("c4: [\n", ["cannot be read"]),
        ("c4: /no/such/place\n", ["/no/such/place"]),
        ("c4: README.md\nlanguages: en\n", ["languages: this is a key", "ccnet.languages=…"]),
        ("mine: README.md\n", ["mine", "data.weights.mine"]),
        ("'../x': README.md\n", ["../x"]),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused_in_one_line(tmp_path, capsys, content, parts):
    (tmp_path / "dumps.yaml").write_text(content)
    assert main(["recipe=all", f"input={tmp_path / 'dumps.yaml'}", f"corpora={tmp_path / 'c'}"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("relama: error: ") and all(part in error for part in parts)
    assert not (tmp_path / "c").exists()


def test_every_recipe_has_a_measured_speed():
    from data.prepare.config import RECIPES

    assert set(MEASURED) == set(RECIPES)
