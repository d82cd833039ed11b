"""recipe=all on the real samples: seven sources, CommonCrawl's models, a tokenizer, tokens, training."""

import json

import pytest
import yaml

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")
pytest.importorskip("kenlm", reason="ufal-kenlm is not installed (pip install -e '.[data]')")
pytest.importorskip("floret", reason="floret is not installed (pip install -e '.[data]')")

from data.audit import main as audit
from data.main import main
from data.tokens.store import TokenStore
from tests.support.kenlm import needs_kenlm
from tests.support.runs import metrics, succeed
from tests.support.source_tables import INPUTS

SOURCES = ("commoncrawl", "c4", "github", "wikipedia", "books", "arxiv", "stackexchange")


@needs_kenlm
def test_seven_sources_become_one_mixture_that_trains(tmp_path, shared_data, capsys):
    dumps = {name: [str(shared_data / part) for part in INPUTS[name]] for name in SOURCES}
    dumps["books"] = [str(shared_data / "books")]  # the novels would take most of the time
    dumps["c4"] = dumps["c4"][1:]
    (tmp_path / "dumps.yaml").write_text(yaml.safe_dump(dumps))
    corpora = tmp_path / "corpora"
    arguments = ["recipe=all", f"input={tmp_path / 'dumps.yaml'}", f"corpora={corpora}", "vocab_size=8000"]
    arguments += ["ccnet.lm_pieces=4000", "ccnet.stand_in=true", "max_broken=1", "engine.workers=1"]
    assert main(arguments) == 0
    assert "is a STAND-IN" in capsys.readouterr().err
    stores = {name: TokenStore.open(corpora / name / "tokens") for name in SOURCES}
    assert len({store.tokenizer_fingerprint for store in stores.values()}) == 1
    report = json.loads((corpora / "commoncrawl" / "report.json").read_text())
    assert report["settings"]["stand_in"] is True and report["cutoffs"]["en"]["head"] > 1
    assert report["read"] == report["kept"] + sum(reason["count"] for reason in report["dropped"].values())
    capsys.readouterr()
    assert audit([f"corpora={corpora}", "tokens=100000"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in SOURCES) and "Books3" in table
    succeed("data=mix", f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=2")
    assert len(metrics(tmp_path / "run")) == 2
