"""A few documents of each benchmark, in the fields of the published data; and `relama evaluate` on them."""

from pathlib import Path
from typing import Any, Literal

import train.evaluation.main

Kind = Literal["loglikelihood", "loglikelihood_rolling", "generate_until"]  # of lm-eval's requests
TEXT = "the river runs past an old mill where two children fish for trout every summer"
WORDS = TEXT.split()


def hf_model(folder: Path) -> Any:
    """lm-eval's own `hf` model on these weights."""
    from lm_eval.models.huggingface import HFLM

    make: Any = HFLM  # its type hides its arguments
    return make(pretrained=str(folder), batch_size=1, add_bos_token=True, device="cpu", dtype="float32")


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


SUBJECTS = ("abstract_algebra", "high_school_us_history")


def questions(subject: str, count: int) -> list[dict]:
    """Questions in the fields of the published data (cais/mmlu)."""
    return [
        {
            "question": f" Who fishes for {WORDS[i]}?",
            "subject": subject,
            "choices": [f"{word} {i}" for word in WORDS[i : i + 4]],
            "answer": (i + len(subject)) % 4,
        }
        for i in range(count)
    ]


def run(folder: Path, benchmarks: Path, output: Path, *arguments: str) -> int:
    return train.evaluation.main.main(
        [
            f"weights={folder}",
            f"benchmarks={benchmarks}",
            f"output={output}",
            "batch=4",
            "dtype=fp32",
            *arguments,
        ]
    )
