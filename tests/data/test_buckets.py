"""Tokens from buckets are those of a local folder, whatever the server, the cache's size and the faults."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import data.bucket as bucket_module
import data.cache.disk as disk_module
import data.cache.store as store_module
import data.clients.s3 as s3_module
from data.bucket import Bucket
from data.cache.ahead import Node, ReadAhead
from data.cache.config import CacheConfig
from data.cache.future import NEVER, next_use
from data.cache.store import BucketStore, open_store
from data.clients.s3 import reader_of
from data.errors import DataError
from data.loader import Loader
from data.order import Order
from data.tokens.store import TokenStore
from tests.support.buckets import (
    Chaos,
    hasten,
    random_store,
    serving,
    upload,
    wait_for,
)
from tests.support.narrow import as_a

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")
L, BATCH = 16, 12


@pytest.fixture(scope="module", params=["moto", "s3rver"])
def server(request, tmp_path_factory, corpora) -> Iterator[tuple[str, int]]:
    """A server that has the corpora in s3://corpus/mix, at the endpoint of the environment."""
    with serving("corpus", request.param, tmp_path_factory.mktemp("server")) as place:
        upload(corpora, "corpus", "mix")
        yield place


@pytest.fixture
def proxy(server, monkeypatch) -> Iterator[Chaos]:
    with Chaos(server) as chaos:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*chaos.place))
        yield chaos


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hasten(monkeypatch)
    store_module._note_no_sums.cache_clear()


def opened(tmp_path: Path, mib: float = 64, root: str = "s3://corpus/mix") -> dict[str, BucketStore]:
    cache = CacheConfig(str(tmp_path / "cache"), mib / 1024)
    return {
        source: as_a(BucketStore, open_store(f"{root}/{source}/tokens", "train", cache))
        for source in ("code", "prose")
    }


def order_of(stores: dict) -> Order:
    sizes = {source: store.n_sequences(L) for source, store in stores.items()}
    return Order.start(seed=3, weights={"prose": 2, "code": 1}, n_sequences=sizes, seq_len=L)


def batches(stores: dict, steps: range, order: Order, **more) -> list[np.ndarray]:
    with Loader(order, stores, micro_batch=3, global_batch=BATCH, **more) as loader:
        return [inputs.numpy() for inputs, _ in loader.batches(steps.start, steps.stop)]


def assert_same(stores: dict, local: dict[str, TokenStore], steps: range, **more) -> None:
    order = order_of(local)
    there, here = batches(stores, steps, order, **more), batches(local, steps, order, **more)
    assert len(there) == len(here) and all(map(np.array_equal, there, here))


def test_batches_from_a_bucket_are_those_of_the_local_folder(server, stores, tmp_path):
    remote = opened(tmp_path)
    assert {source: store.fingerprint for source, store in remote.items()} == {
        source: store.fingerprint for source, store in stores.items()
    }
    assert_same(remote, stores, range(0, 40))
    for source, store in remote.items():
        span, same = (list(each.documents(0, 2000)) for each in (store, stores[source]))
        assert [(one.start, one.stop, one.row) for one in span] == [
            (one.start, one.stop, one.row) for one in same
        ]
        assert store.text_of(span[0]).read_bytes() == same[0].text_file.read_bytes()
        store.verify()


def test_a_complete_cache_needs_no_bucket(server, proxy, stores, tmp_path):
    assert_same(opened(tmp_path), stores, range(0, 20))
    again = opened(tmp_path)
    before = proxy.requests["GET"]
    assert_same(again, stores, range(0, 20))
    assert proxy.requests["GET"] == before


def test_a_store_opens_with_one_request_and_refuses_another_tokenizer_when_asked(
    server, corpora, stores, tmp_path
):
    shutil.copytree(corpora / "code" / "tokens", tmp_path / "copy")
    (tmp_path / "copy" / "tokenizer.model").write_bytes(b"another")
    upload(tmp_path / "copy", "corpus", "another/tokens")
    cache = CacheConfig(str(tmp_path / "cache"))
    store = as_a(BucketStore, open_store("s3://corpus/another/tokens", cache=cache))
    assert store.bucket.traffic.requests == 1
    assert np.array_equal(store.sequence(0, L), stores["code"].sequence(0, L))
    for ask in (lambda: store.tokenizer, store.verify):
        with pytest.raises(DataError, match=r"another/tokens/tokenizer\.model: not the tokenizer that made"):
            ask()
    assert opened(tmp_path)["code"].tokenizer.read_bytes() == stores["code"].tokenizer.read_bytes()


