"""Text to token ids and back, exactly as sentencepiece does it, but with a faster encoder if it agrees.

sentencepiece is the reference. With the extra `data`, gigatoken encodes about ten times faster. It would turn
a literal `</s>` or `<0x0A>` in a text into a control token, so that a web page could forge the end of a
document; sentencepiece encodes such texts. `backend_note` says which of the two is used, and why.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import sentencepiece

from data.errors import DataError

SPACE = "\u2581"  # sentencepiece's mark of a space
REMEMBERED = 1 << 28  # characters between reloads: half a second for ten of encoding, at most 400 MB of words
# Texts on which tokenizers often differ; a faster encoder is used only if it agrees on all of them.
PROBES = (
    "",
    " ",
    "   two  spaces,   three",
    "\n\n\tdef f(x):\n        return  x\r\n",
    "0123456789 3.14159 1e-05",
    "naïve café, Ελλάδα, Привет, 你好, 🙂🏽\u200d",
    "ﬁ ① Ａ ｶﾞ",  # any normalization but the identity changes these
    "e\u0301 \u00a0 \ufeff \ufffd \x00 \x7f \u2028",
    f"{SPACE}a {SPACE}{SPACE} b{SPACE}",
    "a" * 300 + " " * 70 + "\n" * 20,
)


class Tokenizer:
    """A SentencePiece model. Raises DataError if the file is missing or not one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = self.path.read_bytes()
            self._reference = sentencepiece.SentencePieceProcessor(model_proto=content)
        except FileNotFoundError:
            raise DataError(
                f"{path}: no such tokenizer; train one with `relama tokenizer`, or give tokenizer=PATH"
            ) from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        except RuntimeError:
            raise DataError(f"{path}: not a SentencePiece model") from None
        if not content:
            raise DataError(f"{path}: empty; expected a SentencePiece model")
        self.fingerprint = hashlib.sha256(content).hexdigest()
        self.vocab_size = self._reference.vocab_size()
        self.bos_id, self.eos_id = self._reference.bos_id(), self._reference.eos_id()
        if min(self.bos_id, self.eos_id) < 0:
            raise DataError(
                f"{path}: has no BOS or no EOS, which mark the documents; train one with `relama tokenizer` "
                "(docs/recipe.md §3)"
            )

    def __reduce__(self) -> tuple:
        """Pickle only the path; another process opens it once."""
        return _opened, (self.path,)

    @property
    def backend(self) -> str:
        """`gigatoken` or `sentencepiece`."""
        return "sentencepiece" if self._fast is None else "gigatoken"

    @property
    def backend_note(self) -> str:
        return self._choice[1]

    def encode(self, text: str) -> np.ndarray:
        """The ids of `text`, (n,) int32, without BOS and EOS; a lone surrogate becomes U+FFFD."""
        text = _encodable(text)
        if self._fast is None or self._literal.search(text):
            return np.array(self._reference.encode(text), dtype=np.int32)
        return self._fast.encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, as `encode` gives them."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return self._reference.decode([int(i) for i in ids])

    def text_bytes(self, tokens: np.ndarray) -> int:
        """UTF-8 bytes of the text of tokens[..., 1:]; the first token of each row is only context.

        The space that SentencePiece puts before every document is not counted.
        """
        before, ids = tokens[..., :-1], tokens[..., 1:]
        starts = np.count_nonzero((before == self.bos_id) & (ids != self.eos_id)) if self._adds_space else 0
        return int(self._piece_bytes[ids].sum()) - int(starts)

    @cached_property
    def _piece_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each id's text, (vocab,) int64: a byte piece 1, a control piece 0."""
        model = self._reference
        sizes = np.zeros(self.vocab_size, dtype=np.int64)
        for i in range(self.vocab_size):
            if model.is_byte(i):
                sizes[i] = 1
            elif not (model.is_control(i) or model.is_unknown(i)):
                sizes[i] = len(model.id_to_piece(i).replace(SPACE, " ").encode())
        return sizes

    @cached_property
    def _adds_space(self) -> bool:
        return self._reference.encode("a", out_type=str)[0].startswith(SPACE)

    @property
    def _fast(self) -> "_Gigatoken | None":
        return self._choice[0]

    @cached_property
    def _choice(self) -> tuple["_Gigatoken | None", str]:
        """The faster encoder or None, and a note about the choice."""
        try:
            import gigatoken
        except ImportError:
            return None, "sentencepiece (pip install -e '.[data]' adds an encoder about ten times faster)"
        try:
            fast = _Gigatoken(
                partial(gigatoken.Tokenizer.from_sentencepiece, self._reference.serialized_model_proto())
            )
            for probe in (*PROBES, self._every_piece()):
                if self._reference.encode(probe) != fast.encode(probe).tolist():
                    return None, f"sentencepiece (gigatoken differs from it on {probe[:20]!r})"
        except Exception as error:  # the reference still works, whatever the loader raises
            return None, f"sentencepiece (gigatoken cannot load this model: {str(error).splitlines()[0]})"
        return fast, "gigatoken, which agrees with sentencepiece on every probe"

    def _every_piece(self) -> str:
        """A text that contains each piece of the vocabulary."""
        sizes, model = self._piece_bytes, self._reference
        return " ".join(model.id_to_piece(i) for i in np.flatnonzero(sizes).tolist() if not model.is_byte(i))

    @cached_property
    def _literal(self) -> re.Pattern:
        """Matches control, unknown and byte pieces written literally in a text."""
        model = self._reference
        special = [
            model.id_to_piece(i)
            for i in range(self.vocab_size)
            if model.is_control(i) or model.is_unknown(i) or model.is_byte(i)
        ]
        return re.compile("|".join(map(re.escape, sorted(special))))


@lru_cache(maxsize=1)
def _opened(path: Path) -> Tokenizer:
    return Tokenizer(path)


class _Gigatoken:
    """The faster encoder, reloaded now and then because it caches every word that it has seen."""

    def __init__(self, load: Callable) -> None:
        self._load = load
        self._encoder, self._seen = load(), 0

    def encode(self, text: str) -> np.ndarray:
        self._seen += len(text)
        if self._seen > REMEMBERED:
            self._encoder, self._seen = self._load(), 0
        return self._encoder.encode(text).view(np.int32)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass").decode(errors="replace")
    return text
