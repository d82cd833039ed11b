"""`benchmarks=FOLDER` with copies of the Hub's datasets: the same scores as from JSON lines."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.evaluation import documents, questions, run

lm_eval = pytest.importorskip("lm_eval")

# Where the Hub keeps each dataset's files, and what else lies beside them.
PLACES = {
    "piqa": "data/{split}-00000-of-00001.parquet",
    "boolq": "boolq/{split}-00000-of-00001.parquet",
    "arc_easy": "ARC-Easy/{split}-00000-of-00002.parquet",
    "openbookqa": "main/{split}/0000.parquet",
    "siqa": "{split}.parquet",
}
OTHERS = {
    "arc_easy": "ARC-Challenge/{split}-00000-of-00001.parquet",
    "boolq": "axb/test-00000-of-00001.parquet",
}


def copied(root, name, place, rows):
    for split in ("train", "validation", "test"):
        path = root / name / place.format(split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture
def hub(tmp_path):
    for name, place in PLACES.items():
        copied(tmp_path / "hub", name, place, documents()[name])
        if name in OTHERS:
            copied(tmp_path / "hub", name, OTHERS[name], documents()["winogrande"])
        (tmp_path / "hub" / name / "README.md").write_text("---\nlicense: mit\n---\n")
    return tmp_path / "hub"


def scores(folder) -> dict:
    found = {path.relative_to(folder): json.loads(path.read_text()) for path in folder.rglob("*.json")}
    return {
        path: {key: value for key, value in score.items() if key != "identity"}
        for path, score in found.items()
    }


def test_a_copy_of_the_hubs_dataset_gives_the_scores_of_its_documents(folder, benchmarks, hub, tmp_path):
    tasks = f"tasks=[{','.join(PLACES)}]"
    assert run(folder, benchmarks, tmp_path / "lines", tasks) == 0
    assert run(folder, hub, tmp_path / "copies", tasks) == 0
    assert scores(tmp_path / "copies") == scores(tmp_path / "lines")
    before = scores(tmp_path / "copies")
    copied(hub, "piqa", PLACES["piqa"], [row | {"label": 0} for row in documents()["piqa"]])
    assert run(folder, hub, tmp_path / "copies", tasks) == 0
    assert [path.name for path, score in scores(tmp_path / "copies").items() if score != before[path]] == [
        path.name for path in before if path.name.startswith("piqa")
    ]


def test_the_records_that_a_download_keeps_beside_its_files_are_not_data(folder, hub, tmp_path, monkeypatch):
    assert run(folder, hub, tmp_path / "out", "tasks=[siqa]", "protocols=[paper]") == 0
    records = hub / "siqa" / ".cache" / "huggingface" / "download"
    records.mkdir(parents=True)
    (records / "validation.parquet.metadata").write_text("downloaded again")
    monkeypatch.setattr("train.evaluation.tasks.score", None)  # so nothing can be computed
    assert run(folder, hub, tmp_path / "out", "tasks=[siqa]", "protocols=[paper]") == 0


def test_mmlu_and_other_tasks_read_copies_too(folder, tmp_path, capsys):
    subject = tmp_path / "hub" / "mmlu" / "abstract_algebra"
    subject.mkdir(parents=True)
    for split, count in (("dev", 5), ("test", 4)):
        pq.write_table(
            pa.Table.from_pylist(questions("abstract_algebra", count)), subject / f"{split}-0-of-1.parquet"
        )
    sciq = {
        "question": "Q",
        "correct_answer": "a",
        "support": "",
        **{f"distractor{n}": "b" for n in (1, 2, 3)},
    }
    copied(tmp_path / "hub", "sciq", "data/{split}-00000-of-00001.parquet", [sciq])
    assert run(folder, tmp_path / "hub", tmp_path / "out", "tasks=[mmlu,sciq]", "protocols=[paper]") == 1
    assert json.loads((tmp_path / "out/mmlu/abstract_algebra-5shot-paper.json").read_text())["documents"] == 4
    assert "anatomy/dev.jsonl: missing" in capsys.readouterr().err
    (kept,) = (tmp_path / "out" / "tasks").glob("sciq*.json")
    assert json.loads(kept.read_text())["tasks"]["sciq"]["documents"] == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "other/{split}-00000-of-00001.parquet",
            "piqa: data and other each have documents; keep one of them",
        ),
        ("data/validation-00000-of-00002.parquet", "could not be read"),
    ],
)
def test_copies_that_cannot_be_told_apart_or_read_are_refused(folder, hub, tmp_path, capsys, place, message):
    copied(hub, "piqa", place, documents()["piqa"])
    if "{" not in place:
        (hub / "piqa" / place).write_bytes(b"PAR1, and then nothing")
    assert run(folder, hub, tmp_path / "out", "tasks=[piqa]") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("relama: error")]
    assert message in line


def test_a_configuration_that_the_copy_lacks_is_not_replaced_by_another(folder, hub, tmp_path, capsys):
    (hub / "arc_easy" / "ARC-Easy").rename(hub / "arc_easy" / "ARC-Easier")
    assert run(folder, hub, tmp_path / "out", "tasks=[arc_easy]") == 1
    assert "arc_easy/test.jsonl: missing; expected arc_easy's documents" in capsys.readouterr().err