def test_nothing_competes_with_what_the_first_batch_waits_for(server, stores, tmp_path, monkeypatch):
    remote, order, asked, answer = opened(tmp_path), order_of(stores), [], threading.Event()

    def bring(self: BucketStore, shard: int, unit: int) -> None:
        asked.append((self.source, shard, unit))
        answer.wait(120)

    monkeypatch.setattr(BucketStore, "bring", bring)
    wanted = {}  # the units of each of the first samples
    for n in range(40):
        sample = order.locate(n)
        units = remote[sample.source].units(sample.index * L, sample.index * L + L + 1)
        wanted[n] = {(sample.source, *unit) for unit in units}
    first, later = (set().union(*(wanted[n] for n in range(last))) for last in (3, 40))
    assert first < later
    share = {"is_ours": lambda _: True, "first": 0, "last": 40, "global_batch": BATCH, "first_batch": 3}
    ahead = ReadAhead(order, dict(remote), **share)
    try:
        wait_for(lambda: len(asked) >= len(first))
        time.sleep(0.2)
        assert set(asked) == first
        answer.set()
        wait_for(lambda: set(asked) == later)
    finally:
        answer.set()
        ahead.close()


def test_damage_in_the_cache_is_read_again(server, stores, tmp_path):
    remote = opened(tmp_path)
    assert_same(remote, stores, range(0, 20))
    for file in (tmp_path / "cache").rglob("*.bin"):
        content = bytearray(file.read_bytes())
        content[::97] = bytes(len(content[::97]))
        file.write_bytes(content)
    for file in (tmp_path / "cache").rglob("*.sums"):
        file.write_bytes(file.read_bytes()[:-1])
    assert_same(opened(tmp_path), stores, range(0, 20))


@pytest.mark.parametrize("client", ["obstore", "s3fs"])
def test_faults_of_the_server_never_change_a_token(proxy, stores, tmp_path, monkeypatch, client):
    if client == "s3fs":
        monkeypatch.setenv("AWS_RETRY_MODE", "standard")  # which s3fs alone understands
    assert (opened(tmp_path)["code"].bucket._s3 is None) == (client == "s3fs")
    proxy.random_faults(0.5, most=24)
    for attempt in range(3):
        assert_same(opened(tmp_path / str(attempt)), stores, range(0, 60))
    assert sum(proxy.done.values()) >= 16, proxy.done
    assert len(set(proxy.done)) == 8, proxy.done


def test_a_server_that_always_sends_wrong_bytes_is_named(proxy, tmp_path):
    remote = opened(tmp_path)["code"]
    proxy.faults = lambda method, path: "corrupt" if path.endswith(".bin") else None
    with pytest.raises(DataError, match=r"s3://corpus/mix/code/tokens/train-0000\d.bin, bytes .*tries"):
        remote.read(0, 100)


def test_a_process_forked_after_a_read_does_not_wait_for_threads_that_it_lacks(server, tmp_path):
    store = opened(tmp_path)["code"]
    store.read(0, 10)
    child = os.fork()
    if child == 0:
        os._exit(store.bucket._s3 is None or s3_module.is_usable() or reader_of(store.bucket.url) is not None)
    assert os.waitpid(child, 0)[1] == 0 and s3_module.is_usable()


