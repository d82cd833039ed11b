"""Our model as an lm-eval model: log-likelihoods of continuations and of complete texts, and generation.

Tasks, prompts and metrics are the harness's; this file has only tokens and logits. BOS begins every text,
as in training: without it LLaMA's scores drop. Equal to lm-eval's own `hf` model on the exported weights,
with `add_bos_token=True`. Needs the extra `eval`.
"""

from collections.abc import Callable

import torch
from lm_eval import evaluator, utils
from lm_eval.api.model import TemplateLM

from data.tokens.tokenizer import Tokenizer
from model.llama import Llama
from model.parallelize.mesh import Layout
from train.config import RunError
from train.evaluation.likelihoods import log_likelihoods
from train.generation.sampling import generate
from train.ranks import identity
from train.ranks.together import gather_objects

# simple_evaluate would describe the machine (pip's packages, the compiler, …), a second for each task, and
# ask git for the commit of the current folder; git prints an error if that is no repository.
setattr(evaluator, "add_env_info", lambda results: None)  # noqa: B010 - lm-eval has no switch for it
setattr(evaluator, "get_git_commit_hash", lambda: None)  # noqa: B010

MAX_GENERATED = 256  # tokens, if a task does not set it: lm-eval's default


class RelamaLM(TemplateLM):
    """`model` on its device, or over `layout`; each copy of it computes `batch` texts at once.

    lm-eval runs on every rank in the same way, with all answers; the copies divide only the computing.
    """

    def __init__(self, model: Llama, tokenizer: Tokenizer, batch: int, layout: Layout | None = None) -> None:
        super().__init__()
        self.layout = layout or Layout()
        self.model, self.text, self.batch = model, tokenizer, batch
        self.max_length = model.config.max_seq_len
        self._device = next(model.parameters()).device
        self.has_given_up: Callable[[], bool] = lambda: False  # if so, the remaining answers are made up

    @property
    def eot_token_id(self) -> int:
        return self.text.eos_id

    @property
    def prefix_token_id(self) -> int:
        return self.text.bos_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs) -> list[int]:
        bos = [] if add_special_tokens is False else [self.text.bos_id]
        return [*bos, *self.text.encode(string).tolist()]

    def _share_out(self, compute: Callable[[list], list], requests: list) -> list:
        """All answers, in order; each copy of the model computes its share of them."""
        copies, tp = self.layout.dp_size, self.layout.tp
        if copies == 1:
            return compute(requests)
        ends = [len(requests) * copy // copies for copy in range(copies + 1)]
        mine = identity.group_rank() // tp
        parts = gather_objects(compute(requests[ends[mine] : ends[mine + 1]]))[::tp]
        return [answer for part in parts for answer in part]

    def _loglikelihood_tokens(self, requests: list, **kwargs) -> list[tuple[float, bool]]:
        """(log-likelihood, whether greedy decoding would give it) for each continuation.

        Raises RunError for what lm-eval's `hf` model refuses too: a continuation without a token of its own,
        or one longer than the context.
        """
        for (context, continuation), _, tokens in (request for request in requests if request[0]):
            if not tokens:
                raise RunError(
                    f"the completion {continuation!r} has no token of its own: the tokenizer merges it into "
                    f"the end of its prompt, {context[-30:]!r}"
                )
            if len(tokens) > self.max_length:
                raise RunError(
                    f"a completion of {len(tokens)} tokens ({continuation[:30]!r}…) is longer than the "
                    f"model's context, {self.max_length}"
                )
        # Neighbors in this order begin alike, so a copy of the model gets all that share a context.
        order = sorted(range(len(requests)), key=lambda number: requests[number][1])
        answers: list = [None] * len(requests)
        for number, answer in zip(
            order, self._share_out(self._likelihoods, [requests[number] for number in order])
        ):
            answers[number] = answer
        return answers

    def _likelihoods(self, requests: list) -> list[tuple[float, bool]]:
        answers: list = [(0.0, False)] * len(requests)
        pairs = [(context, tokens) for _, context, tokens in requests]
        for number, answer in log_likelihoods(self.model, pairs, self.batch):
            if self.has_given_up():
                break
            answers[number] = answer
            self.cache_hook.add_partial("loglikelihood", requests[number][0], answer)
        return answers

    def loglikelihood_rolling(self, requests: list, disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of each text, in windows of the context that overlap by one token."""
        windows, owners = [], []
        for number, request in enumerate(requests):
            for window in utils.get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            ):
                windows.append((None, *utils.make_disjoint_window(window)))
                owners.append(number)
        sums = [0.0] * len(requests)
        for owner, (log_p, _) in zip(owners, self._loglikelihood_tokens(windows)):
            sums[owner] += log_p
        return sums

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        """What follows each context, up to its first stop string."""
        return self._share_out(self._continuations, requests)

    def _continuations(self, requests: list) -> list[str]:
        answers: list = [""] * len(requests)
        order = sorted(
            range(len(requests)), key=lambda i: (str(requests[i].args[1]), len(requests[i].args[0]))
        )
        while order and not self.has_given_up():
            settings = requests[order[0]].args[1]
            part = [i for i in order[: self.batch] if requests[i].args[1] == settings]
            order = order[len(part) :]
            for i, text in zip(part, self._continue([requests[i].args[0] for i in part], settings)):
                answers[i] = text
                self.cache_hook.add_partial("generate_until", requests[i].args, text)
        return answers

    def _continue(self, contexts: list[str], settings: dict) -> list[str]:
        until = settings.get("until") or []
        stops = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
        most = settings.get("max_gen_toks", settings.get("max_new_tokens", MAX_GENERATED))
        if most >= self.max_length:
            raise RunError(f"max_gen_toks={most}: expected below the model's context, {self.max_length}")
        sampled = settings.get("do_sample", bool(settings.get("temperature", 0.0)))
        prompts = [self.tok_encode(context)[-(self.max_length - most) :] for context in contexts]
        new: list[list[int]] = [[] for _ in contexts]
        texts, done = [""] * len(contexts), set()
        for which, token in generate(
            self.model,
            prompts,
            max_tokens=most,
            temperature=settings.get("temperature", 1.0) if sampled else 0.0,
            top_p=settings.get("top_p", 1.0),
            generator=torch.Generator().manual_seed(0),
            eos_id=self.eot_token_id,
        ):
            if which in done:
                continue
            new[which].append(token)
            # Decoding only the last tokens would lose the space before the first word.
            texts[which] = self.text.decode(new[which])
            if any(stop in texts[which] for stop in stops):
                done.add(which)
                if len(done) == len(contexts):
                    break
        return [_cut(text, stops) for text in texts]


def _cut(text: str, stops: list[str]) -> str:
    for stop in stops:
        text = text.split(stop)[0]
    return text
