"""`relama VERB key=value …`: the one table of verbs. Each is an entry point in the room it belongs to."""

import difflib
import importlib
import sys

VERBS = {
    "prepare": ("data.main", "raw dumps to cleaned text to verified tokens"),
    "tokenizer": ("data.tokens.train_tokenizer", "train a SentencePiece tokenizer on the mixture's text"),
    "train": ("train.main", "train in one process (many: torchrun train/main.py …)"),
    "launch": ("launch.main", "train on a cluster or by torchrun here; launch status, launch stop"),
    "audit": (
        "train.recipe.audit",
        "the mixture's tokens and epochs, and a run's config, beside the paper's",
    ),
    "explain": ("data.explain", "what any step of a run was trained on"),
    "validate": ("train.evaluation.validate", "held-out loss, perplexity and bits per byte per source"),
    "generate": ("train.generation.main", "continue a prompt with a trained model"),
    "export": ("train.weights.export", "weights out to Hugging Face's or Meta's format"),
    "import": ("train.weights.import_", "Hugging Face's or Meta's weights as a checkpoint"),
    "evaluate": ("train.evaluation.main", "the paper's benchmarks by lm-eval, beside its figures"),
    "plan": ("train.plan.main", "what a size needs: GPU-hours, memory, what each rank sends"),
    "report": ("train.report.main", "one page on a run, with plots; run=a,b compares runs"),
    "runs": ("train.report.runs", "every run: state, step, held-out figure, speed, age"),
}


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    verb, *overrides = words
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        print(
            f"relama: error: {verb}: no such verb; {hint}the verbs are: {', '.join(VERBS)}", file=sys.stderr
        )
        return 2
    return importlib.import_module(VERBS[verb][0]).main(overrides)


def usage() -> str:
    lines = [f"  {verb:<11}{meaning}" for verb, (_, meaning) in VERBS.items()]
    return "\n".join(["usage: relama VERB key=value …   (relama VERB --help lists its keys)", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
