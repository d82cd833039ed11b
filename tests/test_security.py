"""Forbidden calls are absent from the syntax, no path leaves a folder, no secret is written."""

import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from configs.load import ConfigError, entry, from_yaml, save
from configs.redact import MASK, redact, redact_command
from data import remote
from data.errors import DataError
from data.folders import is_plain
from data.mixture import DataConfig
from data.tokens.store import TokenStore, manifest_checksum
from model.formats.errors import FormatError
from model.formats.huggingface import open_huggingface

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = ("configs", "data", "model", "train", "launch")
# Calls that run what they read, or a shell. Only `train/checkpoint/reader.py` unpickles, by a list.
FORBIDDEN = {
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "eval",
    "exec",
    "FileSystemReader",
    "dcp.FileSystemReader",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}


def faults(source: str) -> list[str]:
    """A file's forbidden calls, one line each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: keyword.value for keyword in node.keywords}

        def given(key: str, options=options) -> object:
            value = options.get(key)
            return value.value if isinstance(value, ast.Constant) else value

        if name in FORBIDDEN:
            found.append(f"line {node.lineno}: {name}")
        if "shell" in options and given("shell") is not False:
            found.append(f"line {node.lineno}: {name} with a shell")
        if "allow_pickle" in options and given("allow_pickle") is not False:
            found.append(f"line {node.lineno}: {name} with allow_pickle")
        if name == "torch.load" and given("weights_only") is not True:
            found.append(f"line {node.lineno}: torch.load without weights_only=True")
        if given("trust_remote_code") not in (None, False):
            found.append(f"line {node.lineno}: {name} with trust_remote_code")
        if name.endswith((".extractall", ".extract")) and "tar" in name and given("filter") != "data":
            found.append(f"line {node.lineno}: {name} without filter='data'")
    return found


def test_nothing_in_the_tree_unpickles_or_builds_a_shell():
    paths = [path for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py"))]
    assert len(paths) > 80
    found = [
        f"{path.relative_to(REPOSITORY)}: {fault}" for path in paths for fault in faults(path.read_text())
    ]
    # A worker reads what its parent has just written to a private folder.
    (workers,) = [one for one in found if one.startswith("data/engine.py: ")]
    assert workers.endswith(": pickle.loads")
    found.remove(workers)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "os.system('ls')",
        "subprocess.run(words, shell=True)",
        "subprocess.run(words, shell=maybe)",
        "pickle.load(file)",
        "yaml.load(text)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "dcp.FileSystemReader(folder)",
        "eval(text)",
    ],
)
def test_the_reading_of_the_syntax_sees_each(line):
    assert len(faults(line)) == 1


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "a\0b", None, 3])
def test_a_name_that_leads_elsewhere_is_not_plain(name):
    assert not is_plain(name)
    assert is_plain("train-00000.bin") and is_plain("..bin")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd"])
@pytest.mark.parametrize("key", ["file", "documents_file"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(name, key, tmp_path):
    shard = {"file": "t.bin", "documents_file": "t.docs", "tokens": 0, "documents": 0, "xxh3": ""}
    shard |= {"documents_xxh3": "", key: name}
    for plain in ("t.bin", "t.docs", "tokenizer.model"):
        (tmp_path / plain).touch()
    manifest = {
        "version": 1,
        "source": "own",
        "dtype": "uint16",
        "tokenizer": {"vocab_size": 300, "fingerprint": "x"},
        "text_files": [],
        "splits": {"train": {"tokens": 0, "documents": 0, "bytes": 0, "shards": [shard]}},
    }
    manifest["xxh3"] = manifest_checksum(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError) as refusal:
        TokenStore.open(tmp_path)
    assert repr(name) in str(refusal.value) and "manifest.json" in str(refusal.value)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", ".."])
def test_an_index_that_names_a_file_elsewhere_is_refused(name, tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 32}
    config = sizes | {
        "vocab_size": 9,
        "max_position_embeddings": 8,
        "rms_norm_eps": 1e-6,
        "model_type": "llama",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(FormatError) as refusal:
        open_huggingface(tmp_path)
    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/b"])
def test_a_source_that_is_a_path_is_refused(name):
    with pytest.raises(ValueError, match="plain name"):
        DataConfig(name="own", weights={name: 1.0})


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter22@host/dump.xml",
        "s3://key@bucket/dump",
        "https://host/dump?X-Amz-Signature=hunter22&a=1",
        "https://host/dump?sig=hunter22",
        "https://host/dump?a=1&access_token=hunter22",
        "https://www.dropbox.com/scl/fi/a/dump.txt?rlkey=hunter22&dl=1",
        "abfss://me:hunter22@account.dfs.core.windows.net/dump",
        "https://key@account.dfs.core.windows.net/dump",
    ],
)
def test_a_url_with_a_secret_in_it_is_refused_before_provenance_keeps_it(url):
    with pytest.raises(DataError) as refusal:
        remote.place(url)
    assert "hunter22" not in str(refusal.value) and "key@" not in str(refusal.value)
    remote.refuse_credentials("https://host/dump?page=2&tokens=3")


@pytest.mark.parametrize("scheme", ["abfs", "abfss", "az"])
def test_the_container_in_azures_own_urls_is_no_secret(scheme):
    url = f"{scheme}://my-container@account.dfs.core.windows.net/folder"
    remote.refuse_credentials(url)
    assert redact(f"corpora={url}") == f"corpora={url}"


def test_documents_from_azure_name_the_account():
    opened = SimpleNamespace(  # as adlfs and UPath take abfss://box@account.dfs.core.windows.net/a/b.txt
        storage_options={"account_name": "account"}, protocol="abfss", path="box/a/b.txt"
    )
    assert remote.named(opened) == "abfss://box@account.dfs.core.windows.net/a/b.txt"
    assert remote.named(Path("a/b.txt")) == "a/b.txt"


def test_a_url_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr(remote, "find_spec", lambda package: None)
    with pytest.raises(DataError, match=r"needs adlfs; pip install -e '\.\[azure\]'"):
        remote.place("abfss://box@account.dfs.core.windows.net/a")


SECRETS = [
    "input=https://me:hunter22@host/x",
    "hf_token=hunter22",
    "logger.password=hunter22",
    '{"wandb_api_key": "hunter22"}',
    "https://h/x?X-Amz-Signature=hunter22&b=1",
    "aws_secret_access_key: hunter22",
    "seen in a traceback: hunter22-of-the-environment",
    "pasted hf_abcdefghijklmnopqrstuv hunter",
    "password='the old hunter22'",
    "Authorization: Bearer hunter22hunter22",
    "authorization: basic hunter22hunter22==",
    "PGPASSWORD=hunter22",
    "MYSQL_PWD=hunter22",
    "AccountName=me;AccountKey=hunter22==;EndpointSuffix=core.windows.net",
    "Endpoint=sb://me/;SharedAccessKey=hunter22",
    "abfss://me:hunter22@account.dfs.core.windows.net/x",
    f"abfs://{'hunter22' * 11}@account.dfs.core.windows.net/x",
    "clientSecret: hunter22",
    "pasted ghs_hunter22hunter22hunter22",
    "pasted ASIAHUNTER22HUNTER22 hunter",
    "pasted eyJhunter22hunter22.eyJhunter22hunter22.hunter22-hunter22",
    "-----BEGIN RSA PRIVATE KEY-----\nhunter22\n-----END RSA PRIVATE KEY-----",
]
INNOCENT = [
    "tokenizer=/data/tokenizer.model tokens: 123",
    "relama train model=7b data=mix seed=1 model.max_seq_len=2048 run=runs/keyed",
    "step 3: loss 2.5; passed: 3 sigma=2 design=1 tokens_per_second=9 compass=3",
    "came without a tokenizer.model or tokenizer.json; set tokenizer=PATH",
    "https://host/dump?page=2",
    "PWD=/home/me OLDPWD=/ primary_key=3 monkey=3 basic training of sklearn npm_config_registry=x ASIA",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked(text, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "hunter22-of-the-environment")
    masked = redact(text)
    assert MASK in masked and "hunter22" not in masked and "hf_abc" not in masked


@pytest.mark.parametrize("text", INNOCENT)
def test_text_that_is_not_secret_is_not_masked(text):
    assert redact(text) == text


def test_a_command_is_written_down_without_its_secrets():
    arguments = [
        "relama",
        "launch",
        "cluster.environment.WANDB_API_KEY=old hunter22",
        "cluster.environment.PGPASSWORD=old hunter22",
        "run=a b",
        "tokenizer=x y",
    ]
    assert redact_command(arguments) == (
        "relama launch 'cluster.environment.WANDB_API_KEY=***' 'cluster.environment.PGPASSWORD=***' "
        "'run=a b' 'tokenizer=x y'"
    )


def test_saved_configs_and_errors_hold_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    config = DataConfig(name="https://me:hunter22@host and 0123456789abcdef", weights={"a": 1.0})
    save(config, tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text()
    assert "hunter22" not in text and "0123456789abcdef" not in text
    assert yaml.safe_load(text)["weights"] == {"a": 1.0}
    arguments = ["input=https://me:hunter22@host/x", "recipe=text", "source=mine", "tokenizer=nowhere"]
    finished = subprocess.run(
        [sys.executable, REPOSITORY / "data" / "main.py", *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        cwd=tmp_path,
    )
    assert finished.returncode == 1
    assert "hunter22" not in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("name: ${oc.env:HOME}\n", "refers to another value"),
        ("weights: {a: '${oc.env:SECRET_TOKEN}'}\n", "refers to another value"),
        ("a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)), "values"),
        ("[" * 100_000, "not a readable config"),
        ("name: " + "x" * (2 << 20), "larger than 1 MiB"),
    ],
)  # fmt: skip
def test_a_config_of_somebody_elses_run_reads_no_environment_and_is_no_bomb(
    content, part, tmp_path, monkeypatch
):
    monkeypatch.setenv("SECRET_TOKEN", "0123456789abcdef")
    path = tmp_path / "config.yaml"
    path.write_text(content)
    begin = time.process_time()
    with pytest.raises(ConfigError, match=part) as refused:
        from_yaml(path, DataConfig)
    assert "0123456789abcdef" not in str(refused.value) and time.process_time() - begin < 10


def test_a_line_for_a_terminal_has_no_escapes_and_no_overrides_of_its_direction(capsys):
    def fails(argv: list[str]) -> int:
        raise DataError("no file \x1b]0;owned\x07 \u202egpj.exe \ud800 é — 中")

    assert entry(fails, [], errors=(DataError,)) == 1
    shown = capsys.readouterr().err
    assert "é — 中" in shown and shown.strip().isprintable()
