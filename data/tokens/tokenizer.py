"""Text to token ids and back, exactly as the tokenizer's own library does it, but faster where possible.

The library (sentencepiece, or tokenizers for a tokenizer.json) is the reference. With the `data` extra,
gigatoken encodes about ten times faster than sentencepiece. It would turn a literal `</s>` or `<0x0A>` in a
text into a control token, so that a web page could forge the end of a document; the reference therefore
encodes such texts. `backend_note` says which of the two is used, and why.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from configs import regular_file
from data.errors import DataError
from data.tokens.json_model import BYTE, JsonModel
from data.tokens.sentencepiece_model import SPACE, SentencePieceModel

REMEMBERED = 1 << 28  # characters between reloads: 0.03 s per 10 s of encoding, at most 400 MB of words
_EXPECTED = "expected a tokenizer.model or tokenizer.json"
# Tokenizers often differ on these texts; a faster encoder is used only if it agrees on all of them.
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
    """A SentencePiece model, or a tokenizer.json. Raises DataError if the file is missing or neither."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = regular_file.content(self.path)
        except FileNotFoundError:
            on_hub = f" (of a model on the Hub: hf download {path} --local-dir FOLDER)"
            where = on_hub if re.fullmatch(r"[\w.-]+/[\w-]+", str(path)) else ""
            raise DataError(
                f"{path}: no such tokenizer; train one with `relama tokenizer`, or give tokenizer=PATH{where}"
            ) from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); {_EXPECTED}") from None
        if content.startswith(b"version https://git-lfs.github.com/spec/"):
            raise DataError(f"{path}: a Git LFS pointer, not the file; run `git lfs pull` in its folder")
        self.model = (JsonModel if self.path.suffix == ".json" else SentencePieceModel)(self.path, content)
        self.fingerprint, self.vocab_size = self.model.fingerprint, self.model.vocab_size
        self.bos_id, self.eos_id = self.model.bos_id, self.model.eos_id
        if isinstance(self.model, JsonModel):  # a tokenizer.json may describe any kind of model
            self._refuse_unfit(self.model)

    def __reduce__(self) -> tuple:
        """Pickle only the path, which another process opens once."""
        return _opened, (self.path,)

    @property
    def backend(self) -> str:
        """`gigatoken`, `sentencepiece` or `tokenizers`."""
        return self.model.name if self._fast is None else "gigatoken"

    @property
    def backend_note(self) -> str:
        return self._choice[1]

    def encode(self, text: str) -> np.ndarray:
        """The ids of `text`, (n,) int32, without BOS and EOS; a lone surrogate becomes U+FFFD."""
        text = _encodable(text)
        if self._fast is None or self._literal.search(text):
            return np.array(self.model.encode(text), dtype=np.int32)
        return self._fast.encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, as `encode` gives them."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return self.model.decode([int(i) for i in ids])

    def text_bytes(self, tokens: np.ndarray) -> int:
        """UTF-8 bytes in the text of tokens[..., 1:]; each row's first token is only context.

        Does not count the space that SentencePiece puts before every document.
        """
        before, ids = tokens[..., :-1], tokens[..., 1:]
        starts = np.count_nonzero((before == self.bos_id) & (ids != self.eos_id))
        return int(self.model.piece_bytes[ids].sum()) - int(starts) * self.model.adds_space

    @property
    def _fast(self) -> "_Gigatoken | None":
        return self._choice[0]

    @cached_property
    def _choice(self) -> tuple["_Gigatoken | None", str]:
        """The faster encoder, or None, and a note on why."""
        name = self.model.name
        try:
            fast = _Gigatoken(self.model.gigatoken())
            for probe in (*PROBES, *self.model.every_piece):
                if self.model.encode(probe) != fast.encode(probe).tolist():
                    return None, f"{name} (gigatoken differs from it on {probe[:20]!r})"
        except ImportError:
            return None, f"{name} (pip install -e '.[data]' adds a faster encoder)"
        except Exception as error:  # the reference still works, whatever the loader raises
            return None, f"{name} (gigatoken cannot load this model: {str(error).splitlines()[0]})"
        return fast, f"gigatoken, which agrees with {name} on every probe"

    @cached_property
    def _literal(self) -> re.Pattern:
        """Matches whatever only the reference may encode."""
        special, of_bytes = {*self.model.special}, {f"<0x{byte:02X}>" for byte in range(256)}
        if of_bytes <= special:  # one pattern compiles faster than 256
            names = [BYTE.pattern, *map(re.escape, sorted(special - of_bytes))]
        else:
            names = map(re.escape, sorted(special))
        return re.compile("|".join(names))

    def _refuse_unfit(self, model: JsonModel) -> None:
        """Raises DataError if `model` loses text, miscounts its bytes, or reads BOS or EOS in a text."""
        refuse_lossy(self, PROBES)
        for probe in PROBES:
            ids = np.array([self.bos_id, *self.encode(probe), self.eos_id])
            if self.text_bytes(ids) != len(self.decode(ids).encode()):
                raise DataError(
                    f"{self.path}: its pieces of {probe[:20]!r} do not add up to its bytes; expected a "
                    "byte-level BPE, or one like SentencePiece's"
                )
        for name, i in ((model.bos, model.bos_id), (model.eos, model.eos_id)):
            if i in model.encode(f"a {name} b"):
                raise DataError(f"{self.path}: reads a literal {name!r} in a text as the end of a document")


def fingerprint_of(path: Path) -> str | None:
    """The fingerprint of the tokenizer at `path`; None if it is damaged or cannot be read."""
    with suppress(OSError):
        return read_fingerprint(path)


def read_fingerprint(path: Path) -> str | None:
    """The fingerprint of the tokenizer at `path`, without making it ready for use; None if it is damaged.

    Raises OSError if the file cannot be read.
    """
    content = regular_file.content(path)
    if path.suffix != ".json":
        return sha256(content).hexdigest()
    with suppress(DataError):
        return JsonModel(path, content).fingerprint


def refuse_lossy(tokenizer: Tokenizer, texts: Iterable[str]) -> int:
    """How many U+2581 the texts lose (SentencePiece cannot keep them). Raises DataError for other losses."""
    lost = 0
    for text in texts:
        back = tokenizer.decode(tokenizer.encode(text))
        if back == text:
            continue
        lost += text.count(SPACE)
        if back != text.replace(SPACE, " "):
            at = next((i for i, (a, b) in enumerate(zip(text, back)) if a != b), min(len(text), len(back)))
            around = slice(max(0, at - 10), at + 10)
            raise DataError(
                f"{tokenizer.path}: does not round-trip: {text[around]!r} became {back[around]!r}; train one "
                "with `relama tokenizer` (settings of docs/recipe.md §3)"
            )
    return lost


@lru_cache(maxsize=1)
def _opened(path: Path) -> Tokenizer:
    return Tokenizer(path)


class _Gigatoken:
    """The faster encoder, reloaded now and then because it caches every word it has seen."""

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
