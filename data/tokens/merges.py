"""A SentencePiece BPE as the tokenizer.json that gigatoken reads: its own conversion, made faster.

In: the facts of the file. Out: JSON. SentencePiece merges the two pieces whose union has the highest score, a
tokenizer.json those that come first in its list of merges.
"""

import json

import numpy as np

from data.tokens.sentencepiece_file import BPE, CONTROL, SPACE, UNKNOWN, USER_DEFINED, Facts


def as_json(facts: Facts) -> str | None:
    """None if it is not a BPE with bytes that keeps all spaces, or pieces are the same: gigatoken decides."""
    is_plain = facts.model_type == BPE and facts.has_bytes and facts.escapes_spaces
    if not is_plain or facts.has_map or facts.removes_spaces or facts.space_is_suffix:
        return None
    ids = {piece: i for i, piece in enumerate(facts.pieces)}
    unknown = facts.of_kind(UNKNOWN)
    if len(ids) < len(facts.pieces) or len(unknown) != 1:
        return None
    kept = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": i, "content": facts.pieces[i], **kept, "special": bool(facts.kinds[i] == CONTROL)}
        for i in facts.of_kind(CONTROL, USER_DEFINED)
    ]
    prefix = [{"type": "Prepend", "prepend": SPACE}] if facts.adds_space else []
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": facts.pieces[unknown[0]],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": False,
        "vocab": ids,
        "merges": merges(facts, ids),
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [*prefix, spaces]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    return json.dumps(content, ensure_ascii=False)


def merges(facts: Facts, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Each pair of pieces that make a third: by its falling score, then by the left one's falling length."""
    order = np.argsort(-facts.scores, kind="stable")
    scores = facts.scores[order]
    ends = [*(np.flatnonzero(scores[1:] != scores[:-1]) + 1).tolist(), len(order)]
    found, begin, order = [], 0, order.tolist()
    for end in ends:
        tied = []
        for piece in (facts.pieces[i] for i in order[begin:end]):
            for at in range(len(piece) - 1, 0, -1):
                if (left := piece[:at]) in ids and (right := piece[at:]) in ids:
                    tied.append((left, right))
        if end > begin + 1:
            tied.sort(key=lambda pair: (len(pair[0]), len(pair[1])), reverse=True)
        found += tied
        begin = end
    return found