def test_an_unreachable_server_is_named(proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(bucket_module, "PATIENCE", 0.5)
    remote = opened(tmp_path)["code"]
    proxy.faults = lambda method, path: "hang up"
    with pytest.raises(
        DataError, match=r"^s3://corpus/mix/code.* cannot be read .*run the same command again"
    ):
        remote.read(0, 100)


def test_a_server_that_always_stops_in_mid_range_is_named(proxy, tmp_path, monkeypatch):
    store = opened(tmp_path)["code"]
    monkeypatch.setattr(bucket_module, "PATIENCE", 0.1)
    proxy.faults = lambda method, path: "cut" if path.endswith(".bin") else None
    with pytest.raises(DataError, match=r"train-00000.bin, bytes 0 to .*: cannot be read .* once the server"):
        store.read(0, 10)
    proxy.faults = lambda method, path: None
    assert len(store.read(0, 10)) == 10


def test_replaced_tokens_are_named(server, tmp_path, corpora):
    upload(corpora / "code", "corpus", "replaced")
    store = open_store("s3://corpus/replaced/tokens", cache=CacheConfig(str(tmp_path / "cache"), 0.1))
    upload(corpora / "prose", "corpus", "replaced")
    with pytest.raises(DataError, match="s3://corpus/replaced/tokens: replaced by other tokens"):
        for start in range(0, store.n_tokens, 1000):
            store.read(start, min(start + 1000, store.n_tokens))


def test_a_store_without_block_checksums_is_read_in_full_once(server, stores, corpora, tmp_path, capsys):
    plain = tmp_path / "plain"
    shutil.copytree(corpora, plain)
    for path in plain.rglob("*.sums"):
        path.unlink()
    upload(plain, "corpus", "plain")
    assert_same(opened(tmp_path, root="s3://corpus/plain"), stores, range(0, 20))
    assert capsys.readouterr().err.count("no block checksums") == 2
    damaged = next(plain.rglob("train-00000.bin"))
    damaged.write_bytes(bytes([damaged.read_bytes()[0] ^ 1]) + damaged.read_bytes()[1:])
    upload(damaged.parent, "corpus", "damaged")
    store = open_store("s3://corpus/damaged", cache=CacheConfig(str(tmp_path / "another"), 0.1))
    with pytest.raises(DataError, match=r"train-00000.bin: altered since it was written"):
        store.read(0, 10)


def test_a_cache_that_cannot_evict_says_so_and_costs_reads(tmp_path, monkeypatch, capsys):
    sizes = {"code": 150_000, "prose": 300_000}
    local = {
        source: random_store(tmp_path / "c" / source / "tokens", source, n) for source, n in sizes.items()
    }
    monkeypatch.setattr(disk_module, "_punch", lambda *_: False)  # as on NFS before 4.2
    remote = opened(tmp_path, 0.2, f"file://{tmp_path}/c")
    assert_same({**remote}, local, range(0, 150_000 // L // BATCH))
    assert capsys.readouterr().err.count("cannot free parts of a file; choose a local disk") == 1


def test_the_next_use_is_that_of_the_order():
    sizes = {"code": 251, "prose": 90}  # few enough for most sequences to be used, some of them twice
    order = Order.start(seed=3, weights={"code": 2, "prose": 1}, n_sequences=sizes, seq_len=L).skip(40, 70)
    order = order.change(400, weights={"code": 1, "prose": 4}, n_sequences=sizes, seq_len=L)
    uses = [order.locate(n) for n in range(600)]
    found = []
    for start in range(0, 4000, 37):
        low, high, after = start, start + 100, start // 10
        expected = next(
            (
                n
                for n in range(after, 600)
                if n % 3 != 1
                and uses[n].source == "code"
                and uses[n].index * L < high
                and uses[n].index * L + L >= low
            ),
            NEVER,
        )
        assert next_use(order, "code", (low, high), after, 600, lambda n: n % 3 != 1) == expected
        found.append(expected)
    assert sum(next_one != NEVER for next_one in found) > 50 and NEVER in found


def test_ranks_of_a_node_and_two_jobs_share_a_cache(proxy, stores, tmp_path):
    wrong: list[object] = []

    def rank(number: int) -> None:
        node = Node(frozenset({0, 1}), fetches=number % 2 == 0)
        try:
            remote = opened(tmp_path, 0.04 if number > 1 else 0.1)
            assert_same(remote, stores, range(0, 16), dp_rank=number % 2, dp_size=2, node=node)
        except BaseException as error:
            wrong.append(error)

    ranks = [threading.Thread(target=rank, args=(number,)) for number in range(4)]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        thread.join()
    assert wrong == []


def test_a_full_cache_disk_only_costs_reads(server, stores, tmp_path, monkeypatch, capsys):
    def full(handle: int, content: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    remote = opened(tmp_path)
    assert_same(remote, stores, range(0, 4))
    assert capsys.readouterr().err.count("the disk of the cache is full") == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 5 << 20))
    with pytest.raises(DataError, match=r"cache.path=.*only 5 MiB are free"):
        remote["code"].disk.refuse_too_little(1 << 40)


def test_stores_that_no_job_reads_make_room(server, tmp_path):
    disk = opened(tmp_path)["code"].disk
    old = disk.folder / "0123456789abcdef"
    old.mkdir()
    (old / "train-00000.bin").write_bytes(bytes(100_000))
    assert disk.free_unused() and not old.exists()
    assert not disk.free_unused() and (disk.folder / opened(tmp_path)["code"].fingerprint).exists()


def test_little_more_is_fetched_than_is_trained_on(server, stores, tmp_path):
    remote = opened(tmp_path)
    steps = sum(store.n_sequences(L) for store in stores.values()) // BATCH * 2
    assert_same(remote, stores, range(0, steps))
    fetched = sum(store.bucket.traffic.bytes for store in remote.values())
    assert fetched <= 1.1 * steps * BATCH * (L + 1) * 2


FAULTY = {
    "missing bucket": ("s3://no-such-bucket/mix/code/tokens", {}, "no such bucket"),
    "not a store": ("s3://corpus/mix/code/text", {}, "not a complete token store"),
    "password": ("s3://me:hunter2secret@corpus/mix", {}, "contains a password"),
    "unknown scheme": ("nosuch://corpus/mix", {}, "expected a URL of one of"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_bad_urls_are_one_line(server, tmp_path, name):
    url, _, why = FAULTY[name]
    with pytest.raises(DataError) as caught:
        open_store(url, cache=CacheConfig(str(tmp_path / "cache")))
    assert why in str(caught.value) and "\n" not in str(caught.value)
    assert "hunter2secret" not in str(caught.value)


def test_no_credentials_and_a_wrong_region_are_one_line(proxy, tmp_path, monkeypatch):
    proxy.faults = lambda method, path: (
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; "
        "expecting 'eu-west-1'</Message></Error>"
    )
    for ask in (lambda: opened(tmp_path), lambda: Bucket("s3://corpus/mix").exists("manifest.json")):
        with pytest.raises(DataError, match="another region; set AWS_DEFAULT_REGION"):
            ask()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(DataError, match="no credentials; set them"):
        opened(tmp_path)
