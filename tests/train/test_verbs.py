"""The verbs around training, on a run of a few steps: each prints its result or one line of error."""

import html.parser
import io
import itertools
import json
import os
import random
import re
import sys

import pytest
import torch

import train.evaluation.validate
import train.generation.main
import train.generation.sampling
import train.report.main
from data.order import Order
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from tests.support import logged
from tests.support.fork_server import python
from tests.support.narrow import present
from tests.support.runs import metrics, succeed
from train.evaluation.validation import spread
from train.run.starts import read_starts
from train.weights.open import load_model, open_weights

FP32 = "dtype=fp32"  # where figures or texts are compared: auto may choose bf16, by a measurement
WORDS = [
    a + b + c
    for a in ("ka", "lo", "mi", "tur", "ven")
    for b in ("ra", "sel", "bo")
    for c in ("", "n", "dim", "th")
]


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", "steps=6", "checkpoint.every=3", "validate.every=3")
    return folder


def test_a_line_of_metrics_has_the_fields_that_scripts_use(trained):
    lines = metrics(trained)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    promised = (
        "loss",
        "grad_norm",
        "lr",
        "tokens",
        "tokens_per_second",
        "tokens_per_second_computing",
        "mfu",
    )
    for line in lines:
        assert all(isinstance(line[key], int | float) for key in promised)
        assert 0 < line["mfu"] < 1
        assert line["tokens_per_second"] <= line["tokens_per_second_computing"]
        assert line["tokens"] == 512 * line["step"]
    assert ["validation" in line for line in lines] == [False, False, True, False, False, True]


def test_epochs_are_the_orders_own_count(trained, corpora):
    for source in ("python_code", "python_docs"):
        count = TokenStore.open(corpora / source / "tokens").n_sequences(64)
        known = json.loads((trained / "order.json").read_text())
        expected = Order.from_json(known["order"]).consumed(6 * 8)[source] / count
        assert metrics(trained)[-1]["epochs"][source] == expected


def test_validate_equals_a_plain_loop_over_the_held_out_text(trained, corpora, capsys):
    arguments = [f"weights={trained}", "data=sample", f"corpora={corpora}", "seq_len=64", "sequences=5", FP32]
    assert train.evaluation.validate.main(arguments) == 0
    table = capsys.readouterr().out
    model = load_model(open_weights(trained), torch.device("cpu"))
    for source in ("python_code", "python_docs"):
        store = TokenStore.open(corpora / source / "tokens", "heldout")
        tokenizer = Tokenizer(trained / "tokenizer.model")
        nats, text = 0.0, 0
        for i in spread(5, store.n_sequences(64), seed=0):
            row = torch.from_numpy(store.sequence(i, 64).astype("int64"))
            log_p = torch.log_softmax(model(row[None, :-1])[0].detach().double(), -1)
            nats -= log_p[torch.arange(64), row[1:]].sum().item()
            text += tokenizer.text_bytes(row.numpy())
        shown = present(re.search(rf"{source}\s+([\d.]+)\s+[\d.]+\s+([\d.]+)\s+320", table))
        assert float(shown[1]) == pytest.approx(nats / 320, abs=1e-4)
        assert float(shown[2]) == pytest.approx(nats / text / 0.6931471805599453, abs=1e-4)


def test_validate_without_data_gives_the_figures_of_the_runs_own_loop(trained, capsys):
    compare_with_the_loop(trained, capsys)
    arguments = [f"weights={trained}", "sequences=4", FP32]
    assert train.evaluation.validate.main(arguments) == 0
    of_all = capsys.readouterr().out.splitlines()
    assert train.evaluation.validate.main([*arguments, "data.sources=python_docs"]) == 0
    (line,) = (line for line in of_all if line.startswith("python_docs"))
    # The columns are as wide as the longest figure of all sources.
    assert [row.split() for row in capsys.readouterr().out.splitlines()[2:]] == [line.split()]


