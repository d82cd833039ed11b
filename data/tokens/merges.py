"""Converts a SentencePiece BPE to the tokenizer.json that gigatoken reads, faster than gigatoken does.

In: the facts of the file. Out: JSON. SentencePiece merges the pair of pieces that makes the piece with the
highest score; a tokenizer.json, the pair that comes first in its list of merges.
"""

import json

import numpy as np

from data.tokens.sentencepiece_file import BPE, CONTROL, SPACE, UNKNOWN, USER_DEFINED, Facts


def as_json(facts: Facts) -> str | None:
    """The tokenizer.json of a plain BPE; None for any other model, which gigatoken converts itself.

    A plain BPE spells unknown characters in bytes, keeps all spaces and characters as they are, and has one
    unknown piece and no piece twice.
    """
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
    """Each pair of pieces that makes a third, by the third's falling score, then by falling lengths."""
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
