"""Tasks outside the suites: lm-eval's own and a user's files, scored as lm-eval's `hf` model scores them."""

import json
from typing import Any

import pytest

from tests.support.evaluation import WORDS, hf_model, run
from train.evaluation.any_task import AnyTask, table_of_any

lm_eval = pytest.importorskip("lm_eval")

ROWS = [
    {"question": f"What runs past the {word}?", "options": [word, WORDS[i + 1], WORDS[i + 2]], "right": i % 3}
    for i, word in enumerate(WORDS[:6])
]
TASK = """
task: rivers
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}} Answer:"
doc_to_target: right
doc_to_choice: options
metric_list:
  - metric: acc
  - metric: acc_norm
"""


@pytest.fixture
def mine(tmp_path):
    """A task file, its documents, and the folder they are in."""
    data = tmp_path / "rivers.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = tmp_path / "rivers.yaml"
    path.write_text(TASK.format(data=data))
    return path


def test_a_users_task_file_has_the_scores_of_lm_evals_hf_model(folder, benchmarks, mine, tmp_path, capsys):
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    theirs = hf_model(folder)
    manager = TaskManager(include_defaults=False)
    expected: Any = simple_evaluate(theirs, tasks=[str(mine)], bootstrap_iters=0, task_manager=manager)
    assert expected
    arguments = (f"tasks={mine},piqa", "protocols=usual")
    assert run(folder, benchmarks, tmp_path / "out", *arguments) == 0
    printed = capsys.readouterr().out
    assert "| piqa | 0 |" in printed
    (path,) = (tmp_path / "out" / "tasks").iterdir()
    found = json.loads(path.read_text())["tasks"]["rivers"]
    assert found["documents"] == len(ROWS) and set(found["metrics"]) == {"acc,none", "acc_norm,none"}
    for metric, value in found["metrics"].items():
        assert value == pytest.approx(expected["results"]["rivers"][metric])
        assert f"| rivers | 0 | 6 | {metric.removesuffix(',none')} | {value:.4g} |" in printed
    path.write_text(path.read_text().replace('"documents": 6', '"documents": 7'))
    assert run(folder, benchmarks, tmp_path / "out", *arguments) == 0  # kept, not computed again
    assert "| rivers | 0 | 7 |" in capsys.readouterr().out
    mine.write_text(mine.read_text().replace("Answer:", "It is"))
    assert run(folder, benchmarks, tmp_path / "out", *arguments) == 0  # another task now
    assert "| rivers | 0 | 6 |" in capsys.readouterr().out


def test_a_task_of_lm_eval_reads_local_documents(folder, benchmarks, tmp_path, capsys):
    row = {"support": "The mill is old.", "question": "What is old?", "correct_answer": "the mill"}
    row |= {f"distractor{i}": word for i, word in enumerate(WORDS[3:6], 1)}
    (tmp_path / "local" / "sciq").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        (tmp_path / "local" / "sciq" / f"{split}.jsonl").write_text(json.dumps(row) + "\n")
    assert run(folder, tmp_path / "local", tmp_path / "out", "tasks=sciq") == 0
    assert "| sciq | 0 | 1 | acc_norm | " in capsys.readouterr().out
    assert run(folder, tmp_path / "local", tmp_path / "out", "tasks=sciqq,sciq") == 1
    assert "tasks=sciqq: no such task; did you mean sciq" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("doc_to_target: right", "doc_to_target: left"), "the answer 'left' is not one of its 3 choices"),
        (("rivers.jsonl", "nowhere.jsonl"), "could not be scored"),
        (("task: rivers", "task: [rivers"), "not readable as YAML (line "),
        (("task: rivers", "\ttask: rivers"), "not readable as YAML (line 2: found character"),
        (("task: rivers", "include: nowhere.yaml"), "nowhere.yaml: No such file or directory; "),
        (("task: rivers", "include: rivers.yaml"), "not readable as YAML (Include cycle"),
        (None, "no such file"),
    ],
)
def test_a_task_file_that_cannot_be_scored_is_refused_in_one_line(
    folder, benchmarks, mine, tmp_path, capsys, change, message
):
    if change:
        mine.write_text(mine.read_text().replace(*change))
    else:
        mine.unlink()
    assert run(folder, benchmarks, tmp_path / "out", f"tasks={mine}") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("relama: error")]
    assert str(mine) in line and message in line
    assert not (tmp_path / "out").exists()


def test_task_files_of_one_name_do_not_share_a_result(tmp_path):
    one, other = AnyTask("a/mine.yaml"), AnyTask("b/mine.yaml")
    assert one.file(None) != other.file(None) != other.file(5)
    assert AnyTask("mmlu_pro").file(None).name == "mmlu_pro.json"


def test_a_task_file_is_another_task_once_what_it_includes_or_reads_changes(mine, tmp_path):
    over = tmp_path / "over.yaml"
    over.write_text("include: rivers.yaml\ntask: over\n")
    known = {AnyTask(str(file)).content() for file in (mine, over, mine, over)}
    assert len(known) == 2
    mine.write_text(mine.read_text().replace("Answer:", "It is"))
    known |= {AnyTask(str(file)).content() for file in (mine, over)}
    assert len(known) == 4
    (tmp_path / "rivers.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    assert len(known | {AnyTask(str(file)).content() for file in (mine, over)}) == 6


def test_a_group_comes_before_its_tasks():
    tasks = {
        "group": {"shots": None, "documents": None, "metrics": {"acc,none": 0.5}},
        "a": {"shots": 2, "documents": 8, "metrics": {"acc,none": 0.25}},
    }
    assert table_of_any({"group": {"tasks": tasks}}).splitlines()[2:] == [
        "| group | – | – | acc | 0.5 |",
        "| a | 2 | 8 | acc | 0.25 |",
    ]
