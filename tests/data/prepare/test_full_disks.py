"""A disk that is full while a corpus is made: what the line proposes gives the same bytes, on a real one."""

import json
import random
from pathlib import Path

import pytest

from data.main import main
from tests.support.disk import fill, small_disk

WORDS = ("day", "night", "river", "stone", "walk", "light")


def made(where: Path, source: Path, tokenizer: Path) -> int:
    keys = [f"input={source}", f"tokenizer={tokenizer}", f"corpora={where}", "engine.workers=1"]
    return main(["recipe=text", "source=mine", *keys])


def content(folder: Path) -> dict[str, bytes]:
    """The text and the tokens."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in ("text/*.parquet", "tokens/*.bin", "tokens/*.docs", "tokens/*.sums")
        for path in folder.glob(f"mine/{kind}")
    }


def test_a_corpus_that_a_full_disk_ended_at_any_stage_is_made_as_the_line_says(model_file, tmp_path, capsys):
    rng, source = random.Random(0), tmp_path / "x.jsonl"
    rows = [" ".join(f"{rng.choice(WORDS)}{rng.randrange(1000)}" for _ in range(60)) for _ in range(1000)]
    source.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    assert made(tmp_path / "plain", source, model_file) == 0
    plain = content(tmp_path / "plain")
    text = sum(len(value) for name, value in plain.items() if name.startswith("mine/text"))
    tokens = sum(len(value) for name, value in plain.items() if name.startswith("mine/tokens"))
    with small_disk(tmp_path / "disk", mib=16) as disk:
        if disk is None:
            pytest.skip("mounting a tmpfs needs root")
        stages = []
        for left in (0, text // 2, text + tokens // 2, text + tokens + tokens // 2):
            filler, where = fill(disk, left), disk / f"corpora-{left}"
            capsys.readouterr()
            assert made(where, source, model_file) == 1
            (line,) = (one for one in capsys.readouterr().err.splitlines() if one.startswith("relama: error"))
            assert "o space left on" in line and "; make room" in line
            assert line.endswith("and run the same command again")
            stages.append((where / "mine" / "text").is_dir())
            filler.unlink()
            assert made(where, source, model_file) == 0
            assert content(where) == plain
        assert stages == [False, False, True, True]  # in the text, and in the tokens
