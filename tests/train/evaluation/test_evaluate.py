"""The harness on our model: as lm-eval's `hf` model on the export; the paper's protocol computed plainly."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import train.evaluation.main
from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from model.formats.huggingface import write_huggingface
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from train.config import RunError
from train.evaluation.suites import SUITES, TASKS, Benchmark
from train.weights.open import load_model, open_weights, tokenizer_of

lm_eval = pytest.importorskip("lm_eval")

# Two or three documents of each benchmark, in the fields of the published data; written for this test.
TEXT = "the river runs past an old mill where two children fish for trout every summer"
WORDS = TEXT.split()


def documents() -> dict[str, list[dict]]:
    labels, text = ["A", "B", "C", "D"], " ".join(WORDS)
    arc = [
        {
            "id": str(i),
            "question": f"What runs past {WORDS[i]}?",
            "choices": {"text": WORDS[i : i + 4], "label": labels},
            "answerKey": labels[i % 4],
        }
        for i in range(3)
    ]
    race = [
        {
            "example_id": f"{i}.txt",
            "article": f"{text} {i}.",
            "question": "Who fishes?",
            "options": [f"{word} {i}" for word in WORDS[i : i + 4]],
            "answer": labels[i],
        }
        for i in range(3)
    ]
    return {
        "boolq": [
            {"question": f"does the {WORDS[i]} run", "passage": text, "idx": i, "label": i % 2}
            for i in range(3)
        ],
        "piqa": [
            {"goal": f"Catch {WORDS[i]}", "sol1": "use a rod", "sol2": "use a very large net", "label": i % 2}
            for i in range(3)
        ],
        "siqa": [
            {
                "context": f"Two children {WORDS[i]}.",
                "question": "Why?",
                "answerA": "fun",
                "answerB": "for their summer dinner",
                "answerC": "no reason",
                "label": str(i + 1),
            }
            for i in range(3)
        ],
        "hellaswag": [
            {
                "ind": i,
                "activity_label": "Fishing",
                "ctx_a": "Two children sit.",
                "ctx_b": "they",
                "ctx": "Two children sit. they",
                "endings": ["wait [step] a while", "run", f"look at the {WORDS[i]}", "sleep"],
                "label": str(i),
            }
            for i in range(3)
        ],
        "winogrande": [
            {
                "sentence": f"The {WORDS[i]} passed the mill because the _ was fast.",
                "option1": "river",
                "option2": "mill",
                "answer": str(1 + i % 2),
            }
            for i in range(3)
        ],
        "arc_easy": arc,
        "arc_challenge": arc[::-1],
        "openbookqa": [
            {"id": str(i), "question_stem": f"A {WORDS[i]} is", "choices": d["choices"], "answerKey": "B"}
            for i, d in enumerate(arc)
        ],
        "nq": [{"question": f"who owns the {WORDS[i]}", "answer": ["nobody", "a miller"]} for i in range(3)],
        "triviaqa": [
            {
                "question": f"Who owns the {WORDS[i]}?",
                "answer": {"aliases": ["Nobody", "A miller"], "value": "Nobody"},
            }
            for i in range(3)
        ],
        "race_middle": race,
        "race_high": race[::-1],
        "gsm8k": [
            {"question": f"{i} and 2 fish?", "answer": f"{i} + 2 = {i + 2}\n#### {i + 2}"} for i in range(9)
        ],
    }


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("benchmarks")
    for name, rows in documents().items():
        (root / name).mkdir()
        for split in ("train", "validation", "test"):
            (root / name / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


SUBJECTS = ("abstract_algebra", "high_school_us_history")


def questions(subject: str, count: int) -> list[dict]:
    """In the fields of the published data (cais/mmlu)."""
    return [
        {
            "question": f" Who fishes for {WORDS[i]}?",
            "subject": subject,
            "choices": [f"{word} {i}" for word in WORDS[i : i + 4]],
            "answer": (i + len(subject)) % 4,
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def mmlu(tmp_path_factory) -> Path:
    """Two subjects, of unequal size."""
    root = tmp_path_factory.mktemp("mmlu")
    for count, subject in zip((3, 9), SUBJECTS):
        (root / "mmlu" / subject).mkdir(parents=True)
        for split, rows in (("dev", questions(subject, 5)), ("test", questions(subject, count))):
            path = root / "mmlu" / subject / f"{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture(scope="module")
def folder(corpora, tmp_path_factory) -> Path:
    """Random weights and the sample's tokenizer, exported as `relama export format=hf` does."""
    tokenizer = Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64, max_seq_len=640
    )
    model = Llama(config)
    initialize(model, seed=1)
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors["output.weight"] = tensors["output.weight"] * 20  # no greedy token hangs on the last digit
    output = tmp_path_factory.mktemp("evaluate") / "hf"
    write_huggingface(
        Weights(Path("memory"), config, tensors.__getitem__),
        output,
        dtype=torch.float32,
        shard_bytes=10**9,
        extra=hugging_face_files(tokenizer, config.max_seq_len),
    )
    return output


