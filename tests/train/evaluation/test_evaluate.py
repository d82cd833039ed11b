"""`relama evaluate`: the paper's protocol computed plainly, the table, the cache and refusals."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import train.evaluation.main
from tests.support.evaluation import SUBJECTS, documents, questions, run
from tests.support.narrow import as_a, present
from train.evaluation.suites import SUITES, TASKS, Benchmark
from train.weights import import_
from train.weights.open import load_model, open_weights, tokenizer_of

lm_eval = pytest.importorskip("lm_eval")


def test_the_paper_suite_runs_on_each_benchmarks_own_format_and_is_cached(
    folder, benchmarks, tmp_path, capsys, monkeypatch
):
    few = (
        "tasks=[boolq,piqa,siqa,hellaswag,winogrande,arc_easy,arc_challenge,openbookqa,race_middle,race_high]"
    )
    assert run(folder, benchmarks, tmp_path, few, "size=7b") == 0
    table = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 10
    assert [cell.strip() for cell in rows[0][:3]] == ["boolq", "0", "76.5"]
    for row in rows:
        assert 0 <= float(row[3]) <= 100
        assert (row[4].strip() == "–") == row[0].strip().startswith("race")
    monkeypatch.setattr("train.evaluation.tasks.score", None)  # a second time nothing is computed
    assert run(folder, benchmarks, tmp_path, few, "size=7b") == 0
    assert capsys.readouterr().out == table == (tmp_path / "table.md").read_text()
    other = tokenizer_of(open_weights(folder))
    other.fingerprint = "another tokenizer of that size"
    monkeypatch.setattr(train.evaluation.main, "tokenizer_of", lambda *_: other)
    with pytest.raises(TypeError, match="not callable"):  # the kept scores are not for these weights
        run(folder, benchmarks, tmp_path, few, "size=7b")


def test_outside_of_a_repository_git_is_not_asked_for_a_commit(
    folder, benchmarks, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    assert run(folder, benchmarks, tmp_path / "out", "tasks=piqa", "protocols=paper", "limit=2") == 0
    assert "git" not in capfd.readouterr().err


def test_generated_answers_are_scored_in_both_protocols(folder, benchmarks, tmp_path, capsys):
    assert run(folder, benchmarks, tmp_path, "tasks=[nq,triviaqa,gsm8k]", "protocols=[paper]", "limit=1") == 1
    assert "3 documents in train, and nq needs 5 for its shots" in capsys.readouterr().err
    from train.evaluation.harness import RelamaLM
    from train.evaluation.tasks import score

    weights = open_weights(folder)
    lm = RelamaLM(load_model(weights, torch.device("cpu")), tokenizer_of(weights), batch=2)
    lm._continue = lambda contexts, settings: [" A miller" for _ in contexts]
    for name, usual in (("nq", "nq_open/nq_open"), ("triviaqa", "triviaqa/default")):
        benchmark = Benchmark(name, 1, usual, "exact_match,remove_whitespace")
        for protocol in ("paper", "usual"):
            assert present(score(lm, benchmark, protocol, str(benchmarks), None))["score"] == 1
    lm._continue = lambda contexts, settings: [" so 0 + 2 = 2\n#### 2" for _ in contexts]
    found = present(score(lm, Benchmark("gsm8k", 2, None), "paper", str(benchmarks), None))
    assert found["score"] == pytest.approx(1 / 9) and found["documents"] == 9


def test_the_papers_normalizations_computed_plainly(folder, benchmarks):
    """Per character for PIQA, over "Answer:" for OBQA, compared with a loop over our own model."""
    from train.evaluation.harness import RelamaLM
    from train.evaluation.tasks import score

    weights = open_weights(folder)
    model, tokenizer = load_model(weights, torch.device("cpu")), tokenizer_of(weights)

    def log_p(context: str, continuation: str) -> float:
        before = [tokenizer.bos_id, *tokenizer.encode(context).tolist()]
        tokens = [tokenizer.bos_id, *tokenizer.encode(context + continuation).tolist()]
        with torch.no_grad():
            table = torch.log_softmax(model(torch.tensor([tokens]))[0].double(), -1)
        return sum(table[i - 1, tokens[i]].item() for i in range(len(before), len(tokens)))

    right = 0
    for row in documents()["piqa"]:
        context, choices = f"Question: {row['goal']}\nAnswer:", [row["sol1"], row["sol2"]]
        scores = [log_p(context, f" {choice}") / len(choice) for choice in choices]
        right += scores.index(max(scores)) == row["label"]
    lm = RelamaLM(model, tokenizer, 4)
    found = present(score(lm, Benchmark("piqa", 0, None), "paper", str(benchmarks), None))
    assert found["score"] == right / 3
    right = 0
    for row in documents()["openbookqa"]:
        context, choices = f"{row['question_stem']}\nAnswer:", row["choices"]["text"]
        scores = [log_p(context, f" {choice}") - log_p("Answer:", f" {choice}") for choice in choices]
        right += scores.index(max(scores)) == 1
    found = present(score(lm, Benchmark("openbookqa", 0, None), "paper", str(benchmarks), None))
    assert math.isclose(found["score"], right / 3)


def test_mmlu_is_the_likeliest_letter_after_the_subjects_own_five_examples(folder, mmlu, monkeypatch):
    """Compared with the prompt of the benchmark's own code, built by hand, and a loop over our own model."""
    from train.evaluation.harness import RelamaLM
    from train.evaluation.tasks import score

    weights = open_weights(folder)
    model, tokenizer = load_model(weights, torch.device("cpu")), tokenizer_of(weights)
    (benchmark,) = (row for row in SUITES["paper"] if row.name == "mmlu")
    assert len(benchmark.parts()) == 57 and benchmark.shots == 5
    lm, seen = RelamaLM(model, tokenizer, 4), []
    answer_all = lm.loglikelihood

    def observed(requests: list) -> list:
        seen.extend(request.args for request in requests)
        return answer_all(requests)

    monkeypatch.setattr(lm, "loglikelihood", observed)
    for part in benchmark.parts():
        if part.subject not in SUBJECTS:
            continue

        def asked(row: dict, answer: str = "") -> str:
            letters = "".join(f"{letter}. {choice}\n" for letter, choice in zip("ABCD", row["choices"]))
            return f"{row['question'].strip()}\n{letters}Answer:{answer}"

        about = part.subject.replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about {about}.\n\n"
        head += "".join(asked(row, f" {'ABCD'[row['answer']]}\n\n") for row in questions(part.subject, 5))
        right, tests = 0, questions(part.subject, 3 if part.subject == SUBJECTS[0] else 9)
        for row in tests:
            tokens = [tokenizer.bos_id, *tokenizer.encode(head + asked(row)).tolist()]
            assert len(tokens) < weights.config.max_seq_len  # or its beginning would be cut
            with torch.no_grad():
                logits = model(torch.tensor([tokens]))[0, -1]
            ids = [tokenizer.encode(head + asked(row, f" {letter}")).tolist()[-1] for letter in "ABCD"]
            right += int(logits[ids].argmax()) == row["answer"]
        for protocol in ("paper", "usual"):
            seen.clear()
            found = present(score(lm, part, protocol, str(mmlu), None))
            assert set(seen) == {(head + asked(row), f" {letter}") for row in tests for letter in "ABCD"}
            assert found["score"] == pytest.approx(right / len(tests)) and found["documents"] == len(tests)


