"""A token store that grew: a new version whose stream begins with the old one's, shard by shard."""

from pathlib import Path

from data.errors import DataError
from data.tokens.store import TokenStore


def refuse_other_past(store: TokenStore, fingerprint: str, before: Path | None) -> None:
    """Raise DataError unless `store` is, or appends to, the store with this fingerprint.

    `before` is where that store was.
    """
    if store.fingerprint == fingerprint:
        return
    try:
        old = TokenStore.open(before) if before else None
    except DataError:
        old = None
    if old is None or old.fingerprint != fingerprint:
        raise DataError(
            f"{store.folder}: not the tokens that the run was trained on ({fingerprint[:12]}… there), and "
            f"{before or 'its order.json'} lacks those to compare; keep a store's old version in place"
        )
    if store.tokenizer_fingerprint != old.tokenizer_fingerprint or store.dtype != old.dtype:
        raise DataError(f"{store.folder}: made with another tokenizer than {old.folder}; use the run's own")
    if store.contents[: len(old.contents)] != old.contents:
        raise DataError(
            f"{store.folder}: shrank or changed: its shards do not begin with those of {old.folder}, so what "
            "was trained on would be renumbered; append shards instead"
        )
