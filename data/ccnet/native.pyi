from mmap import mmap

class Model:
    def __init__(
        self,
        rows: bytes | memoryview,
        text: bytes,
        starts: memoryview,
        pruned: memoryview,
        output: memoryview,
        tree: memoryview,
        dim: int,
        minn: int,
        maxn: int,
        bucket: int,
        n_words: int,
    ) -> None: ...
    def predict(self, text: str) -> tuple[int, float]: ...

class Ngrams:
    def __init__(self, file: mmap, counts: bytes, vocabulary: int, pieces: list[str]) -> None: ...
    def score(self, pieces: list[int | str]) -> float: ...

class Pieces:
    def __init__(
        self, texts: list[str], numbers: memoryview, scores: memoryview, unknown_score: float
    ) -> None: ...
    def encode(self, line: str) -> list[int | str] | None: ...