def test_mmlu_is_one_row_over_all_questions_and_resumes_by_subject(
    folder, mmlu, tmp_path, capsys, monkeypatch
):
    (benchmark,) = (row for row in SUITES["paper"] if row.name == "mmlu")
    arguments = ("tasks=[mmlu]", "protocols=[paper]", "size=13b")
    assert run(folder, mmlu, tmp_path, *arguments) == 1  # the other subjects' data is missing
    assert "mmlu/anatomy/dev.jsonl: missing" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mmlu").iterdir()] == ["abstract_algebra-5shot-paper.json"]
    two = replace(benchmark, subjects=SUBJECTS)
    monkeypatch.setitem(SUITES, "paper", (two,))
    kept = (tmp_path / "mmlu" / "abstract_algebra-5shot-paper.json").read_text()
    assert run(folder, mmlu, tmp_path, *arguments) == 0
    assert (tmp_path / "mmlu" / "abstract_algebra-5shot-paper.json").read_text() == kept
    first, second = (
        json.loads((tmp_path / "mmlu" / f"{subject}-5shot-paper.json").read_text())["score"]
        for subject in SUBJECTS
    )
    whole = json.loads((tmp_path / "mmlu-5shot-paper.json").read_text())
    assert whole["score"] == pytest.approx((3 * first + 9 * second) / 12) and whole["documents"] == 12
    assert f"| mmlu | 5 | 46.9 | {whole['score'] * 100:.1f} | – |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks=[piqaa]"], "tasks=piqaa: no such task; did you mean piqa"),
        (["suite=papers"], "suite: papers: no such choice; did you mean paper"),
        (["size=8b"], "size: 8b: no such choice"),
        (["limit=0"], "limit=0"),
        (["tasks=[piqa]", "benchmarks=nowhere"], "benchmarks=nowhere: no such folder; expected one with"),
        (["tasks=[piqa]", "benchmarks=EMPTY"], "piqa/validation.jsonl: missing"),
        (["tasks=[mmlu]"], "abstract_algebra/dev.jsonl: missing; expected mmlu_abstract_algebra"),
        (["tasks=[piqa]", "benchmarks=BAD"], "piqa/validation.jsonl: line 2: not JSON; expected a document"),
        (["tasks=[piqa]", "benchmarks=BLANK"], "piqa/validation.jsonl: empty; expected documents"),
        (["tasks=[piqa]", "benchmarks=OTHER"], "'goal' is undefined"),
    ],
)
def test_an_impossible_evaluation_is_refused(folder, benchmarks, tmp_path, capsys, arguments, message):
    other = '{"question": "x"}\n'
    for name, text in (("BAD", other + "{"), ("BLANK", ""), ("OTHER", other)):
        (tmp_path / name / "piqa").mkdir(parents=True)
        (tmp_path / name / "piqa" / "validation.jsonl").write_text(text)
    (tmp_path / "EMPTY").mkdir()
    arguments = [re.sub("=(BAD|BLANK|OTHER|EMPTY)$", rf"={tmp_path}/\1", argument) for argument in arguments]
    assert run(folder, benchmarks, tmp_path / "out", *arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("relama: error")]
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()


