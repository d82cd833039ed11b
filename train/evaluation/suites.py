"""The paper's benchmarks: for each its task file, its shots and the task that the harness's users run."""

from dataclasses import dataclass, replace
from pathlib import Path

from configs.load import CONFIGS
from train.evaluation.mmlu import SUBJECTS

TASKS = CONFIGS / "evaluation" / "paper"
PROTOCOLS = ("paper", "usual")


@dataclass(frozen=True)
class Benchmark:
    """A row of the table."""

    name: str
    shots: int
    usual: str | None  # the harness's own task, as its file in lm_eval/tasks; None if it has none
    usual_metric: str = "acc,none"
    subjects: tuple[str, ...] = ()  # each a separate task; their score is over all documents
    subject: str | None = None

    def parts(self) -> list["Benchmark"]:
        """Itself, or a benchmark for each subject."""
        return [replace(self, subject=subject, subjects=()) for subject in self.subjects] or [self]

    def protocols(self, chosen: list[str] | None) -> list[str]:
        """The protocols to score it by, of those chosen (None: both)."""
        return [each for each in chosen or PROTOCOLS if each == "paper" or self.usual is not None]

    def file(self, protocol: str, limit: int | None) -> Path:
        """The result's path in the output folder; results of the first `limit` documents have their own."""
        of = f"-first{limit}" if limit else ""
        name = f"{self.subject or self.name}-{self.shots}shot-{protocol}{of}.json"
        return Path(self.name) / name if self.subject else Path(name)

    def local(self, benchmarks: str | None) -> Path | None:
        """Its data in a folder of local benchmarks."""
        return Path(benchmarks) / self.name / (self.subject or "") if benchmarks else None


TABLE_3 = (
    Benchmark("boolq", 0, "super_glue/boolq/default"),
    Benchmark("piqa", 0, "piqa/piqa", "acc_norm,none"),
    Benchmark("siqa", 0, "siqa/siqa"),
    Benchmark("hellaswag", 0, "hellaswag/hellaswag", "acc_norm,none"),
    Benchmark("winogrande", 0, "winogrande/default"),
    Benchmark("arc_easy", 0, "arc/arc_easy", "acc_norm,none"),
    Benchmark("arc_challenge", 0, "arc/arc_challenge", "acc_norm,none"),
    Benchmark("openbookqa", 0, "openbookqa/openbookqa", "acc_norm,none"),
)
EXACT = "exact_match,remove_whitespace"
SUITES = {
    "table3": TABLE_3,
    "paper": (
        *TABLE_3,
        *(Benchmark("nq", shots, "nq_open/nq_open", EXACT) for shots in (0, 1, 5, 64)),
        *(Benchmark("triviaqa", shots, "triviaqa/default", EXACT) for shots in (0, 1, 5, 64)),
        Benchmark("race_middle", 0, None),
        Benchmark("race_high", 0, None),  # the harness's `race` asks only an article's last question
        Benchmark("mmlu", 5, "mmlu/default/mmlu_{}", subjects=SUBJECTS),
        Benchmark("gsm8k", 8, "gsm8k/gsm8k", "exact_match,strict-match"),
    ),
}
KNOWN = sorted({benchmark.name for benchmark in SUITES["paper"]})
NOT_RUN = (
    "not run: MATH and GSM8k by majority (256 and 100 samples each), HumanEval and MBPP (run generated "
    "code), RealToxicityPrompts (a hosted service), TruthfulQA (a fine-tuned judge), WinoGender, CrowS-Pairs"
)
