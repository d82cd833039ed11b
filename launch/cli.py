"""`relama VERB key=value …`: the one table of verbs, each with its entry point in the room it belongs to.

Nothing heavy is imported before the verb is known, so `--help` answers at once.
"""

import difflib
import gc
import importlib
import os
import shutil
import sys
import textwrap
from pathlib import Path

from configs import terminal
from configs.errors import explained, report
from configs.interrupts import end_at_once, interrupted
from configs.waiting import starting

# Verb: the module with its `main`, its config dataclass there (filled by configs/VERB.yaml), what it does.
VERBS = {
    "prepare": ("data.main", "PrepareConfig", "turn raw dumps into cleaned text and verified tokens"),
    "tokenizer": (
        "data.tokens.train_tokenizer",
        "TokenizerConfig",
        "train a SentencePiece tokenizer on the mixture's text",
    ),
    "audit": (
        "train.recipe.audit",
        "AuditConfig",
        "compare the mixture's tokens and epochs, and a run's config, with the paper's",
    ),
    "train": ("train.main", "TrainConfig", "train in one process (many: relama launch processes=N …)"),
    "launch": (
        "launch.main",
        "LaunchConfig",
        "train in several processes, here or on a cluster; launch check, status, stop, generate, evaluate",
    ),
    "explain": ("data.explain", "ExplainConfig", "show what any step of a run was trained on"),
    "find": (
        "train.branch.find",
        "FindConfig",
        "say which steps of a run train on a document",
    ),
    "validate": (
        "train.evaluation.validate",
        "ValidateWeightsConfig",
        "measure held-out loss, perplexity and bits per byte per source",
    ),
    "generate": ("train.generation.main", "GenerateConfig", "continue a prompt with a trained model"),
    "chat": ("train.generation.chat", "ChatConfig", "write a text in turns with a trained model"),
    "serve": (
        "train.generation.serve",
        "ServeConfig",
        "answer OpenAI's completions over HTTP, on this machine",
    ),
    "evaluate": (
        "train.evaluation.main",
        "EvaluateConfig",
        "run the paper's benchmarks with lm-eval and compare the scores",
    ),
    "report": (
        "train.report.main",
        "ReportConfig",
        "write one page on a run, with plots; run=a,b compares runs",
    ),
    "runs": ("train.report.runs", "RunsConfig", "list every run: state, step, held-out figure, speed, age"),
    "branch": (
        "train.branch.main",
        "BranchConfig",
        "start a run from another run's checkpoint with different data, length, rates or steps",
    ),
    "append": (
        "data.prepare.append",
        "AppendConfig",
        "append prepared tokens to a token store, as a new version that a branch may read",
    ),
    "export": ("train.weights.export", "ExportConfig", "write weights in Hugging Face's or Meta's format"),
    "import": (
        "train.weights.import_",
        "ImportConfig",
        "turn Hugging Face's or Meta's weights into a checkpoint",
    ),
    "average": ("train.weights.average", "AverageConfig", "average several checkpoints"),
    "plan": (
        "train.plan.main",
        "PlanConfig",
        "say what a size needs: GPU-hours, memory, what each rank sends",
    ),
    "ladder": (
        "train.ladder.main",
        "LadderConfig",
        "train small sizes, predict the next one's loss, and fit a scaling law",
    ),
}
# Words from other tools, each with the verb that does it here.
MEANT = {
    **dict.fromkeys(("sample", "infer", "inference", "predict", "complete", "run"), "generate"),
    **dict.fromkeys(("finetune", "resume", "fit"), "train"),
    **dict.fromkeys(("eval", "benchmark", "lm_eval"), "evaluate"),
    **dict.fromkeys(("test", "val", "perplexity"), "validate"),
    **dict.fromkeys(("ls", "list", "ps"), "runs"),
    **dict.fromkeys(("status", "stop", "check"), "launch {}"),
    **dict.fromkeys(("tokenize", "download", "data", "preprocess"), "prepare"),
    **dict.fromkeys(("convert", "convert_checkpoint", "to_hf"), "export or import"),
    **dict.fromkeys(("config", "options", "keys"), "train --help"),
    **dict.fromkeys(("merge", "ema"), "average"),
    **dict.fromkeys(("torchrun", "sbatch", "srun", "submit"), "launch"),
    **dict.fromkeys(("trace", "inspect"), "explain"),
}
# What some verbs take in addition to their keys.
ALSO = {
    "branch": "It also takes every key of `relama train`: what is typed differs from the parent.",
    "ladder": "It also takes every key of `relama train` but `model`, `steps`, `stop_at`, `init` and "
    "`checkpoint.keep`, for all of its runs.",
    "train": "`--multirun` takes several values of a key (`optim.lr=1e-4,3e-4`) and trains each combination.",
    "launch": "It also takes every key of `relama train`, and `--multirun`. `relama launch check …` measures "
    "the machines; `launch status` and `launch stop` take run=NAME; `launch generate` and `launch evaluate` "
    "take those verbs' keys, and spread the model over the processes (parallel.tp).",
    "audit": "It also takes `run=NAME`, or any key of `relama train`, whose config is then compared with the "
    "paper's; `size=7b|13b|33b|65b` chooses the size to compare with (default: the nearest by shape).",
}