def test_boolq_and_obqa_are_divided_by_the_answers_own_likelihood(benchmarks):
    from train.evaluation.tasks import build_task

    for name, choices in (("openbookqa", 4), ("boolq", 2)):
        task = build_task(TASKS / f"{name}.yaml", benchmarks / name, 0)
        made = task.construct_requests(documents()[name][0], "a context", metadata=(name, 0, 1))
        asked = as_a(list, made)
        contexts = [request.arguments[0] for request in asked]
        assert contexts == ["a context"] * choices + ["Answer:"] * choices


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": ["one", "two", "three"]}, "no element 3"),
        ({"choices": None}, "mmlu.yaml names the fields that it reads"),
        ({"question": None}, "not in mmlu's format"),
        ({"answer": 7}, "the answer 7 is not one of its 4 choices"),
        ({"answer": -1}, "the answer -1 is not one of its 4 choices"),
        ({"answer": "E"}, "the answer 'E' is not one of its 4 choices"),
    ],
)
def test_questions_in_another_format_are_refused_in_one_line(
    folder, mmlu, tmp_path, capsys, change, message, monkeypatch
):
    bad = 0 if "choices" in change else 3
    (benchmark,) = (row for row in SUITES["paper"] if row.name == "mmlu")
    monkeypatch.setitem(SUITES, "paper", (replace(benchmark, subjects=SUBJECTS[:1]),))
    copied = tmp_path / "data" / "mmlu" / SUBJECTS[0]
    copied.mkdir(parents=True)
    for split in ("dev", "test"):
        rows = [
            row | (change if (split, i) == ("test", bad) else {})
            for i, row in enumerate(questions(SUBJECTS[0], 5))
        ]
        (copied / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(folder, tmp_path / "data", tmp_path / "out", "tasks=[mmlu]", "protocols=[paper]") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("relama: error")]
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_failing_task_does_not_stop_the_others(folder, benchmarks, tmp_path, capsys):
    arguments = ("tasks=[nq,piqa]", "protocols=[paper]")  # nq has too few documents for 5 and 64 shots
    assert run(folder, benchmarks, tmp_path, *arguments) == 1
    printed = capsys.readouterr()
    assert "| piqa | 0 |" in printed.out and "| nq | 1 |" in printed.out and "| nq | 5 |" not in printed.out
    (line,) = [line for line in printed.err.splitlines() if line.startswith("relama: error")]
    assert "2 of 5 tasks failed: " in line and "nq needs 64 for its shots" in line


def test_results_for_weights_at_a_url_are_in_the_cache_as_the_command_says(
    folder, benchmarks, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("RELAMA_CACHE", str(tmp_path / "cache"))
    assert import_.main([f"weights={folder}", f"output={tmp_path / 'run'}"]) == 0
    typed = [
        f"weights=file://{tmp_path / 'run'}",
        "tasks=[piqa]",
        "protocols=[paper]",
        f"benchmarks={benchmarks}",
    ]
    assert train.evaluation.main.main(typed) == 0
    (found,) = re.findall(r"the results are in the cache, (.*); output=FOLDER", capsys.readouterr().err)
    assert found.startswith(str(tmp_path / "cache"))
    assert (Path(found) / "piqa-0shot-paper.json").exists()
    assert train.evaluation.main.main([*typed, f"output={tmp_path / 'out'}"]) == 0
    assert "cache" not in capsys.readouterr().err


def test_a_score_of_few_documents_does_not_replace_a_full_one(folder, benchmarks, tmp_path, capsys):
    arguments = ("tasks=[piqa]", "protocols=[paper]")
    assert run(folder, benchmarks, tmp_path, *arguments) == 0
    full = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert run(folder, benchmarks, tmp_path, *arguments, "limit=1") == 0
    assert full == {name: (tmp_path / name).read_text() for name in full}
    assert json.loads((tmp_path / "piqa-0shot-paper-first1.json").read_text())["documents"] == 1
    assert "the first 1 documents" in (tmp_path / "table-first1.md").read_text()
