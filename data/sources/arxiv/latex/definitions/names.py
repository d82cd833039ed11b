"""Answers what a name means to a conditional: a flag, a number, a macro's value; and if it is defined."""

import re
from collections.abc import Mapping

from data.sources.arxiv.latex.definitions.kinds import Alias, Macro

_USES = re.compile(r"\\([A-Za-z@]++)")
_TESTS = re.compile(
    r"\\if(?:(?:defined|def|undef)\s*+\{?\s*+\\[A-Za-z@]++|x\s*+(?:\\@?undefined\s*+\\[A-Za-z@]++"
    r"|\\[A-Za-z@]++\s*+\\@?undefined(?![A-Za-z@])))"
)
# Names of TeX's engines and converters, which no paper defines.
_ENGINES = re.compile(r"pdf|lua|[Xx]e|direct|HCode|[eu]?p?TeX|Umath|tex4ht|LaTeXML|latexml|hevea|kanji|jisx")


class Names:
    """The names of a paper, up to the current position."""

    def __init__(
        self, flags: Mapping[str, bool | None], numbers: Mapping[str, int | None], text: str = ""
    ) -> None:
        self.macros: dict[str, Macro] = {}
        self.defined: set[str] = set()  # every name that the paper has defined
        self._flags, self._numbers, self._text = flags, numbers, text
        self._untested: str | None = None  # the text without tests
        self._used: set[str] | None = None  # control words in it

    def asked(self, name: str) -> bool | str | None:
        """What a name means to a conditional; with a backslash, whether it is defined."""
        if name[:1] == "\\":
            return self.is_defined(name[1:])
        if name in self._flags:
            return self._flags[name]
        if name in self._numbers:
            number = self._numbers[name]
            return None if number is None else str(number)
        macro = self.macros.get(name)
        is_known = macro and not macro.parameters.count and not isinstance(macro, Alias)
        return macro.literal.strip() if macro and is_known else None

    def is_defined(self, name: str) -> bool | None:
        """Whether the paper has defined a name; None if a package, or a part that is cut off, may have."""
        if name in self.defined:
            return True
        if not self._text:
            return None
        return None if self._is_used(name) or _ENGINES.match(name) else False

    def _is_used(self, name: str) -> bool:
        """Whether a control word occurs outside tests. Few papers ask twice, so first search for one."""
        if self._untested is None:
            self._untested = _TESTS.sub("", self._text)
            use = re.compile(rf"\\{re.escape(name)}(?![A-Za-z@])")
            return _USES.fullmatch("\\" + name) is not None and use.search(self._untested) is not None
        if self._used is None:
            self._used = set(_USES.findall(self._untested))
        return name in self._used