@pytest.fixture(scope="module")
def both(folder):
    """Our adapter on the folder, and lm-eval's `hf` on it."""
    from lm_eval.models.huggingface import HFLM

    from train.evaluation.harness import RelamaLM

    weights = open_weights(folder)
    ours = RelamaLM(load_model(weights, torch.device("cpu")), tokenizer_of(weights), batch=3)
    theirs = HFLM(pretrained=str(folder), batch_size=1, add_bos_token=True, device="cpu", dtype="float32")
    return ours, theirs


def requests(kind: str, arguments: list[tuple]) -> list:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, each, i) for i, each in enumerate(arguments)]


def test_log_likelihoods_are_those_of_lm_evals_hf_model(both):
    text = " ".join(WORDS)
    pairs = [
        (text, " and more"),
        ("", " and more"),
        ("Answer:", " yes"),
        ("trailing  ", "spaces é"),
        (text * 30, " too long for the context"),
        ("a literal <s> or </s>", " is text"),
    ]
    ours, theirs = (lm.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True) for lm in both)
    for (log_p, greedy), (their_log_p, their_greedy) in zip(ours, theirs):
        assert log_p == pytest.approx(their_log_p, rel=1e-4) and greedy == their_greedy
    own = both[0].generate_until(requests("generate_until", [("Answer:", {"max_gen_toks": 1})]))[0]
    (said,) = both[0].loglikelihood(requests("loglikelihood", [("Answer:", own)]))
    assert said[0] < 0


def test_rolling_log_likelihoods_are_those_of_lm_evals_hf_model(both):
    texts = [("a short one",), (" ".join(WORDS) * 60,), ("é\n\n  two",)]
    ours, theirs = (lm.loglikelihood_rolling(requests("loglikelihood_rolling", texts), True) for lm in both)
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_generation_is_that_of_lm_evals_hf_model(both):
    arguments = [
        ("the river", {"until": ["\n", "zzz"], "do_sample": False, "max_gen_toks": 24}),
        (" ".join(WORDS), {"until": ["e"], "do_sample": False, "max_gen_toks": 24}),
        ("two  children", {"until": [], "do_sample": False, "max_gen_toks": 5}),
        (" ".join(WORDS) * 40, {"until": ["\n"], "do_sample": False, "max_gen_toks": 24}),
    ]
    ours, theirs = (
        lm.generate_until(requests("generate_until", arguments), disable_tqdm=True) for lm in both
    )
    assert ours == theirs and any(ours)


def run(folder: Path, benchmarks: Path, output: Path, *words: str) -> int:
    return train.evaluation.main.main(
        [f"weights={folder}", f"benchmarks={benchmarks}", f"output={output}", "batch=4", *words]
    )


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
    with pytest.raises(TypeError, match="not callable"):  # its scores are not these
        run(folder, benchmarks, tmp_path, few, "size=7b")


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
            assert score(lm, benchmark, protocol, str(benchmarks), None)["score"] == 1
    lm._continue = lambda contexts, settings: [" so 0 + 2 = 2\n#### 2" for _ in contexts]
    found = score(lm, Benchmark("gsm8k", 2, None), "paper", str(benchmarks), None)
    assert found["score"] == pytest.approx(1 / 9) and found["documents"] == 9