def main(argv: list[str] | None = None) -> int:
    terminal.accept_any_text()
    if argv is None:
        end_at_once()  # while the verb is imported; from then on its `entry` handles Ctrl-C
    try:
        code = run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        if argv is None:
            end_at_once()  # while Python ends
            gc.freeze()  # or it would search everything for garbage
        return code
    except BrokenPipeError:  # `relama --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # `relama --help > /dev/full`
        if explained(error) is None:
            raise
        report(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python would flush it again
        return 1
    except KeyboardInterrupt:
        return interrupted()


def run(arguments: list[str]) -> int:
    # An interactive zsh passes a comment pasted after a command as arguments.
    comment = next((place for place, word in enumerate(arguments) if word.startswith("#")), None)
    arguments = arguments[:comment]
    if arguments[:1] == ["help"] and arguments[1:2] and arguments[1] != "help":  # relama help train
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] in ("--version", "-V", "version"):
        from importlib.metadata import version  # an import that takes as long as all others here

        print(f"relama {version('relama')}, in {Path(__file__).resolve().parents[1]}")
        return 0
    verb, *overrides = arguments
    if verb == "completion":
        return importlib.import_module("configs.completion").main(overrides, VERBS)
    if verb not in VERBS:
        near = [MEANT[verb].format(verb)] if verb in MEANT else difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        if "=" in verb or verb.startswith("-"):
            hint = "expected a verb before the keys, such as relama train model=tiny; "
        print(
            f"relama: error: {verb}: no such verb; {hint}the verbs are: {', '.join(VERBS)}", file=sys.stderr
        )
        return 2
    if "-h" in overrides or "--help" in overrides or overrides[:1] == ["help"]:
        print(help_page(verb))
        return 0
    if verb in ("train", "launch") and ("--multirun" in overrides or "-m" in overrides):
        return importlib.import_module("launch.sweep.main").main(verb, overrides)
    try:
        os.getcwd()
    except FileNotFoundError:  # torch's libraries would abort
        print("relama: error: the current folder was removed; cd to another one", file=sys.stderr)
        return 1
    with starting(verb):
        module = importlib.import_module(VERBS[verb][0])  # torch alone takes seconds
    return module.main(overrides)


def usage() -> str:
    room = max(40, shutil.get_terminal_size().columns)
    lines = [
        textwrap.fill(meaning, room, initial_indent=f"  {verb:<11}", subsequent_indent=" " * 13)
        for verb, (_, _, meaning) in VERBS.items()
    ]
    head = "usage: relama VERB key=value …"
    notes = (
        "relama VERB --help lists its keys; config=FILE.yaml holds some of them; "
        "relama completion bash|zsh completes them"
    )
    return "\n".join([head, "", *lines, "", textwrap.fill(notes, room)])


def help_page(verb: str) -> str:
    """What `relama VERB --help` prints: the verb's keys, each with its default and meaning."""
    from configs import describe

    module, schema, meaning = VERBS[verb]
    room = max(40, shutil.get_terminal_size().columns)
    title = textwrap.fill(f"{verb}: {meaning}", room)
    page = f"{title}\n\n{describe.page(verb, module, schema)}"
    return f"{page}\n\n{textwrap.fill(ALSO[verb], room)}" if verb in ALSO else page


if __name__ == "__main__":
    sys.exit(main())
