"""Writes a tokenizer as the files that Hugging Face's AutoTokenizer loads, with the same ids.

transformers' own conversion of SentencePiece models silently changes ids (of doubled spaces, for example). So
tokenizer.json is built here from the pieces' scores, and checked against sentencepiece before it is returned.
"""

import json
import random
from collections import Counter
from pathlib import Path

import sentencepiece

from configs.existence import is_file
from data.errors import DataError
from data.tokens import sentencepiece_file
from data.tokens.json_model import JsonModel
from data.tokens.sentencepiece_file import NORMAL, UNUSED, USER_DEFINED
from data.tokens.tokenizer import PROBES, SPACE, Tokenizer

TRIALS = 2000  # random strings to compare
# The lengths, in order of id, of the runs of spaces that share one score in LLaMA's tokenizer.
LLAMA_RUNS = (2, 4, 8, 5, 16, 6, 12, 13, 10, 14, 3, 9, 7, 11, 15, 1)


def hugging_face_files(tokenizer: Tokenizer, max_length: int) -> dict[str, str | bytes]:
    """tokenizer.json, tokenizer_config.json, special_tokens_map.json and any tokenizer.model, by name.

    Raises DataError if tokenizer.json would give other ids (for a unigram model or another normalization).
    """
    if isinstance(tokenizer.model, JsonModel):
        model = tokenizer.model
        special = {"bos_token": model.bos, "eos_token": model.eos, **model.kept}
        return {"tokenizer.json": model.with_bos(), **_settings(special, max_length)}
    content = tokenizer.path.read_bytes()
    model = sentencepiece.SentencePieceProcessor(model_proto=content)
    fast = _build(tokenizer.path, model)
    _try(tokenizer.path, model, fast)
    special = {
        "bos_token": model.id_to_piece(model.bos_id()),
        "eos_token": model.id_to_piece(model.eos_id()),
        "unk_token": model.id_to_piece(model.unk_id()),
    }
    return {
        "tokenizer.model": content,
        "tokenizer.json": fast.to_str(),
        **_settings(special, max_length),
    }


def is_plain_bpe(tokenizer: Tokenizer) -> bool:
    """Whether this is a SentencePiece model that Hugging Face's AutoTokenizer can certainly load.

    That is a BPE that changes no characters, has no user-defined, unused or repeated pieces, and has no two
    pieces of the same score but LLaMA's runs of spaces. Far cheaper than `why_not_exportable`, which is the
    proof.
    """
    if isinstance(tokenizer.model, JsonModel):
        return False
    try:
        facts = tokenizer.model.facts
    except ValueError:
        return False
    ordinary = facts.of_kind(NORMAL, USER_DEFINED, UNUSED)
    scores = facts.scores.tolist()
    counts = Counter(scores[i] for i in ordinary)
    tied = [facts.pieces[i] for i in ordinary if counts[scores[i]] > 1]
    return (
        facts.model_type == sentencepiece_file.BPE
        and not (facts.has_map or facts.removes_spaces or facts.space_is_suffix or facts.has_user_defined)
        and facts.escapes_spaces
        and not facts.has(UNUSED)
        and tied in ([], [SPACE * length for length in LLAMA_RUNS])
        and len({*facts.pieces}) == len(facts.pieces)
    )


def why_not_exportable(tokenizer: Tokenizer) -> str | None:
    """Why Hugging Face's AutoTokenizer could not load this tokenizer; None if it could. Takes a second."""
    try:
        hugging_face_files(tokenizer, 1)
    except DataError as error:
        return str(error)
    return None


def _settings(special: dict[str, str], max_length: int) -> dict[str, str | bytes]:
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "add_bos_token": True,
        "add_eos_token": False,
        # As in training, a control token written out in a text is text.
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "padding_side": "left",
    }
    return {
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
    }


def refuse_other_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Raises DataError if `folder` has a tokenizer.json with other pieces than `tokenizer`."""
    path = folder / "tokenizer.json"
    if not is_file(path):
        return
    try:
        vocab = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
        theirs = {piece: int(i) for piece, i in vocab.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a BPE tokenizer of the tokenizers library ({error!r})") from None
    if isinstance(tokenizer.model, JsonModel):
        ours = tokenizer.model.pieces
    else:
        model = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer.path))
        ours = {model.id_to_piece(i): i for i in range(model.vocab_size())}
    if ours != theirs:
        piece = min(piece for piece in {*ours, *theirs} if ours.get(piece) != theirs.get(piece))
        raise DataError(
            f"{path}: differs from {tokenizer.path}: the id of {piece!r} is {theirs.get(piece, 'missing')} "
            f"here and {ours.get(piece, 'missing')} there; give tokenizer=PATH of the right one"
        )


def _build(path: Path, model: sentencepiece.SentencePieceProcessor):
    """A `tokenizers.Tokenizer` that merges in the order of the pieces' scores."""
    from tokenizers import Tokenizer as Fast
    from tokenizers import decoders, normalizers, processors
    from tokenizers.models import BPE

    pieces = [model.id_to_piece(i) for i in range(model.vocab_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    special = [i for i in range(len(pieces)) if model.is_control(i) or model.is_unknown(i)]
    plain = [i for i in range(len(pieces)) if i not in set(special) and not model.is_byte(i)]
    has_bytes = any(model.is_byte(i) for i in range(len(pieces)))
    reachable = {pieces[i] for i in plain}
    merges = []
    for i in sorted(plain, key=lambda i: -model.get_score(i)):
        splits = ((pieces[i][:at], pieces[i][at:]) for at in range(1, len(pieces[i])))
        pairs = [pair for pair in splits if pair[0] in reachable and pair[1] in reachable]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    unknown = pieces[model.unk_id()]
    fast = Fast(BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=has_bytes))
    spaces = [normalizers.Prepend(SPACE)] if model.encode("a", out_type=str)[0].startswith(SPACE) else []
    fast.normalizer = normalizers.Sequence([*spaces, normalizers.Replace(" ", SPACE)])
    fast.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if spaces else []),
        ]
    )
    bos = pieces[model.bos_id()]
    fast.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, model.bos_id())]
    )
    fast.add_special_tokens([pieces[i] for i in special])
    if fast.get_vocab_size() != len(pieces):
        raise DataError(f"{path}: two pieces are the same, so no tokenizer.json is written")
    return fast


def _try(path: Path, model: sentencepiece.SentencePieceProcessor, fast) -> None:
    fast.encode_special_tokens = True
    pieces = [model.id_to_piece(i).replace(SPACE, " ") for i in range(model.vocab_size())]
    draw = random.Random(0)
    texts = [*PROBES, " ".join(pieces)]
    for _ in range(TRIALS):
        few = [*draw.choices(pieces, k=draw.randint(1, 4)), " ", "a", "\n"]
        texts.append("".join(draw.choices(few, k=draw.randint(1, 40))))
    for text in texts:
        if fast.encode(text, add_special_tokens=False).ids != model.encode(text):
            raise DataError(
                f"{path}: tokenizer.json would give other ids than sentencepiece for {text[:40]!r}, so none "
                "is written; expected a BPE with identity normalization (docs/recipe.md §3)"
            )
