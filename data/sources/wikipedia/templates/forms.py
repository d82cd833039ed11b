"""Templates that give one name in several scripts by named arguments: {{korean|hangul=서울|rr=Seoul}}."""

from data.sources.wikipedia.templates.patterns import Rule

# Labels of the English Wikipedia (Template:Korean, Template:Lang-zh).
_CHINESE = {
    "c": "Chinese",
    "t": "traditional Chinese",
    "s": "simplified Chinese",
    "p": "pinyin",
    "hp": "pinyin",
}
_CHINESE |= {"w": "Wade–Giles", "j": "Jyutping", "poj": "Pe̍h-ōe-jī", "l": "lit."}
_KOREAN = {"hangul": "Korean", "hanja": "Hanja", "rr": "RR", "mr": "MR", "lit": "lit."}
_NAMED = """
hangul hangeul hangŭl hanja rr mr kanji kana kyujitai shinjitai romaji rōmaji hepburn c t s p hp w j poj hans
hant hanzi pinyin trad simp tradicional simplificado simpl py jyutping cyr cyrillic latin zh-hant zh-hans
chữ tc sc кириллица латиница трад упр пиньинь палл хангыль ханча кандзи кана ромадзи
"""
_FORMS = frozenset(_NAMED.split())


def _labeled(labels: dict[str, str], *order: str) -> Rule:
    """The forms after their labels; those without a name are in this order."""

    def rule(positional: list[str], named: dict[str, str]) -> str | None:
        forms = [*zip(order, positional), *named.items()]
        given = [(labels[key], value) for key, value in forms if key in labels and value]
        bare = named.get("labels") == "no"
        return "; ".join([value if bare else f"{label}: {value}" for label, value in given]) or None

    return rule


def forms_of(named: dict[str, str]) -> str:
    """The forms that a template without a rule and without positional arguments gives; else ""."""
    return ", ".join(value for key, value in named.items() if key in _FORMS and value)


FUNCTIONS: dict[str, Rule] = {
    "chinese": _labeled(_CHINESE, "c"),
    "korean": _labeled(_KOREAN, "hangul", "hanja", "rr", "mr"),
}