def test_the_papers_normalizations_computed_plainly(folder, benchmarks):
    """Per character for PIQA; over "Answer:" for OBQA: against a loop over our own model."""
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
    assert score(lm, Benchmark("piqa", 0, None), "paper", str(benchmarks), None)["score"] == right / 3
    right = 0
    for row in documents()["openbookqa"]:
        context, choices = f"{row['question_stem']}\nAnswer:", row["choices"]["text"]
        scores = [log_p(context, f" {choice}") - log_p("Answer:", f" {choice}") for choice in choices]
        right += scores.index(max(scores)) == 1
    found = score(lm, Benchmark("openbookqa", 0, None), "paper", str(benchmarks), None)
    assert math.isclose(found["score"], right / 3)


def test_mmlu_is_the_likeliest_letter_after_the_subjects_own_five_examples(folder, mmlu):
    """Against the prompt of the benchmark's own code, built here by hand, and a loop over our own model."""
    from train.evaluation.harness import RelamaLM
    from train.evaluation.tasks import score

    weights = open_weights(folder)
    model, tokenizer = load_model(weights, torch.device("cpu")), tokenizer_of(weights)
    (benchmark,) = (row for row in SUITES["paper"] if row.name == "mmlu")
    assert len(benchmark.parts()) == 57 and benchmark.shots == 5
    lm, seen = RelamaLM(model, tokenizer, 4), []
    answer_all = lm.loglikelihood
    lm.loglikelihood = lambda requests: seen.extend(r.args for r in requests) or answer_all(requests)
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
            assert len(tokens) < weights.config.max_seq_len  # else its beginning would be cut
            with torch.no_grad():
                logits = model(torch.tensor([tokens]))[0, -1]
            ids = [tokenizer.encode(head + asked(row, f" {letter}")).tolist()[-1] for letter in "ABCD"]
            right += int(logits[ids].argmax()) == row["answer"]
        for protocol in ("paper", "usual"):
            seen.clear()
            found = score(lm, part, protocol, str(mmlu), None)
            assert set(seen) == {(head + asked(row), f" {letter}") for row in tests for letter in "ABCD"}
            assert found["score"] == pytest.approx(right / len(tests)) and found["documents"] == len(tests)


def test_mmlu_is_one_row_over_all_questions_and_resumes_by_subject(
    folder, mmlu, tmp_path, capsys, monkeypatch
):
    (benchmark,) = (row for row in SUITES["paper"] if row.name == "mmlu")
    words = ("tasks=[mmlu]", "protocols=[paper]", "size=13b")
    assert run(folder, mmlu, tmp_path, *words) == 1  # the other subjects' data is not there
    assert "mmlu/anatomy/dev.jsonl: is missing" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mmlu").iterdir()] == ["abstract_algebra-5shot-paper.json"]
    two = replace(benchmark, subjects=SUBJECTS)
    monkeypatch.setitem(SUITES, "paper", (two,))
    kept = (tmp_path / "mmlu" / "abstract_algebra-5shot-paper.json").read_text()
    assert run(folder, mmlu, tmp_path, *words) == 0
    assert (tmp_path / "mmlu" / "abstract_algebra-5shot-paper.json").read_text() == kept
    first, second = (
        json.loads((tmp_path / "mmlu" / f"{subject}-5shot-paper.json").read_text())["score"]
        for subject in SUBJECTS
    )
    whole = json.loads((tmp_path / "mmlu-5shot-paper.json").read_text())
    assert whole["score"] == pytest.approx((3 * first + 9 * second) / 12) and whole["documents"] == 12
    assert f"| mmlu | 5 | 46.9 | {whole['score'] * 100:.1f} | – |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tasks=[piqaa]"], "tasks: piqaa: no such choice; did you mean piqa"),
        (["suite=papers"], "suite: papers: no such choice; did you mean paper"),
        (["size=8b"], "size: 8b: no such choice"),
        (["limit=0"], "limit=0"),
        (["tasks=[piqa]", "benchmarks=nowhere"], "validation.jsonl: is missing"),
        (["tasks=[mmlu]"], "abstract_algebra/dev.jsonl: is missing; expected mmlu_abstract_algebra"),
        (["tasks=[piqa]", "benchmarks=BAD"], "data could not be read"),
        (["tasks=[piqa]", "benchmarks=OTHER"], "'goal' is undefined"),
    ],
)
def test_an_evaluation_that_cannot_run_is_refused(folder, benchmarks, tmp_path, capsys, words, said):
    for name, text in (("bad", "{"), ("other", '{"question": "x"}\n')):
        (tmp_path / name / "piqa").mkdir(parents=True)
        (tmp_path / name / "piqa" / "validation.jsonl").write_text(text)
    words = [word.replace("BAD", str(tmp_path / "bad")) for word in words]
    words = [word.replace("OTHER", str(tmp_path / "other")) for word in words]
    assert run(folder, benchmarks, tmp_path / "out", *words) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("relama: error")]
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "out").exists()


