"""Reads S3 objects with obstore, which answers its first request sooner than s3fs (benchmarks/buckets).

It is used if the environment holds the keys and nothing else that Amazon's own tools would consult. Profiles,
roles and certificate bundles are left to s3fs, which uses Amazon's own code for them.
"""

import asyncio
import os
import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from configs.redact import redact
from data.errors import DataError

OTHER_FILES = ("~/.aws/config", "~/.config/fsspec")  # may name a region, an endpoint or a role
KNOWN = {  # these mean the same to Amazon's tools and to obstore as set up here, or nothing to either
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EXECUTION_ENV",
    "AWS_PAGER",
    "AWS_REGION",
}
OTHER_PARTITIONS = ("cn-", "us-iso", "eu-iso", "us-gov")  # regions with other host names
CONNECT = 5  # seconds
STALLED = 15  # seconds without a byte


class S3Reader:
    """The objects below `prefix` of a bucket. Safe to use from several threads."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def read(self, name: str, start: int | None, stop: int | None, timeout: float | None) -> bytes:
        """Bytes [start, stop) of an object, or all of it, within `timeout` seconds.

        Raises FileNotFoundError, PermissionError, TimeoutError, or another OSError.
        """
        import obstore
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        path = "/".join(part for part in (self._prefix, name) if part)

        async def asked() -> bytes:
            if stop is None:
                return bytes(await (await obstore.get_async(self._client, path)).bytes_async())
            return bytes(await obstore.get_range_async(self._client, path, start=start or 0, end=stop))

        answer = asyncio.run_coroutine_threadsafe(asked(), _loop())  # so that Ctrl-C can end the wait
        try:
            return answer.result(timeout)
        except TimeoutError:
            raise TimeoutError(f"no complete answer within {timeout:.0f} s") from None
        except FileNotFoundError as error:
            raise FileNotFoundError(_plain(error)) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise PermissionError(_plain(error)) from error
        except BaseError as error:
            raise OSError(_plain(error)) from error
        finally:
            answer.cancel()


def reader_of(url: str) -> S3Reader | None:
    """A reader for an s3:// URL, or None if it needs s3fs."""
    scheme, _, path = url.partition("://")
    settings = settings_of(os.environ)
    if scheme != "s3" or settings is None or not is_usable():
        return None
    if any(os.path.exists(os.path.expanduser(file)) for file in OTHER_FILES):
        return None
    bucket, _, prefix = path.partition("/")
    if {"", ".", ".."} & {*(prefix.split("/") if prefix else ())}:  # obstore alters or refuses these
        return None
    try:
        return S3Reader(_client(bucket, tuple(settings.items())), prefix)
    except ImportError:
        return None


def refuse_wrong(environment: Mapping[str, str]) -> None:
    """Raises DataError for a value that no request can carry: a line break, or an endpoint that is no URL."""
    for name in sorted(KNOWN & environment.keys()):
        value = environment[name]
        if value != value.strip():
            raise DataError(f"{name}: begins or ends with white space; remove it")
        if not value.isprintable():
            raise DataError(f"{name}: contains a line break or a control character; remove it")
        if name.startswith("AWS_ENDPOINT_URL") and value and (wrong := _wrong_endpoint(value)):
            raise DataError(f"{name}={redact(value)}: {wrong}; expected http[s]://HOST[:PORT]")


def _wrong_endpoint(url: str) -> str | None:
    """What is wrong with a server's URL, or None."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return "does not begin with http:// or https://"
        if not parts.hostname:
            return "names no host"
        if parts.port == 0:
            return "names port 0"
    except ValueError as error:  # a bad port, or brackets that do not match
        return str(error)
    return "has a query" if parts.query or parts.fragment else None


def settings_of(environment: Mapping[str, str]) -> dict[str, str] | None:
    """obstore's settings, or None if these variables say more than it knows."""
    given = {name: value for name, value in environment.items() if value}
    others = {name for name in given if name.startswith(("AWS_", "FSSPEC_"))} - KNOWN
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL", "")
    if endpoint.startswith("http://"):
        others -= {"AWS_CA_BUNDLE"}
    region = given.get("AWS_DEFAULT_REGION", "us-east-1" if endpoint else "")
    keys = [given.get("AWS_ACCESS_KEY_ID", ""), given.get("AWS_SECRET_ACCESS_KEY", "")]
    if others or not all(keys) or not region or region.startswith(OTHER_PARTITIONS):
        return None
    found = {"access_key_id": keys[0], "secret_access_key": keys[1], "region": region}
    if token := given.get("AWS_SESSION_TOKEN"):
        found["session_token"] = token
    if endpoint:
        found["endpoint"] = endpoint
    return found


@lru_cache(maxsize=16)
def _client(bucket: str, settings: tuple[tuple[str, str], ...]) -> Any:
    from obstore.store import S3Store

    config: Any = dict(settings)
    # As in Amazon's tools, the bucket is part of the host name, except on other servers.
    config["virtual_hosted_style_request"] = "endpoint" not in config and "." not in bucket
    options: Any = {
        "allow_http": config.get("endpoint", "").startswith("http://"),
        "connect_timeout": f"{CONNECT}s",
        "read_timeout": f"{STALLED}s",
        "timeout": "1d",  # each read sets its own
    }
    return S3Store(bucket, config=config, client_options=options, retry_config={"max_retries": 0})


_started_in: int | None = None  # the process that has obstore's threads


def is_usable() -> bool:
    """False in a process forked after another's first read, because it lacks obstore's threads."""
    return _started_in in (None, os.getpid())


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    global _started_in
    _started_in, loop = os.getpid(), asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="s3", daemon=True).start()
    return loop


def _plain(error: BaseException) -> str:
    """What happened, condensed from a long error: '503 Service Unavailable, SlowDown: Reduce your rate.'."""
    text = str(error)
    status = re.search(r"status code: (\d+(?: [A-Z][A-Za-z]*)*)", text)
    code = re.search(r"<Code>([\w.]+)</Code>", text) or re.search(r"\bkind: (\w+)", text)
    message = re.search(r"<Message>([^<]+)</Message>", text)
    what = status[1] if status else text.partition("\n")[0].rpartition(" - ")[2]
    return what + (f", {code[1]}" if code else "") + (f": {' '.join(message[1].split())}" if message else "")
