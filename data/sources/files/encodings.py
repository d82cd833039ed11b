"""Python's codecs for the encodings that HTML names, and for those that bytes seem to be in.

HTML's decoders read more than the standards they are named after: EUC-KR is Windows-949, and Shift JIS is
Windows-31J (https://encoding.spec.whatwg.org). resiliparse, which detects encodings, does not know Python's
name for Windows-949.
"""

_DECODERS = {"euc_kr": "cp949", "shift_jis": "cp932", "gbk": "gb18030", "big5": "big5hkscs"}
_KOREAN = ("cp949", "ms949", "uhc")  # Python's names


def codec_of(label: str) -> str | None:
    """The codec for a label that a page declares; None if HTML has no such encoding."""
    from resiliparse.parse.encoding import map_encoding_to_html5  # an optional package

    if label.strip().lower() in _KOREAN:
        return "cp949"
    name = map_encoding_to_html5(label, fallback_utf8=False) if label else None
    return _DECODERS.get(name, name) if name else None


def detected(content: bytes) -> str | None:
    """The codec that the bytes seem to be in; None if it cannot be told."""
    from resiliparse.parse.encoding import detect_encoding

    return codec_of(detect_encoding(content, html5_compatible=False) or "")
