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
