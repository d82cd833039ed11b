"""Log-likelihoods of many (context, continuation) pairs, reading as little as possible twice.

Pairs with the same context become one row. Contexts that begin alike (few-shot examples, an article) become a
cluster, whose prefix is read once. In a cluster, rows are sorted by length and read in batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.llama import Llama
from model.shared_context import Row, hidden_states, read_prefix

Answer = tuple[float, bool]  # log-likelihood; whether greedy decoding would give the continuation
ENOUGH = 512  # tokens at once; with more, a device is hardly faster per token
SHARED = 32  # tokens; contexts whose common beginning is shorter are not worth a cluster


@dataclass
class _Group:
    """Pairs with one context."""

    context: list[int]
    pairs: list[tuple[int, list[int]]] = field(default_factory=list)  # (number, continuation)


_Filled = tuple[Row, list[tuple[int, list[int]]]]  # a row with its pairs


def log_likelihoods(
    model: Llama, pairs: list[tuple[list[int], list[int]]], batch: int
) -> Iterator[tuple[int, Answer]]:
    """(pair's number, answer) as they come, `batch` rows at once.

    Each pair is the tokens of a context and of its continuation: at least one, at most max_seq_len. Texts
    longer than max_seq_len + 1 lose their beginning, as in lm-eval.
    """
    groups = _groups(pairs, model.config.max_seq_len)
    for shared, cluster in clusters([group.context for group in groups]):
        prefix = read_prefix(model, groups[cluster[0]].context[:shared])
        rows = [row for number in cluster for row in _rows(groups[number], shared, model.config.max_seq_len)]
        rows.sort(key=lambda row: len(row[0]), reverse=True)
        for part in _batches(rows, batch):
            hidden = hidden_states(model, prefix, [row for row, _ in part])
            yield from _scores(model, hidden, part)


def clusters(contexts: list[list[int]]) -> Iterator[tuple[int, list[int]]]:
    """(shared first tokens, which contexts): each context once; those that share nothing are together.

    The shared beginning is shorter than each of its contexts.
    """
    order = sorted(range(len(contexts)), key=contexts.__getitem__)
    alone: list[int] = []
    cluster, shared = order[:1], 0
    for before, number in zip(order, [*order[1:], None]):
        common = 0 if number is None else _common(contexts[before], contexts[number])
        joins = common >= SHARED and (len(cluster) == 1 or shared / 2 <= common <= shared * 2)
        if joins and number is not None:
            shared = common if len(cluster) == 1 else min(shared, common)
            cluster.append(number)
            continue
        if len(cluster) > 1:
            yield shared, cluster
        else:
            alone += cluster
        cluster, shared = ([] if number is None else [number]), 0
    if alone:
        yield 0, alone


def _common(a: list[int], b: list[int]) -> int:
    """How many first tokens both share, never counting the last of either."""
    most = min(len(a), len(b)) - 1
    return next((at for at in range(most) if a[at] != b[at]), most)


def _groups(pairs: list[tuple[list[int], list[int]]], context: int) -> list[_Group]:
    groups: dict[tuple[int, ...], _Group] = {}
    for number, (before, tokens) in enumerate(pairs):
        kept = before[max(0, len(before) + len(tokens) - (context + 1)) :]
        groups.setdefault(tuple(kept), _Group(kept)).pairs.append((number, tokens))
    return list(groups.values())


def _batches(rows: list[_Filled], most: int) -> Iterator[list[_Filled]]:
    """Up to `most` rows at once; fewer if they are enough and the next would be padded by more than a tenth.

    `rows` come longest first.
    """
    part: list[_Filled] = []
    for filled in rows:
        longest = len(part[0][0]) if part else 0
        is_enough = longest * len(part) >= ENOUGH and 10 * len(filled[0]) < 9 * longest
        if len(part) == most or is_enough:
            yield part
            part = []
        part.append(filled)
    if part:
        yield part


def _rows(group: _Group, shared: int, most: int) -> Iterator[_Filled]:
    """The group as rows of at most `most` tokens, each with its pairs; one pair may be longer."""
    rest, held, length = group.context[shared:], [], len(group.context)
    for number, tokens in group.pairs:
        if held and length + len(tokens) - 1 > most:
            yield Row(rest, [piece[:-1] for _, piece in held]), held
            held, length = [], len(group.context)
        held.append((number, tokens))
        length += len(tokens) - 1
    yield Row(rest, [piece[:-1] for _, piece in held]), held


def _scores(model: Llama, hidden: Tensor, part: list[_Filled]) -> Iterator[tuple[int, Answer]]:
    """The answers of a batch, given its hidden states; logits are computed only where they are needed."""
    where: list[tuple[int, int]] = []  # (row, place) of the hidden state before each token
    chosen: list[int] = []
    for number, (row, pairs) in enumerate(part):
        for start, (_, tokens) in zip(row.starts(), pairs, strict=True):
            places = [len(row.context) - 1, *range(start, start + len(tokens) - 1)]
            where += [(number, place) for place in places]
            chosen += tokens
    at, labels = torch.tensor(where, device=hidden.device), torch.tensor(chosen, device=hidden.device)
    with torch.no_grad():
        logits = model.output(hidden[at[:, 0], at[:, 1]]).float()  # (tokens, vocab)
        top = logits.argmax(-1) == labels
        log_p = logits.gather(-1, labels[:, None])[:, 0] - logits.logsumexp(-1)
    end = 0
    for _, pairs in part:
        for number, tokens in pairs:
            here = slice(end, end := end + len(tokens))
            yield number, (log_p[here].sum().item(), bool(top[here].all()))
