"""Questions from held-out text: which of four texts continues this one? continuation.yaml has lm-eval's task.

A question needs no label from people and has an answer in any corpus, so the smallest models can be scored.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import sentencepiece

from data.tokens.store import TokenStore, tokenizer_in

CONTEXT, ENDING = 64, 32  # tokens
LONGEST = 88  # tokens of a context: a question fits in 128
PER_SOURCE = 200


def write(corpora: Path, folder: Path) -> None:
    """Write up to 200 questions of each source in `corpora` to `folder`/continuation/validation.jsonl."""
    questions = []
    for manifest in sorted(corpora.glob("*/tokens/manifest.json")):
        questions += of_source(TokenStore.open(manifest.parent, "heldout"))
    path = folder / "continuation" / "validation.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(question) + "\n" for question in questions), encoding="utf-8")


def of_source(store: TokenStore) -> list[dict]:
    """`source`, `context`, four `endings` and the true one's number, `label`; the same on every call."""
    text = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_in(store.folder)))
    passages = []  # of each document: contexts with what follows them
    for span in store.documents(0, store.n_tokens):
        tokens = store.read(span.start + 1, span.stop - 1).tolist()  # without BOS and EOS
        found = list(_cut(tokens, text))
        if found:
            passages.append(found)
    draw = random.Random(store.source)
    places = [(document, at) for document, found in enumerate(passages) for at in range(len(found))]
    questions = []
    for document, at in draw.sample(places, min(PER_SOURCE, len(places)) if len(passages) > 3 else 0):
        others = draw.sample([other for other in range(len(passages)) if other != document], 3)
        context, ending = passages[document][at]
        endings = [ending, *(draw.choice(passages[other])[1] for other in others)]
        order = draw.sample(range(4), 4)
        questions.append(
            {
                "source": store.source,
                "context": context,
                "endings": [endings[number] for number in order],
                "label": order.index(0),
            }
        )
    return questions


def _cut(tokens: list[int], text: sentencepiece.SentencePieceProcessor) -> Iterator[tuple[str, str]]:
    """Consecutive contexts with their endings, which begin with a word's space."""
    at = 0
    while at + CONTEXT + ENDING <= len(tokens):
        cut = at + CONTEXT
        while cut + ENDING <= len(tokens) and not text.id_to_piece(tokens[cut]).startswith("\u2581"):
            cut += 1
        context, both = (text.decode(tokens[at:stop]) for stop in (cut, cut + ENDING))
        if cut + ENDING <= len(tokens) and cut - at <= LONGEST and both.startswith(context):
            yield context, both[len(context) :]
        at = cut + ENDING
