"""docs/reference/keys.md, the reference of every key: `python -m launch.keys` writes it (a test compares)."""

from configs import describe
from launch.cli import ALSO, VERBS

PAGE = describe.CONFIGS.parent / "docs" / "reference" / "keys.md"
_INTRO = """# Every key

Give keys as `key=value` after the command; `relama COMMAND --help` prints the same. A group is chosen by name
(`model=7b`) and sets several keys; any of them can be given after it (`model=7b optim.lr=0.0002`). Lists are
separated by commas, and `null` means none. `config=FILE` reads keys from a YAML file, your own or a run's
`config.yaml`; what is typed wins. `python -m launch.keys` writes this page from the code's comments.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_INTRO]
    for verb, (module, schema, meaning) in VERBS.items():
        parts.append(f"## relama {verb}\n")
        parts.append(f"{meaning[0].upper()}{meaning[1:]}. {ALSO.get(verb, '')}".rstrip() + "\n")
        some = describe.groups(verb)
        if some:
            parts.append(describe.table(some, "group", "choices") + "\n")
        parts.append(describe.table(describe.keys(verb, module, schema)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