def test_also_of_a_source_that_only_a_phase_reads(corpora, tmp_path, capsys):
    phases = ("phases.first.until_step=1", "phases.code.weights.python_code=1")
    succeed(f"corpora={corpora}", f"run={tmp_path}", "steps=2", "data.sources=python_docs", *phases)
    assert metrics(tmp_path)[-1]["validation"].keys() == {"python_docs", "python_code"}
    compare_with_the_loop(tmp_path, capsys)


def compare_with_the_loop(run, capsys):
    assert train.evaluation.validate.main([f"weights={run}", "sequences=4", FP32]) == 0
    table = capsys.readouterr().out
    for source, result in metrics(run)[-1]["validation"].items():
        shown = present(re.search(rf"{source}\s+([\d.]+)\s+[\d.]+\s+([\d.]+)\s+256\s+(.+)", table))
        expected = (
            f"{result['loss']:.4f}",
            f"{result['bits_per_byte']:.4f}",
            f"4 of {result['of_sequences']:,}",
        )
        assert shown.groups() == expected
        assert result["sequences"] == 4 < result["of_sequences"]


def test_validation_spreads_its_sequences_over_all_that_is_held_out():
    for available, count in ((347, 64), (64, 64), (10, 64), (65, 64), (1_000_003, 7)):
        for seed in range(20):
            chosen = spread(count, available, seed)
            assert len(set(chosen)) == len(chosen) == min(count, available)
            assert chosen == sorted(chosen) == spread(count, available, seed)
            assert chosen[0] >= 0 and chosen[-1] < available
            gaps = {b - a for a, b in itertools.pairwise(chosen)}
            assert count >= available or gaps <= {available // count, available // count + 1}
    assert len({tuple(spread(7, 1_000_003, seed)) for seed in range(20)}) == 20


def test_held_out_documents_are_never_trained_on(corpora):
    """Compared by their rows in the cleaned text, which the two splits partition."""
    for source in ("python_code", "python_docs"):
        rows = {}
        for split in ("train", "heldout"):
            store = TokenStore.open(corpora / source / "tokens", split)
            rows[split] = {(span.text_file, span.row) for span in store.documents(0, store.n_tokens)}
            assert len(rows[split]) == store.n_documents > 0
        assert not rows["train"] & rows["heldout"]


def test_greedy_generation_is_the_models_own_argmax(trained, capsys):
    arguments = [f"weights={trained}", "prompt=def", "max_tokens=5", "temperature=0", FP32]
    assert train.generation.main.main(arguments) == 0
    printed = capsys.readouterr().out
    model = load_model(open_weights(trained), torch.device("cpu"))
    tokenizer = Tokenizer(trained / "tokenizer.model")
    tokens = [tokenizer.bos_id, *tokenizer.encode("def").tolist()]
    for _ in range(5):
        token = int(model(torch.tensor([tokens]))[0, -1].argmax())
        if token == tokenizer.eos_id:
            break
        tokens.append(token)
    assert printed.rstrip("\n") == tokenizer.decode(tokens[1:]).rstrip("\n")


def test_generation_is_drawn_from_the_seed(trained, capsys):
    outputs, arguments = [], [f"weights={trained}", "prompt=x", "max_tokens=12", FP32]
    for seed in (1, 1, 2):
        assert train.generation.main.main([*arguments, f"seed={seed}"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_file_of_prompts_gives_the_same_as_each_prompt_alone(trained, tmp_path, capsys):
    lines = ["def", "import os, sys", "class A(object):"]
    (tmp_path / "prompts.txt").write_text("\n".join(lines))
    settings = [f"weights={trained}", "max_tokens=8", "temperature=0", FP32]
    alone = []
    for line in lines:
        assert train.generation.main.main([*settings, f"prompt='{line}'"]) == 0
        alone.append(capsys.readouterr().out)
    assert train.generation.main.main([*settings, f"prompts={tmp_path / 'prompts.txt'}", "batch=2"]) == 0
    assert capsys.readouterr().out == f"{train.generation.main.BETWEEN}\n".join(alone)


def test_json_lines_are_read_from_files_and_standard_input_and_printed(trained, monkeypatch, capsys):
    lines = ["def", "two\nlines", "a \u2028 separator"]
    typed = "".join(json.dumps({"prompt": line}) + "\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
    settings = [f"run={trained}", "max_tokens=4", "temperature=0", FP32]
    assert train.generation.main.main([*settings, "prompts=-", "json=true", "batch=2"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["prompt"] for answer in answers] == lines
    assert train.generation.main.main([*settings, "prompt=def"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == ("def" + answers[0]["completion"]).rstrip("\n")


def test_more_tokens_than_the_context_holds_are_announced(trained, capsys):
    arguments = [f"weights={trained}", "prompt=def", "max_tokens=1000", "temperature=0"]
    assert train.generation.main.main(arguments) == 0
    printed = capsys.readouterr()
    assert re.search(r"max_tokens=1000: the model's context of 256 tokens has room for 25\d", printed.err)


def test_top_p_keeps_the_token_that_crosses_p():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(200, 4)
    assert set(train.generation.sampling.sample(logits, 1.0, 0.6, torch.Generator().manual_seed(0))) == {0, 1}


def test_a_report_is_one_page_that_needs_nothing_else(trained):
    assert train.report.main.main([f"run={trained}"]) == 0
    page = (trained / "report.html").read_text()

    class Outside(html.parser.HTMLParser):
        found: list = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            words = dict(attrs)  # links to the sources' pages are not needed to read this one
            is_outside = "://" in str(words.get("href", ""))
            if tag in ("link", "img", "iframe") or "src" in words or is_outside:
                self.found.append((tag, attrs))

    parser = Outside()
    parser.feed(page)
    assert not parser.found
    assert page.count("<svg") == 7  # one of them is the bar that shows where the time went
    samples = (trained / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in samples] == [3, 3, 3, 6, 6, 6]
    assert train.report.main.main([f"run={trained}"]) == 0  # the second report makes no new samples
    assert (trained / "samples.jsonl").read_text().splitlines() == samples
    assert [start["first_step"] for start in read_starts(trained)] == [1]
    assert "1 × 1 thread of" in page
    assert "relama train model=tiny data=sample" in page
    assert f"{metrics(trained)[-1]['validation']['python_docs']['bits_per_byte']:.4f}" in page


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (train.generation.main.main, ["weights=nowhere", "prompt=x"], "nowhere: no such file or folder"),
        (train.generation.main.main, ["prompt=x"], "weights: is required"),
        (
            train.generation.main.main,
            ["weights=RUN", "prompt=x", "device=gpu"],
            "device=gpu: expected one of",
        ),
        (train.generation.main.main, ["weights=RUN"], "prompt: empty"),
        (
            train.generation.main.main,
            ["weights=RUN", "prompts=RUN/nowhere"],
            "expected a text file",
        ),
        (train.generation.main.main, ["weights=RUN", "prompts=/dev/null"], "line 1 is empty"),
        (train.generation.main.main, ["weights=RUN", "run=RUN", "prompt=x"], "both name the run"),
        (
            train.generation.main.main,
            ["run=RUN", "prompts=RUN/config.yaml", "json=true"],
            'expected {"prompt"',
        ),
        (train.generation.main.main, ["weights=RUN", "prompt=x", "temperature=nan"], "temperature=nan"),
        (
            train.generation.main.main,
            ["weights=RUN", "prompt=" + "word " * 300],
            "the model's context is 256",
        ),
        (train.generation.main.main, ["weights=RUN", "prompt=x", "top_p=0"], "top_p=0"),
        (train.generation.main.main, ["weights=RUN", "prompt=x", "temperature=-1"], "temperature=-1"),
        (train.evaluation.validate.main, ["weights=RUN", "data=mix", "corpora=nowhere"], "relama prepare"),
        (train.evaluation.validate.main, ["weights=RUN", "CORPORA", "seq_len=1000"], "seq_len=1000"),
        (train.evaluation.validate.main, ["weights=RUN", "CORPORA", "sequences=0"], "sequences=0"),
        (train.evaluation.validate.main, ["run=RUN", "seq_len=0"], "seq_len=0: expected 1 to 256"),
        (train.report.main.main, ["run=nowhere"], "run=nowhere: no such run"),
        (train.report.main.main, ["run=RUN", "output=."], "a folder; give the name of a file"),
    ],
)
def test_a_verb_that_cannot_run_is_refused_in_one_line(main, arguments, message, trained, corpora, capsys):
    arguments = [w.replace("RUN", str(trained)).replace("CORPORA", f"corpora={corpora}") for w in arguments]
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0]


def test_a_profile_and_a_memory_table_of_the_chosen_steps(corpora, tmp_path):
    run = tmp_path / "run"
    succeed(f"corpora={corpora}", f"run={run}", "steps=4", "profile=true", "profile_steps=[2,3]")
    files = {path.name: path.stat().st_size for path in (run / "profile").iterdir()}
    assert files.keys() == {"rank0.trace.json.gz", "rank0.time.txt", "rank0.memory.txt"}
    assert "aten::mm" in (run / "profile" / "rank0.time.txt").read_text()


def test_loggers_need_no_network_and_no_key(corpora, tmp_path):
    run = tmp_path / "run"
    output = succeed(
        f"corpora={corpora}",
        f"run={run}",
        "steps=2",
        "logger=wandb,tensorboard,mlflow,prometheus",
        env={**_environment(), "WANDB_API_KEY": "", "MLFLOW_TRACKING_URI": str(tmp_path / "store")},
    ).stdout
    assert "warning" not in output
    assert logged.wandb(run, json.loads((run / "wandb.json").read_text())["id"], [1, 2]) == [1, 2]
    history = logged.mlflow(tmp_path / "store", json.loads((run / "mlflow.json").read_text())["id"])
    assert [line["loss"] for line in metrics(run)] == [history[step]["loss"] for step in (1, 2)]
    of_tensorboard = logged.tensorboard(run)
    assert {step: values.keys() for step, values in of_tensorboard.items()} == {
        step: values.keys() for step, values in history.items()
    }
    assert "relama_loss" in (run / "metrics.prom").read_text()


def test_a_subset_is_reported_with_its_renormalized_weights(corpora, tmp_path):
    output = succeed(
        f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=1", "data.sources=[python_docs]"
    ).stdout
    assert "python_docs 100.0%" in output
    assert list(metrics(tmp_path / "run")[0]["epochs"]) == ["python_docs"]


def test_your_own_text_from_files_to_a_trained_model(tmp_path):
    """The README's four commands."""
    (tmp_path / "texts").mkdir()
    for i in range(300):
        (tmp_path / "texts" / f"{i}.txt").write_text(
            f"Document {i}. " + " ".join(random.Random(i).choices(WORDS, k=80))
        )
    corpora = f"corpora={tmp_path / 'corpora'}"
    own = ("data=mix", "data.weights.mine=1", "data.sources=[mine]", corpora)
    model = tmp_path / "corpora" / "tokenizer" / "tokenizer.model"
    prepare = ("prepare", "recipe=text", "source=mine", corpora)
    for arguments in (
        (*prepare, f"input={tmp_path / 'texts'}", "stage=text"),
        ("tokenizer", *own, "vocab_size=320"),
        (*prepare, "stage=tokens", f"tokenizer={model}", "heldout=0.05"),
        ("train", "model=tiny", *own, "steps=2", f"run={tmp_path / 'run'}"),
        ("explain", f"run={tmp_path / 'run'}", "step=2", "limit=1"),
    ):
        done = python("-m", "launch.cli", *arguments)
        assert done.returncode == 0, done.stderr
    assert re.search(r"texts/\d+\.txt", done.stdout)
    assert metrics(tmp_path / "run")[-1]["validation"]["mine"]["tokens"] > 0


def _environment() -> dict:
    return {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
