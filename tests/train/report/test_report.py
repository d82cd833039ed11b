"""The page of a run: self-contained, with correct figures, and one line if there is nothing to show."""

import html.parser
import json
import random
import re
import shlex
import shutil
from pathlib import Path

import pytest

from configs.load import load, save
from tests.support.narrow import present
from train.config import TrainConfig
from train.recipe.facts import GPU_HOURS
from train.report.charts import DOTTED, Line, axis, line_chart, short, smoothed
from train.report.curves import x_axes
from train.report.main import main
from train.report.recipe import _carbon
from train.run.record import RunRecord
from train.run.starts import command

SECTIONS = [
    *("summary", "controls", "loss", "optimization", "speed", "mixture", "samples"),
    *("evaluation", "cost", "deviations", "reproduce", "config", "axes"),
]
STEPS = 100
VOID = {"meta", "br", "img", "link", "path", "circle", "rect"}


class Page(html.parser.HTMLParser):
    """Checks that every tag is closed, and collects what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.outside, self.ids, self.links, self.words = [], [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("link", "img", "iframe", "object", "embed", "use") or (
            tag == "script" and "src" in values
        ):
            self.outside.append(tag)
        self.links += [values[key] for key in ("href", "src", "srcset", "xlink:href") if key in values]
        self.ids += [values["id"]] if "id" in values else []

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def metrics(steps: int = STEPS) -> list[dict]:
    noise = random.Random(0)
    lines = []
    for step in range(1, steps + 1):
        line = {
            "step": step,
            "loss": 9 - step / 50 + noise.random(),
            "grad_norm": noise.random() * 2,
            "lr": 1e-4,
        }
        line |= {
            "tokens": step * 2**22,
            "tokens_per_second": 4e6,
            "tokens_per_second_computing": 5e6,
            "mfu": 0.5,
        }
        line |= {"memory_gib": 60.5, "epochs": {"c4": step / 1000, "books": step / 500}}
        line["seconds"] = {"total": 36.0, "compute": 27.0, "data": 1.8}
        if step % 50 == 0:
            found = {"loss": 2.5, "perplexity": 12.2, "bits_per_byte": 0.98765, "tokens": 4096}
            line["validation"] = {"c4": found, "books": found}
        lines.append(line)
    return lines


@pytest.fixture
def run(corpora, tmp_path) -> Path:
    """A run folder as an early version left it: config, metrics and tokenizer."""
    folder = tmp_path / "a-run"
    folder.mkdir()
    config = load("train", TrainConfig, ["model=7b", "data=mix", "data.sources=[c4,books]", "steps=200"])
    save(config, folder / "config.yaml")
    write(folder / "metrics.jsonl", metrics())
    shutil.copy(corpora / "python_docs" / "tokens" / "tokenizer.model", folder / "tokenizer.model")
    return folder


def write(path: Path, lines: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def page_of(run: Path, *arguments: str) -> Page:
    assert main([f"run={run}", *arguments]) == 0
    text = (run / "report.html").read_text()
    page = Page(text)
    assert page.outside == [] and all(link.startswith("#") for link in page.links)
    assert "default-src 'none'" in text
    assert re.search(r"https?://|url\(|@import", text) is None and "nan" not in re.sub(
        r"[a-z]nan|nan[a-z]", "", text
    )
    assert {link[1:] for link in page.links} <= set(page.ids)
    return page


def start(first_step: int, ranks: int, device: str = "NVIDIA A100-SXM4-80GB") -> dict:
    return {
        "time": 1.8e9,
        "first_step": first_step,
        "command": f"torchrun --nproc_per_node {ranks} train/main.py model=7b",
        "ranks": ranks,
        "device": device,
        "python": "3.11.7",
        "versions": {"torch": "2.13.0"},
        "commit": "abc123def456",
    }


def test_a_run_with_everything_is_one_complete_page(run):
    write(run / "starts.jsonl", [start(1, 64), start(51, 32), start(500, 8)])
    write(run / "attempts.jsonl", [{"event": "end", "step": 50, "how": "node <lost>", "time": 1.8e9}])
    samples = [
        {"step": step, "prompt": "A & B", "text": text}
        for step, text in ((100, "the later text"), (50, "<b>"))
    ]
    write(run / "samples.jsonl", samples)
    folder = run / "evaluation" / "step-000100"
    result = {"identity": "x", "metric": "acc", "documents": 123}
    write(folder / "piqa-0shot-paper.json", [result | {"score": 0.6125}])
    write(folder / "piqa-0shot-usual.json", [result | {"score": 0.7375}])
    write(folder / "race_high-0shot-paper.json", [result | {"score": 0.2625}])
    (folder / "boolq-0shot-paper.json").write_text("{")
    page = page_of(run)
    assert page.ids == SECTIONS
    assert (run / "report.html").read_text().count("<figure") == 7
    words = " ".join(page.text.split())
    assert "end 2027-01-15 08:00 UTC 50 node <lost>" in words
    assert words.index("<b>") < words.index("the later text")
    assert (
        "piqa 0 79.8 61.3 73.8 123" in words.replace("61.2", "61.3")
        and "race_high 0 46.9 26.2 – 123" in words
    )
    assert "boolq 0" not in words
    assert "0.9877" in words and "A & B" in words
    assert "torchrun --nproc_per_node 32 train/main.py model=7b" in words and "abc123def456" in words
    assert "data.weights.github: not in the mixture; LLaMA: 4.5% (Table 1)" in words
    assert "optim.eps: 1e-08" in words
    assert "--nproc_per_node 8" not in words  # that start trained none of the run's steps


def test_a_decision_is_shown_with_the_sources_and_documents_of_its_step(run):
    seen = {"sources": {"c4": 6, "books": 2}, "documents": ["a.example/<1>", "books/moby.txt", "c", "d", "e"]}
    write(run / "decisions.jsonl", [{"step": 1042, "action": "skip", "why": "loss 9.1, above"} | seen])
    words = " ".join(page_of(run).text.split())
    assert "1,042 skip loss 9.1, above c4 6, books 2 a.example/<1>, books/moby.txt, c and 2 more in" in words
    assert "relama explain" in words


def test_communication_is_shown_of_the_steps_that_were_watched(run):
    assert "not overlapped" not in page_of(run).text
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines[9::10]:
        line["seconds"]["communication"] = line["seconds"]["total"] / 8
    write(run / "metrics.jsonl", lines)
    assert f"not overlapped by computation: 12.5% of {len(lines) // 10} watched steps" in page_of(run).text


def test_goodput_is_the_account_of_the_runs_life(run):
    begin = (run / "metrics.jsonl").stat().st_mtime - 7200
    starts = [(0, 0, None, begin), (40, 47, begin + 3000, begin + 3600)]
    keys = ("step", "reached", "last_seen", "time")
    write(run / "attempts.jsonl", [{"event": "start", "ranks": 8} | dict(zip(keys, each)) for each in starts])
    words = " ".join(page_of(run).text.split())
    assert "47.5% goodput" in words and "2.0 h life" in words and "10.0 min down, over 2 starts" in words
    assert "7 steps trained again" in words


def test_hours_and_carbon_are_counted_as_in_the_paper(run):
    for size, paper in {"7b": (36, 14), "13b": (59, 23), "33b": (233, 90), "65b": (449, 173)}.items():
        _, energy, carbon = _carbon(GPU_HOURS[size], 400)
        assert abs(float(energy) - paper[0]) <= 1 and abs(float(carbon) - paper[1]) <= 1
    write(run / "starts.jsonl", [start(1, 640), start(51, 320)])
    words = " ".join(page_of(run).text.split())
    spent = 50 * 36 / 3600 * (640 + 320)  # device-hours of half the run
    energy = spent * 400 * 1.1 / 1e6
    assert f"this run, so far {spent:.0f} {energy:.3g} {energy * 0.385:.3g}" in words
    assert f"this run, complete, at this speed {2 * spent:.0f} {2 * energy:.3g}" in words
    assert "LLaMA-7B, Table 15 82,432 36.3 14" in words
    write(run / "starts.jsonl", [start(1, 640, "4 threads of some CPU")])
    words = " ".join(page_of(run).text.split())
    assert f"this run, so far {50 * 36 / 3600 * 1280:.0f} – –" in words and "watts=" in words
    assert "taken as 250 W" in page_of(run, "watts=250").text


def test_epochs_are_shown_next_to_table_1_as_seen_and_at_the_end(run):
    words = " ".join(page_of(run).text.split())
    assert "c4 76.9% 15.0% 0.100 0.200 1.06" in words
    assert "books 23.1% 4.5% 0.200 0.400 2.23" in words
    assert "github not in it 4.5% – – 0.64" in words


def test_unrecorded_values_are_reported_as_unknown(run):
    lines = [{key: line[key] for key in ("step", "loss")} | {"mfu": None} for line in metrics(1)]
    lines[0]["loss"] = float("inf")
    write(run / "metrics.jsonl", lines)
    page = page_of(run)
    words = " ".join(page.text.split())
    assert "unknown MFU" in words and "Not evaluated yet" in words and "None yet" in words
    assert "The versions were not recorded" in words and "this run, so far – – –" in words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no metrics yet; train this run first"),
        ("", "no metrics yet"),
        ('{"step": 1, "lo', "no metrics yet"),
        ('{"step": 1, "loss": 2}\nnonsense\n', "metrics.jsonl: line 2 is damaged"),
        ("\0\0\0\0\n", "line 1 is damaged"),
        ('[1]\n{"step": 1, "loss": 2}\n', "line 1 is damaged"),
        ('{"step": 1}\n', "line 1 is damaged (no loss)"),
    ],
)
def test_a_run_without_complete_metrics_is_refused_in_one_line(run, content, message, capsys):
    (run / "metrics.jsonl").unlink()
    if content is not None:
        (run / "metrics.jsonl").write_text(content)
    assert main([f"run={run}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("samples=some", "samples=some: expected one of auto, always, never"),
        ("watts=0", "watts=0"),
        ("output=/nowhere/a.html", "output=/nowhere/a.html: cannot be written"),
    ],
)
def test_a_report_that_cannot_be_made_is_refused_in_one_line(run, word, message, capsys):
    assert main([f"run={run}", word]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_spike_of_one_step_is_drawn_however_long_the_run():
    noise = random.Random(1)
    for size in (1, 2, 50, 5_000, 100_000):
        ys = [2 + noise.random() for _ in range(size)]
        peak = noise.randrange(size)
        ys[peak] = 900.0
        drawn = line_chart("loss", [Line("train", range(size), ys)], zero=True)
        places = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn.split('class="line"')[1])]
        assert (
            min(places) == 8 + (1000 - 900) / 1000 * 198
            and len(places) <= max(size, 0)
            and len(drawn) < 40_000
        )
        assert places.count(min(places)) == 1


def test_lines_break_at_missing_values_and_few_points_get_dots():
    drawn = line_chart("x", [Line("a", [1, 2, 3, 4], [1.0, None, float("nan"), 2.0], dots=True)])
    assert drawn.split('class="line"')[1].split("/>")[0].count("M") == 2 and drawn.count("<circle") == 2
    many = line_chart("x", [Line("a", range(DOTTED + 1), range(DOTTED + 1), dots=True)])
    assert "<circle" not in many
    assert line_chart("x", [Line("a", [1], [None])]) == "" == line_chart("x", [])


def test_an_axis_holds_its_values_between_few_round_numbers():
    noise = random.Random(2)
    for _ in range(2000):
        low = noise.uniform(-1, 1) * 10 ** noise.uniform(-6, 9)
        high = low + 10 ** noise.uniform(-4, 9)
        ticks = axis(low, high)
        slack = 1e-6 * (ticks[1] - ticks[0])
        assert ticks[0] <= low + slack and ticks[-1] >= high - slack and 4 <= len(ticks) <= 8
    assert axis(3.0, 3.0)[0] < 3 < axis(3.0, 3.0)[-1] and axis(0, 0)[0] < 0
    assert [short(v) for v in (0, 0.5, 1500, 2e6, 3e-4, 1.25e-5)] == [
        "0",
        "0.5",
        "1.5k",
        "2M",
        "3e-4",
        "1.25e-5",
    ]


def test_smoothing_averages_neighbors_and_keeps_gaps():
    ys: list[float | None] = [float(i % 2) for i in range(1000)]
    ys[500] = None
    means = smoothed(ys)
    assert means[500] is None and all(abs(present(y) - 0.5) < 0.06 for y in means[20:500] + means[501:980])
    assert smoothed([1.0, 2.0, None]) == [1.0, 2.0, None]


def test_the_first_figure_is_the_held_out_bits_per_byte_of_the_mixture(run):
    lines = metrics()
    lines[-1]["validation"]["books"] = lines[-1]["validation"]["books"] | {"bits_per_byte": 2.0}
    write(run / "metrics.jsonl", lines)
    expected = (15.0 * 0.98765 + 4.5 * 2.0) / 19.5
    words = " ".join(page_of(run).text.split())
    assert f"Summary {expected:.4f} held-out bits per byte, sources weighted as in the mixture" in words


def test_what_was_not_finite_is_shown_as_unknown(run, capsys):
    lines = metrics()
    unknown = dict.fromkeys(("loss", "perplexity", "bits_per_byte"))
    lines[-1]["validation"] = {"c4": {**unknown, "tokens": 8, "sequences": 1, "of_sequences": 2}}
    lines[-1]["evaluation"] = {"piqa": None}
    write(run / "metrics.jsonl", lines)
    assert "c4 – – – 8 1 of 2" in " ".join(page_of(run).text.split())


def test_the_title_gives_the_time_machine_and_commit(run):
    write(run / "starts.jsonl", [start(1, 64) | {"platform": "Linux-6.1-x86_64"}])
    words = " ".join(page_of(run).text.split())
    assert "Started 2027-01-15 08:00 UTC, Linux-6.1-x86_64, Relama commit abc123def456" in words


def test_sources_link_to_their_own_pages(run, tmp_path):
    source = tmp_path / "corpora" / "c4"
    source.mkdir(parents=True)
    (source / "report.html").write_text("")
    order = {
        "stores": {"c4": str(source / "tokens"), "books": str(tmp_path / "corpora" / "books" / "tokens")}
    }
    (run / "order.json").write_text(json.dumps(order))
    assert main([f"run={run}"]) == 0
    page = Page((run / "report.html").read_text())
    assert [link for link in page.links if not link.startswith("#")] == ["../corpora/c4/report.html"]


def test_markup_in_data_is_shown_as_text(run):
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    write(run / "samples.jsonl", [{"step": 50, "prompt": nasty, "text": nasty}])
    write(run / "decisions.jsonl", [{"step": 5, "why": nasty, "documents": [nasty], "sources": {nasty: 1}}])
    write(run / "attempts.jsonl", [{"event": "end", "how": nasty}])
    write(
        run / "starts.jsonl", [start(1, 64, nasty) | {"command": nasty, "commit": nasty, "platform": nasty}]
    )
    page_of(run)
    text = (run / "report.html").read_text()
    assert "<img" not in text and text.count("<script") == text.count("</script>") == 8


def test_each_axis_has_a_value_for_every_known_step(run):
    axes = x_axes(RunRecord.read(run))
    assert {len(values) for values in axes.values()} == {STEPS}
    assert axes["step"][-1] == STEPS and axes["tokens"][-1] == STEPS * 2**22
    assert axes["hours"][-1] == pytest.approx(STEPS * 36 / 3600)
    assert axes["flops"][-1] == pytest.approx(6 * 6.74e9 * STEPS * 2**22, rel=0.15)


def test_several_runs_are_compared_on_one_page(run, tmp_path):
    other = tmp_path / "b-run"
    shutil.copytree(run, other)
    config = ["model=7b", "data=mix", "data.sources=[c4,books]", "steps=200", "optim.lr=0.001"]
    save(load("train", TrainConfig, config), other / "config.yaml")
    assert main([f"run={run},{other}", f"output={tmp_path / 'both.html'}"]) == 0
    page = Page((tmp_path / "both.html").read_text())
    words = " ".join(page.text.split())
    assert page.outside == [] and page.ids == ["controls", "summary", "curves", "differences", "axes"]
    assert re.search(r"held-out bits per byte 0\.987[67] 0\.987[67]", words)
    assert "optim.lr 0.0003 0.001" in words and "model.dim" not in words
    assert not (run / "report.html").exists()


def test_a_start_is_recorded_as_it_was_typed(monkeypatch):
    arguments = ["model=7b", "data.sources=[c4, books]", "run=it's"]
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert shlex.split(command(arguments)) == ["relama", "train", *arguments]
    for local, world, nodes in ((8, 8, []), (8, 64, ["--nnodes", "8"])):
        for key, value in (("RUN_ID", "x"), ("LOCAL_WORLD_SIZE", str(local)), ("WORLD_SIZE", str(world))):
            monkeypatch.setenv("TORCHELASTIC_RUN_ID" if key == "RUN_ID" else key, value)
        expected = ["torchrun", *nodes, "--nproc_per_node", str(local), "train/main.py", *arguments]
        assert shlex.split(command(arguments)) == expected
