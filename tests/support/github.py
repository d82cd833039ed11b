"""Shortened license texts, and repositories of a few files."""

from collections.abc import Mapping
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources import github

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files ... subject to the following conditions:
The above copyright notice and this permission notice shall be included in all copies."""
BSD2 = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice."""
BSD3 = f"""{BSD2}
3. Neither the name of A nor the names of its contributors may be used to endorse or promote products derived
from this software."""
BSD4 = BSD3 + "\nAll advertising materials mentioning features or use of this software must ..."
APACHE = "Apache License\n  Version 2.0, January 2004\n TERMS AND CONDITIONS FOR USE"
GPL = "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"
CODE = "def add(first, second):\n    return first + second\n"


def clean(text: str, path: str = "a.py", license: str = "mit", **options) -> Document | Drop:
    return github.clean(Record("in", 0, text, licence=license, meta={"path": path}), **options)


def outcome(path: Path) -> dict[str, str]:
    """Every file of every repository at `path`: its cleaned text, or why it was dropped."""
    found = {}
    for unit in github.inputs(path):
        for item in github.read(unit):
            if isinstance(item, Drop):
                found[item.detail or item.file] = f"dropped: {item.reason}"
            else:
                cleaned = github.clean(item)
                dropped = isinstance(cleaned, Drop)
                found[item.meta["path"]] = f"dropped: {cleaned.reason}" if dropped else cleaned.text
    return found


def repository(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root
