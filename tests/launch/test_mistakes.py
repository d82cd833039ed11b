"""What new users get wrong, over all commands: one line that says what to do, and nothing left behind.

Each mistake is typed into `relama` in this process, in a folder with a small run, a text and files that are
not what they should be. Values of single keys, which other tests pin, are here by one example of a kind.
"""

import contextlib
import gzip
import html
import io
import os
import shlex
import shutil
from pathlib import Path

import pytest

from configs.load import load
from data.prepare.config import PrepareConfig
from data.tokens.train_tokenizer import train_tokenizer
from launch.cli import main
from tests.support.runs import SMALL
from train.config import TrainConfig

TEXT = "A model reads this text, and another one writes it; both count to a hundred, one slowly.\n"
# Keys of a small run on the folder's text; `TRAIN` in a command.
TRAIN = [word for word in SMALL if word != "data=sample"]
TRAIN += ["data=text", "input=my.txt", "data.vocab_size=300", "corpora=corpora", "steps=2"]

MISTAKES = {
    # verbs and the form of arguments
    "trian model=tiny": "trian: no such verb; did you mean train?",
    "train --model tiny": "'--model': expected key=value without dashes: model=…",
    "train --learning-rate=1": "'--learning-rate=1': expected key=value without dashes: optim.lr=1",
    "generate my.txt": "'my.txt': expected key=value, such as weights=my.txt",
    "train TRAIN run=new data.sources=[my": "data.sources=[my: not readable as key=value; quote",
    "train TRAIN run=new seed=1,2": "seed=1,2: expected one value",
    # other frameworks' names
    "train batch_size=4": "batch_size: unknown key; did you mean micro_batch or global_batch?",
    "train learning_rate=1e-4": "learning_rate: unknown key; did you mean optim.lr?",
    "train epochs=3": "epochs: unknown key; did you mean steps?",
    "train model.hidden_size=64": "model.hidden_size: unknown key; did you mean model.dim?",
    "train dtype=bf16": "dtype: unknown key; did you mean precision?",
    "train hydra.run.dir=x": "hydra.run.dir: unknown key",
    "train model.partial_rotary_factor=0.5": "model.partial_rotary_factor: unknown key",
    "generate weights=first prompt=a max_new_tokens=5": "did you mean max_tokens?",
    "plan gpus=8": "gpus: unknown key; did you mean world_size?",
    # choices
    "train model = tiny": "'model': expected key=value without spaces: model=…",
    "runs first": "'first': expected key=value, such as folder=…",
    "train model=Tiny": "model=Tiny: no such choice; did you mean tiny? model is one of: ",
    "train model=tiny,": "model=tiny,: no such choice; did you mean tiny? model is one of: ",
    "train data=wikipedia": "for this source alone: data=mix data.sources=wikipedia",
    "train model=8b": "model=8b: no such choice; did you mean llama3-8b? model is one of: 13b,",
    "train model=/models/llama": "to start from weights, give init=PATH",
    "train data=my.txt": "for your own text: data=text input=PATH",
    "train TRAIN logger=comet": "logger=comet: no such choice; logger is one of: ",
    "prepare recipe=wiki input=my.txt": "recipe=wiki: did you mean wikipedia? expected one of commoncrawl,",
    "prepare recipe=text source=new input=my.txt stage=token": "stage=token: expected one of text, tokens",
    "export weights=first format=gguf output=new": "format=gguf: expected one of hf, meta",
    "audit size=8b": "size=8b: expected one of 7b, 13b, 33b, 65b",
    "evaluate weights=first suite=nosuch": "suite: nosuch: no such choice; it is one of",
    # values
    "train TRAIN run=new precision=fp16": "precision=fp16: expected one of auto, fp32, bf16",
    "train TRAIN run=new device=gpu": "device=gpu: expected one of auto, cpu, cuda",
    "train TRAIN run=new steps=ten": "steps=ten: expected an integer",
    "train TRAIN run=new steps=99999999999999": "expected at most 1,000,000,000",
    "train TRAIN run=new seq_len=0": "seq_len=0: expected at least 1",
    "train TRAIN run=new optim.lr=nan": "optim.lr=nan: expected above 0",
    "train TRAIN run=new model.norm_eps=small": "model.norm_eps=small: expected a number",
    "train TRAIN run=new global_batch=100": "(the nearest: 128)",
    "train TRAIN run=new model.n_heads=3": "model.n_heads=3: must divide model.dim=32",
    "train TRAIN run=new parallel.tp=2": "but the world size is 1; these would work: parallel.dp_shard=1",
    "train TRAIN run=new profile=true profile_steps=5,9": "profile_steps=[5, 9]: expected steps of this run",
    "train TRAIN run=new model.vocab_size=32000": "a vocabulary of 300, but model.vocab_size=32000",
    "generate weights=first prompt=a temperature=nan": "temperature=nan: expected a number of at least 0",
    "launch TRAIN run=new processes=0": "processes=0: expected at least 1",
    "launch TRAIN run=new processes=100000": "processes=100000: each takes 0.5 GiB before the model",
    "launch TRAIN run=new nodes=2": "several machines need cluster.rendezvous=HOST:PORT",
    # the form of a value
    "train model:tiny": "'model:tiny': expected key=value with an equals sign: model=tiny",
    "train model==tiny": "model==tiny: no such choice; did you mean tiny?",
    "train =tiny": "'=tiny': expected key=value, such as steps=…",
    "train steps=": "steps=: expected an integer",
    "train steps=10k": "steps=10k: expected an integer in digits: steps=10000",
    "train steps=1,000": "steps=1,000: expected an integer in digits: steps=1000",
    "train optim.lr=0,001": "optim.lr=0,001: expected a number in digits: optim.lr=0.001",
    "train optim.lr=1e-4f": "optim.lr=1e-4f: expected a number",
    "train seed=1.5": "seed=1.5: expected an integer",
    "train profile=maybe": "profile=maybe: expected true or false",
    "train optim.betas=0.9": "optim.betas=[0.9]: expected two numbers",
    "train checkpoint=100": "checkpoint=100: not a value but a group of keys: checkpoint.every,",
    "train checkpoint.every=0": "checkpoint.every=0: expected at least 1",
    "train checkpoint.keep=0": "checkpoint.keep=0: expected at least 1",
    "train validate.every=-1": "validate.every=-1: expected 0 or above",
    "train micro_batch=0": "micro_batch=0: expected at least 1 (sequences)",
    "train device=cuda:0": "device=cuda:0: expected one of auto, cpu, cuda",
    "train threads=0": "threads=0: expected null or at least 1",
    "train TRAIN run=new stop_at=5000": "stop_at=5000: expected 1 to steps=2",
    "train TRAIN run=new source=t data.vocab_size=10": "data.vocab_size=10: expected at least 300",
    "train TRAIN run=new model.dim=33": "model.n_heads=2: must divide model.dim=33",
    "find run=first document=": "document=: empty; expected a value (URL | FILE#RECORD",
    "find run=first document=re:(": "re:(: not a regular expression",
    "generate weights=first prompt=a top_p=2": "top_p=2.0: expected above 0 and at most 1",
    "generate weights=first prompt=a prompts=my.txt": "prompts: give prompt= or prompts=, not both",
    "explain run=first step=1-2": "step=1-2: expected an integer",
    "branch run=first at=2 to=first": "to=first: the run itself; choose a new name",
    "branch run=first at=2 to=runs/first/b": "to=runs/first/b: within the run's own folder",
    "prepare recipe=text source=new input=my.txt heldout=10%": "heldout=10%: expected a number",
    "launch resume run=first": "'resume': expected key=value, or before the keys one of check, status,",
    # keys of other verbs
    "train Model=tiny": "Model: unknown key; did you mean model?",
    "train weights=first": "weights: unknown key; did you mean init or data.weights?",
    "train processes=2": "processes: unknown key; to train in several processes: relama launch processes=N",
    "launch nproc_per_node=2": "nproc_per_node: unknown key; to train in several processes: relama launch",
    "train resume=true": "resume: unknown key; did you mean run?",
    "train output_dir=x": "output_dir: unknown key; did you mean run?",
    "train max_seq_len=128": "max_seq_len: unknown key; did you mean model.max_seq_len?",
    "train weight_decay=0.1": "weight_decay: unknown key; did you mean optim.weight_decay?",
    "train TRAIN run=new source=a/b": "source=a/b: expected letters, digits, _ and - (it names a folder)",
    "train data=sample input=my.txt": "input=my.txt: expected data=text with it",
    "train TRAIN run=new data.weights.my=0": "data.weights.my=0.0: expected a weight above 0",
    "train TRAIN run=new data.sources=nosuch": "data.sources: 'nosuch' has no weight",
    # paths
    "train data=text input=nosuch.txt": "input=nosuch.txt: no such file or folder; expected JSON lines",
    "train data=text input=*.txt": "no such file or folder (patterns are not expanded: give the folder, or",
    "prepare recipe=wikipedia input=dumps/*.bz2": "(patterns are not expanded: give the folder, ",
    "train data=text input=photos": "input=photos: nothing here to read; expected JSON lines",
    "train data=text": "input=: expected your own text for data=text (input=FILE",
    "train data=mix corpora=corpora": "corpora/: no token store for commoncrawl,",
    "train TRAIN corpora=my.txt run=new": "my.txt: a file, expected a folder",
    "train TRAIN run=./photos": "photos: not empty and not a run folder; choose another run=NAME",
    "train TRAIN run=./my.txt": "my.txt: a file, expected a run folder; choose another run=NAME",
    "train TRAIN run=/dev/null/new": "/dev/null: a file, expected a folder; choose another path",
    f"train TRAIN run={'n' * 300}": "nnn…: a name in this path is too long for its file system; choose a sho",
    "train TRAIN run=s3://bucket/new": "expected a local folder; copy it to one, or mount the bucket",
    "train TRAIN run=new init=nosuch": "nosuch: no such file or folder, so neither a run folder",
    "train TRAIN run=new init=photos": "photos: neither a run folder (runs/NAME) nor a checkpoint",
    "train TRAIN run=first optim.lr=0.1": "runs/first: holds another run (optim.lr: 0.003 there, 0.1",
    "train config=nosuch.yaml": "config=nosuch.yaml: cannot be read (No such file or directory)",
    "train config=my.txt": "config=my.txt: ",
    "generate weights=frist prompt=a": "frist: no such file or folder, so neither a run folder",
    "generate weights=@2 prompt=a": "@2: expected RUN@STEP with the name of a run",
    "generate weights=photos@2 prompt=a": "photos: neither a run folder (runs/NAME) nor a checkpoint",
    "generate weights=runs@2 prompt=a": "runs: a folder of runs; choose one: runs/first",
    "generate weights=runs/first/checkpoints/step-000002@2 prompt=a": "so it has no steps; give runs/firs",
    "generate weights=first@last prompt=a": "first@last: expected RUN@STEP with the number of a step",
    "generate weights=meta-llama/Llama-2-7b prompt=a": "hf download meta-llama/Llama-2-7b --local-dir FOLDER",
    "train TRAIN run=": "run=: empty; expected a value (a name under runs/, or a path",
    "report run=": "run=: empty; expected a value (a name under runs/, or a path; several,",
    "generate weights=first@7 prompt=a": "runs/first@7: no checkpoint of this step; the nearest kept: 2",
    "generate weights=first": 'prompt: empty; give prompt="…"',
    "generate weights=first prompts=nosuch.txt": "prompts=nosuch.txt: cannot be read (No such file",
    "generate weights=first prompts=empty.txt": "prompts=empty.txt: line 1 is empty; expected a prompt",
    "generate weights=first prompts=photos/a.jpg": "prompts=photos/a.jpg: not UTF-8 text",
    "generate weights=first prompt=a parallel.tp=2": "parallel.tp=2: the world size is 1; expected",
    "generate weights=first prompt=a tokenizer=nosuch.model": "nosuch.model: no such tokenizer; train one",
    "generate weights=first prompt=a tokenizer=torn.model": "torn.model: not a SentencePiece model",
    "generate weights=first prompt=a tokenizer=empty.txt": "empty.txt: empty; expected a SentencePiece",
    "generate weights=first prompt=a tokenizer=photos": "photos: cannot be read (Is a directory); expected",
    "generate weights=first prompt=a tokenizer=other.model": "a vocabulary of 310, but runs/first/",
    "chat weights=nosuch": "nosuch: no such file or folder",
    "validate": "weights: is required; give weights=…",
    "validate weights=first data=mix": "no token store for commoncrawl,",
    "prepare recipe=wikipedia input=my.txt": "input=my.txt: nothing here to read; expected pages-articles",
    "prepare recipe=wikipedia": "input: expected files or folders (input=PATH",
    "prepare recipe=text input=my.txt": "source: recipe=text needs a name for the source (source=",
    "prepare recipe=text source=a/b input=my.txt": "source=a/b: expected letters, digits, _ and -",
    "prepare recipe=text source=new input=my.txt corpora=my.txt": "my.txt/new: cannot be written",
    "tokenizer corpora=nosuch": "nosuch/commoncrawl/text: no cleaned text (*.parquet)",
    "export weights=first format=hf output=photos": "output=photos: already exists; choose another folder",
    "import weights=first output=new": "weights=first: already a Relama checkpoint; nothing to import",
    "average weights=first,nosuch output=new": "nosuch: no such file or folder",
    "explain run=nosuch step=1": "run=nosuch: no such run (runs/nosuch); `relama runs` lists the runs",
    "explain weights=frist step=1": "run=frist: no such run (runs/frist); did you mean run=first?",
    "report run=first@2": "run=first@2: a step of a run, expected the run: run=first",
    "find run=runs/first/checkpoints/step-000002 document=x": "a step of a run, expected the run: run=first",
    "branch weights=first run=first at=2 to=new": "weights=first run=first: both name the run; give one",
    "branch run=first at=2 to=first@1": "to=first@1: a step of the run first, expected a new name",
    "train TRAIN run=first@2": "run=first@2: a step of the run first, expected a new name; to continue from",
    "train TRAIN run=first/checkpoints": "runs/first/checkpoints: within the folder of the run runs/first;",
    "train model=70b": "model=70b: no such choice; did you mean llama2-70b? model is one of:",
    "train model=llama-7b": "model=llama-7b: no such choice; did you mean 7b? model is one of:",
    "train model=7B": "model=7B: no such choice; did you mean 7b? model is one of:",
    "train model=llama3": "model=llama3: no such choice; did you mean llama3-8b? model is one of:",
    "train steps=1e3": "steps=1e3: expected an integer in digits: steps=1000",
    "train TRAIN xyzzy=1": "xyzzy: unknown key; no key has a similar name (--help lists all)",
    "export xyzzy=1": "xyzzy: unknown key; the choices are: weights, format, output, dtype,",
    "plan run=first": "run: unknown key; a plan needs no run; give its model, such as model=7b",
    "runs run=first": "run: unknown key; every run is listed; for one: relama report run=NAME",
    "explain run=first step=0": "step=0: expected 1 or above",
    "report run=nosuch": "run=nosuch: no such run (runs/nosuch); `relama runs` lists the runs here",
    "report run=first output=photos": "output=photos: cannot be written (a folder; give",
    "runs folder=nosuch": "folder=nosuch: no such folder; expected one with runs",
    "launch status run=nosuch": "no launch recorded for this run; give run=NAME",
    "launch status": "launch status: expected run=NAME of one that was launched (in runs: none)",
    # an empty value, as of a shell's variable that is not set
    "evaluate weights=first tasks=": "tasks=: empty; expected a value (of the suite, lm-eval's others,",
    "validate weights=": "weights=: empty; expected a value (a run's folder or name, RUN@STEP,",
    "train TRAIN run=new init=": "init=: empty; expected a value (weights to start from: a run,",
    "export weights=first format=hf output=": "output=: empty; expected a value (the folder to create)",
    "tokenizer corpora=": "corpora=: empty; expected a value (the folder of the prepared sources)",
    # weights and runs that are nearly right
    "generate weights=runs prompt=a": "runs: a folder of runs; choose one: runs/first",
    "generate weights=runs/first/checkpoints/step-000009 prompt=a": "runs/first@9: no checkpoint of this",
    "average weights=first,first@2 output=new": "runs/first/checkpoints/step-000002 twice; give different",
    "report run=./runs": "run=./runs: a folder of runs; choose one: run=first",
    "explain run=./runs step=1": "run=./runs: a folder of runs; choose one: run=first",
    "branch run=./runs at=1 to=new": "run=./runs: a folder of runs; choose one: run=first",
    "train TRAIN run=./runs": "runs: a folder of runs (first); choose another run=NAME, or one of them",
    "report run=first,runs/first": "runs/first twice; give different runs",
    "runs folder=runs/first": "folder=runs/first: itself a run; give the folder that it is in: runs",
    # an output that cannot be, before what takes long
    "report run=first output=nosuch/page.html": "cannot be written (nosuch: no such folder)",
    "report run=first output=/dev/null/page.html": "cannot be written (/dev/null: no such folder)",
    "tokenizer data.weights.my=1 data.sources=my vocab_size=300 output=/dev/null/t.model": (
        "/dev/null/t.model: cannot be written (Not a directory)"
    ),
    "evaluate weights=first benchmarks=photos output=my.txt": "output=my.txt: cannot be written (Not a",
    "ladder sizes=1M,2M,3M output=/dev/null/l.html": "output=/dev/null/l.html: cannot be written (Not a dir",
    # verbs, and keys without a counterpart, of other tools
    "model=tiny data=sample": "expected a verb before the keys, such as relama train model=tiny",
    "finetune init=first": "finetune: no such verb; did you mean train?",
    "sample weights=first": "sample: no such verb; did you mean generate?",
    "stop run=first": "stop: no such verb; did you mean launch stop?",
    "train dropout=0.1": "dropout: unknown key; LLaMA is trained without dropout",
    "train --logging_steps=10": "without dashes; logging_steps: unknown key; every step is logged",
    "train tokenizer=other.model": "tokenizer: unknown key; a run has the tokenizer that made its tokens",
    "generate weights=first prompt=a top_k=50": "top_k: unknown key; texts are drawn by temperature=",
    "help nosuch": "nosuch: no such verb",
    # a place that cannot be
    "export weights=first format=hf output=s3://bucket/x": "output=s3://bucket/x: expected a local folder",
    "branch run=first at=2 to=s3://bucket/x": "to=s3://bucket/x: expected a local folder",
    "prepare recipe=c4 download=true dumps.folder=s3://b": "dumps.folder=s3://b: expected a local folder",
    "prepare recipe=text source=new input=my.txt output=my.txt": (
        "my.txt: cannot be written (a file, expected a folder)"
    ),
    "prepare recipe=all input=tab.yaml": "tab.yaml: cannot be read (line 1: found character '\\t'",
    "ladder fit=first": "0 sizes: a fit needs at least 3; left out: first (diverged: ",
    # their keys in sections
    "train checkpoint.interval=10": "checkpoint.interval: unknown key; did you mean checkpoint.every?",
    "train checkpoint.folder=x": "checkpoint.folder: unknown key; did you mean run?",
    "train checkpoint.path=x": "checkpoint.path: unknown key; did you mean run?",
    "train data.path=x": "data.path: unknown key; did you mean data or input?",
    "train validate.interval=10": "validate.interval: unknown key; did you mean validate.every?",
    "train interval=10": "did you mean checkpoint.every or validate.every or evaluate.every?",
    "train model.name_or_path=x": "model.name_or_path: unknown key; did you mean init?",
    "train accelerator=gpu": "accelerator: unknown key; did you mean device?",
    "train val_split=0.1": "val_split: unknown key; text is held out when it is prepared (relama prepare",
    "train --lora_r 8": "lora_r: unknown key; all weights are trained",
    "train shuffle=true": "shuffle: unknown key; samples are always packed and drawn in an order that seed=",
    "train parallel.fsdp=2": "parallel.fsdp: unknown key; did you mean parallel.dp_shard?",
    "train optim.name=adamw": "optim.name: unknown key; did you mean optim?",
    "train compile.enable=true": "compile.enable: unknown key; did you mean parallel.compile?",
    "train --training.steps 100": "'--training.steps': expected key=value without dashes: steps=…",
    "train --parallelism.tensor_parallel_degree=2": "without dashes: parallel.tp=2",
    "train --job.config_file=a.yaml": "without dashes: config=a.yaml",
    "train a.yaml": "'a.yaml': expected key=value, such as config=a.yaml",
    "train my.txt": "'my.txt': expected key=value, such as data=text input=my.txt",
    "export first hf": "'first': expected key=value, such as weights=first",
    "plan 7b": "'7b': expected key=value, such as model=7b",
    "prepare wikipedia dump.xml": "'wikipedia': expected key=value, such as recipe=wikipedia",
    "evaluate model=first": "model: unknown key; did you mean weights?",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A working folder with a finished run, its text, and files of the wrong kind."""
    folder = tmp_path_factory.mktemp("first-day")
    (folder / "my.txt").write_text("".join(f"{n} {TEXT}" for n in range(800)))
    (folder / "empty.txt").touch()
    (folder / "tab.yaml").write_text("\tbooks: my.txt\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    train_tokenizer(iter([TEXT * 50]), folder / "other.model", vocab_size=310)
    (folder / "torn.model").write_bytes((folder / "other.model").read_bytes()[:1000])
    with contextlib.chdir(folder):  # in this process, which the refusals below need warm anyway
        code, _, err = typed("train TRAIN run=first")
    assert code == 0, err
    return folder


def typed(command: str) -> tuple[int, str, str]:
    """The exit code, output and errors of `relama COMMAND`."""
    out, err = io.StringIO(), io.StringIO()
    arguments = [word for typed in shlex.split(command) for word in (TRAIN if typed == "TRAIN" else [typed])]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def files(folder: Path) -> dict[str, int]:
    """Every file with its size and every folder, but for locks and reports of what was skipped."""
    kept = (path for path in folder.rglob("*") if not path.name.endswith((".lock", "report.html")))
    return {str(path): path.stat().st_size if path.is_file() else -1 for path in kept}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = files(folder)
    code, _, err = typed(command)
    lines = [line for line in err.splitlines() if "error" in line]
    assert code in (1, 2), err
    assert len(lines) == 1 and lines[0].startswith("relama: error: "), err
    assert MISTAKES[command] in lines[0]
    assert "***" not in lines[0] and "Errno" not in lines[0].replace("cannot be written ([Errno", "")
    assert files(folder) == before


def test_spellings_of_new_users_that_are_right_work(folder, monkeypatch):
    """Spellings that look like mistakes, each of which has one meaning."""
    monkeypatch.chdir(folder)
    Path("prompts.txt").write_text("a\u2028b\n")  # not the end of a line
    code, out, err = typed("generate weights=first prompts=prompts.txt max_tokens=2 temperature=0")
    assert code == 0 and out.startswith("a\u2028b"), err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    code, out, err = typed("generate run=runs/first prompts=- max_tokens=1 temperature=0 +seed=3")
    assert code == 0 and out.count("-" * 40) == 1, err
    code, out, err = typed("generate weights=runs/first/checkpoints prompt=a max_tokens=1")  # its newest
    assert code == 0, err
    code, out, err = typed("explain run=first step=99 limit=1  # pasted into zsh")
    assert code == 0 and out.startswith("step 99: not reached yet (run at step 2): samples "), err
    for one in (
        "weights=first",
        "run=runs/first/checkpoints",
        "run=first/checkpoints",
        "run=./runs/first/config.yaml",
    ):
        code, out, err = typed(f"explain {one} step=1 limit=1")
        assert code == 0 and out.startswith("step 1: samples "), err
    code, out, err = typed("tokenizer data.weights.my=1 data.sources=my vocab_size=300 output='a b.model'")
    assert code == 0 and out.endswith("tokenizer='a b.model'\n"), err  # to be pasted
    monkeypatch.setenv("HOME", "/home/me")  # shells leave a ~ after an equals sign
    assert load("train", TrainConfig, [*TRAIN, "run=~/r"]).run == "/home/me/r"
    assert load("train", TrainConfig, [*TRAIN, "run=~"]).run == "/home/me"
    assert load("prepare", PrepareConfig, ["recipe=text", "source=a", "input=~/a,~/b"]).input == [
        "/home/me/a",
        "/home/me/b",
    ]
    for arguments in ("init=first", "init=first/", "init=./first"):
        assert load("train", TrainConfig, [*TRAIN, arguments]).init == "first"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty (0 bytes)"),
        (gzip.compress(b"some text" * 1000)[:40], "cannot be read to their end"),
    ],
    ids=["empty", "torn"],
)
def test_a_text_that_cannot_be_used_leaves_no_text(content, expected, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.txt.gz" if content else "t.txt").write_bytes(content)
    code, _, err = typed(f"train data=text input={next(Path().glob('t.*'))}")
    assert code == 1 and expected in err and "Traceback" not in err
    assert not Path("corpora/t/text").exists() and not Path("runs").exists()


@pytest.mark.parametrize(
    ("lost", "command", "expected"),
    [
        (
            "*.distcp",
            "generate weights=first prompt=a",
            "runs/first: all of its checkpoints are damaged; restore",
        ),
        (
            "state.json",
            "export weights=first format=hf output=new",
            "runs/first: all of its checkpoints are dam",
        ),
        ("order.json", "explain run=first step=1", "runs/first/order.json: missing; the command that trains"),
        (
            "tokenizer.model",
            "audit run=first",
            "runs/first/tokenizer.model: missing; copy it from its tokens",
        ),
        (
            "metrics.jsonl",
            "report run=first",
            "runs/first/metrics.jsonl: no metrics yet; train this run first",
        ),
    ],
)
def test_what_a_run_lost_is_named_with_the_way_out(lost, command, expected, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    for path in Path("runs").rglob(lost):
        path.unlink()
    before = files(tmp_path)
    code, _, err = typed(command)
    assert code == 1 and err.startswith(f"relama: error: {expected}"), err
    assert files(tmp_path) == before


@pytest.mark.parametrize("damaged", [None, "steps: [1,\n"], ids=["missing", "damaged"])
def test_a_run_without_its_config_is_reported_from_its_checkpoint(damaged, folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    config = Path("runs/first/config.yaml")
    text = config.read_text()
    config.unlink() if damaged is None else config.write_text(damaged)
    code, _, err = typed("report run=first samples=never output=page.html")
    assert code == 0 and text in html.unescape(Path("page.html").read_text()), err


@pytest.mark.skipif(not os.access("/sys", os.F_OK), reason="needs /sys, which nobody can write to")
@pytest.mark.parametrize(
    "command",
    [
        "train TRAIN run=/sys/new",
        "prepare recipe=text source=new input=my.txt output=/sys/new",
        "export weights=first format=hf output=/sys/new",
        "report run=first output=/sys/new",
        "tokenizer data.weights.my=1 data.sources=my vocab_size=300 output=/sys/new/tokenizer.model",
    ],
)
def test_a_folder_without_rights_is_named(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = typed(command)
    lines = [line for line in err.splitlines() if "error" in line]
    assert code == 1 and len(lines) == 1 and "/sys/new" in lines[0], err
