"""What an error from a storage's client means: a refusal, with what to do about it, or bad luck.

Each client library has errors of its own. Their words and the HTTP status tell them apart.
"""

import re
from collections.abc import Iterator

from configs.redact import redact

REFUSALS = (  # words in the clients' errors, and what they mean
    (
        (
            "NoCredentials",
            "DefaultCredentialsError",
            "Unable to locate cred",
            "Must provide either a connection_string",
            "DefaultAzureCredential failed",
        ),
        "no credentials; set them as the storage's own tools expect (AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY or a profile, GOOGLE_APPLICATION_CREDENTIALS, "
        "AZURE_STORAGE_CONNECTION_STRING, HF_TOKEN, …)",
    ),
    (
        ("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RefreshError"),
        "the credentials have expired, or their token is not valid; get new ones and run the command again",
    ),
    (
        ("RequestTimeTooSkewed",),
        "the clock of this machine and the server's differ; set it right (timedatectl set-ntp true)",
    ),
    (
        ("Access Key (AKID)", "Credential is mal-formed"),
        "AWS_ACCESS_KEY_ID is not an access key; correct it",
    ),
    (
        (
            *("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocation"),
            "InvalidRegionName",  # R2
            "redirect without LOCATION",
            "RecursionError",  # Amazon's client, redirected endlessly
        ),
        "the bucket is in another region; set AWS_DEFAULT_REGION to the bucket's own",
    ),
    (
        ("NoSuchBucket", "InvalidBucketName", "bucket does not exist"),
        "no such bucket; create it, or correct the name",
    ),
    (("TooManyRedirects",), "the server redirects in a loop; correct the URL"),
    (("InvalidObjectState",), "the object is archived; restore it in the storage first"),
    (
        ("RustPanic", "PanicException"),
        "obstore crashed with the error above, over a setting that it cannot send or a bug of its own; "
        "check the AWS_* variables",
    ),
)
SETTINGS = (  # words in errors about a profile, a variable or a file of Amazon's client
    *("ProfileNotFound", "ConfigParseError", "ConfigNotFound", "InvalidConfigError"),
    "PartialCredentials",
    "NoRegionError",
    "InvalidRegionError",
    "Invalid endpoint",
    "InvalidArgument",  # R2, for another storage's keys
)
DENIED = "access denied"
_RATE_LIMIT = "rateLimit"  # Google's are 403s
# These may pass although they blame the request: a timeout, another writer, a replaced object, haste.
_PASSING = (408, 409, 412, 416, 423, 425, 429)
_PASSING_WORDS = (_RATE_LIMIT, "RequestTimeout", "IncompleteBody", "BadDigest")  # S3's have status 400


def refusal(error: BaseException) -> str | None:
    """What to do about a client's error that retrying cannot fix, or None."""
    causes = _causes(error)
    text = " ".join(f"{type(one).__name__} {one}" for one in causes)
    for words, refusal in REFUSALS:
        if any(word in text for word in words):
            return refusal
    if any(word in text for word in SETTINGS):
        return f"{line_of(error)}; correct the AWS_* variables, or ~/.aws"
    is_denied = status_of(error) in (401, 403) and _RATE_LIMIT not in text
    if is_denied or any(isinstance(one, PermissionError) for one in causes):
        return (
            f"{DENIED} ({line_of(error)}); check which credentials are in use and that they may "
            "read this (and write, for output= and checkpoint.remote=)"
        )
    return None


def blames_the_request(error: BaseException) -> bool:
    """Whether the server says that the request itself is wrong, so that the next one will fail too."""
    status, text = status_of(error) or 0, " ".join(map(str, _causes(error)))
    is_final = 400 <= status < 500 and status not in _PASSING
    return is_final and not any(word in text for word in _PASSING_WORDS)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and its causes."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return seen


def status_of(error: BaseException) -> int | None:
    """The HTTP status, from wherever each client library keeps it; None if the server did not answer."""
    for one in _causes(error):
        for status in _statuses(one):
            if isinstance(status, int) and 400 <= status < 600:
                return status
    return None


def _statuses(error: BaseException) -> Iterator[object]:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # from Amazon's client
        yield answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    yield getattr(answer, "status_code", None)
    for name in ("status", "status_code", "code"):
        yield getattr(error, name, None)
    if text := re.match(r"(\d{3}) [A-Z]", str(error)):  # from S3Reader
        yield int(text[1])
    if isinstance(error, OSError) and str(error).startswith("Forbidden: "):  # from gcsfs
        yield 403


def line_of(error: BaseException) -> str:
    """The first line of an error, without secrets."""
    lines = [line.strip() for line in redact(str(error)).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
