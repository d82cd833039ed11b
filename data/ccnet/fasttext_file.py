"""Reads a fastText classifier's file into tables for `data/ccnet/c/native.c`.

In: a supervised model with a hierarchical softmax, such as lid.176, quantized (.ftz) or not (.bin). Out: a
function that gives a line's likeliest label. Formats and arithmetic follow fastText 0.9.2 (dictionary.cc,
quantmatrix.cc, productquantizer.cc, loss.cc).
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.errors import Unfit

try:
    from data.ccnet import native
except ImportError:  # not compiled: there was no C compiler when Relama was installed
    native = None

MAGIC, VERSION = 793712314, 12
_HIERARCHICAL, _SUPERVISED = 1, 3
_CENTROIDS = 256


def predictor(path: Path) -> Callable[[str], tuple[str, float]]:
    """A function from a line to its likeliest label (or "") and that label's probability. Raises Unfit."""
    if native is None:
        raise Unfit("data/ccnet/c/native.c is not compiled")
    try:
        return _predictor(_Reader(path), native.Model)
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise Unfit(f"{path}: {error}") from None


def _predictor(file: "_Reader", make: Callable) -> Callable[[str], tuple[str, float]]:
    magic, version, dim, *_, ngrams, loss, kind, bucket, minn, maxn, _ = file.take("<14i")
    file.take("<d")
    if (magic, version, ngrams, loss, kind) != (MAGIC, VERSION, 1, _HIERARCHICAL, _SUPERVISED):
        raise Unfit("not a supervised model of single words with a hierarchical softmax")
    size, n_words, _, _, n_pruned = file.take("<3i2q")
    names, counts = file.words(size)
    if n_pruned == 0 or any(name.startswith(b"__label__") for name in names[:n_words]):
        raise Unfit("a model without n-grams, or with labels among its words")
    pruned = file.array("<i4", 2 * max(0, n_pruned))
    if n_pruned > 0 and (pruned.min() < 0 or pruned[1::2].max() >= n_pruned):
        raise Unfit("a damaged table of n-grams")
    rows = file.matrix(is_quantized=file.take("<?")[0])
    if file.take("<?")[0]:
        raise Unfit("a model with a quantized output, which the library sums in another order")
    output = file.matrix(is_quantized=False)
    labels = [name.decode().removeprefix("__label__") for name in names[n_words:]]
    model = make(
        rows,
        b"".join(names[:n_words]),
        np.cumsum([0, *map(len, names[:n_words])], dtype=np.int32).data,
        pruned.data,
        output,
        _tree(counts[n_words:]).data,
        dim,
        minn,
        maxn,
        bucket,
        n_words,
    )

    def predict(text: str) -> tuple[str, float]:
        label, probability = model.predict(text)
        return (labels[label], probability) if label >= 0 else ("", 0.0)

    return predict


def _tree(counts: list[int]) -> np.ndarray:
    """Each node's children in the Huffman tree over the labels (by falling count); -1 marks a leaf."""
    n_labels = len(counts)
    n_nodes = 2 * n_labels - 1
    weight = [*counts, *[10**15] * (n_labels - 1)]
    children = np.full((n_nodes, 2), -1, np.int32)
    leaf, node = n_labels - 1, n_labels
    for made in range(n_labels, n_nodes):
        for side in range(2):
            if leaf >= 0 and weight[leaf] < weight[node]:
                children[made, side], leaf = leaf, leaf - 1
            else:
                children[made, side], node = node, node + 1
        weight[made] = weight[children[made, 0]] + weight[children[made, 1]]
    return children


class _Reader:
    """Reads the file from start to end, without copying large tables."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 0

    def take(self, form: str) -> tuple:
        self._at += struct.calcsize(form)
        return struct.unpack_from(form, self._data, self._at - struct.calcsize(form))

    def array(self, kind: str, count: int) -> np.ndarray:
        size = np.dtype(kind).itemsize * count
        self._at += size
        return np.frombuffer(self._data, kind, count, self._at - size)

    def words(self, count: int) -> tuple[list[bytes], list[int]]:
        """The next `count` words or labels, and how often each occurs."""
        names, counts = [], []
        for _ in range(count):
            names.append(self._data[self._at : self._data.find(b"\0", self._at)])
            self._at += len(names[-1]) + 1
            counts.append(self.take("<qb")[0])
        return names, counts

    def matrix(self, *, is_quantized: bool) -> memoryview:
        """A matrix as float32, (rows, columns)."""
        if not is_quantized:
            n_rows, n_columns = self.take("<2q")
            return self.array("<f4", n_rows * n_columns).data
        has_norms, n_rows, n_columns, n_codes = self.take("<?2qi")
        codes = self.array("u1", n_codes).reshape(n_rows, -1)
        values = self._quantizer(codes)
        if has_norms:
            codes = self.array("u1", n_rows).reshape(n_rows, 1)
            values = self._quantizer(codes) * values  # in float32, as the library does for each sum
        if values.shape != (n_rows, n_columns):
            raise ValueError("a quantized matrix of another shape")
        return np.ascontiguousarray(values).data

    def _quantizer(self, codes: np.ndarray) -> np.ndarray:
        """The values that the codes (rows, parts) encode."""
        dim, n_parts, width, last = self.take("<4i")
        table = self.array("<f4", dim * _CENTROIDS)
        parts = []
        for part in range(n_parts):
            is_last = part == n_parts - 1
            start, size = part * _CENTROIDS * width, last if is_last else width
            parts.append(table[start : start + _CENTROIDS * size].reshape(_CENTROIDS, size)[codes[:, part]])
        return np.concatenate(parts, 1)