def test_boolq_and_obqa_are_divided_by_the_answers_own_likelihood(benchmarks):
    from train.evaluation.tasks import build_task

    for name, choices in (("openbookqa", 4), ("boolq", 2)):
        task = build_task(TASKS / f"{name}.yaml", benchmarks / name, 0)
        asked = task.construct_requests(documents()[name][0], "a context", metadata=(name, 0, 1))
        contexts = [request.arguments[0] for request in asked]
        assert contexts == ["a context"] * choices + ["Answer:"] * choices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choices": ["one", "two", "three"]}, "no element 3"),
        ({"choices": None}, "data could not be read"),
        ({"question": None}, "not in mmlu's format"),
        ({"answer": 7}, "the answer 7 is not one of its 4 choices"),
        ({"answer": -1}, "the answer -1 is not one of its 4 choices"),
        ({"answer": "E"}, "the answer 'E' is not one of its 4 choices"),
    ],
)
def test_questions_in_another_format_are_refused_in_one_line(
    folder, mmlu, tmp_path, capsys, change, said, monkeypatch
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
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_completion_that_cannot_be_scored_is_refused_as_in_lm_evals_own_model(folder):
    from lm_eval.api.instance import Instance

    from train.evaluation.harness import RelamaLM

    weights = open_weights(folder)
    lm = RelamaLM(load_model(weights, torch.device("cpu")), tokenizer_of(weights), batch=2)
    long = Instance("loglikelihood", {}, ("a", f" {TEXT}" * 100), 0)
    with pytest.raises(RunError, match="longer than the model's context"):
        lm.loglikelihood([long], disable_tqdm=True)
    lm._encode_pair = lambda context, continuation: ([1, 5], [])  # merged into the context's last token
    with pytest.raises(RunError, match="has no token of its own"):
        lm.loglikelihood([Instance("loglikelihood", {}, ("a", "b"), 0)], disable_tqdm=True)


def test_a_task_that_fails_ends_alone(folder, benchmarks, tmp_path, capsys):
    words = ("tasks=[nq,piqa]", "protocols=[paper]")  # nq has too few documents for 5 and 64 shots
    assert run(folder, benchmarks, tmp_path, *words) == 1
    printed = capsys.readouterr()
    assert "| piqa | 0 |" in printed.out and "| nq | 1 |" in printed.out and "| nq | 5 |" not in printed.out
    (line,) = [line for line in printed.err.splitlines() if line.startswith("relama: error")]
    assert "2 of 5 benchmarks failed: " in line and "nq needs 64 for its shots" in line


def test_a_score_of_few_documents_does_not_replace_a_full_one(folder, benchmarks, tmp_path, capsys):
    words = ("tasks=[piqa]", "protocols=[paper]")
    assert run(folder, benchmarks, tmp_path, *words) == 0
    full = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert run(folder, benchmarks, tmp_path, *words, "limit=1") == 0
    assert full == {name: (tmp_path / name).read_text() for name in full}
    assert json.loads((tmp_path / "piqa-0shot-paper-first1.json").read_text())["documents"] == 1
    assert "the first 1 documents" in (tmp_path / "table-first1.md").read_text()
