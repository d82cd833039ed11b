r"""The kinds of macros: what a call takes, and what its value is.

Most macros are a `Macro`: a body with places for arguments. The others differ in one thing each: `Alias` is
never expanded further, `Fence` can be sized by a call, and `Abbreviation` has another value before a period.
"""

from dataclasses import dataclass

from data.sources.arxiv.latex.definitions.signatures import Expected


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a call takes."""

    count: int = 0
    default: str | None = None  # default of the first, if optional
    delimiters: list[str] | None = None  # \def's: before the first argument, then after each
    expected: list[Expected] | None = None  # of \NewDocumentCommand: argument by argument

    def __bool__(self) -> bool:
        return bool(self.count or self.delimiters)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a body does besides showing text and arguments; most do nothing of this."""

    is_conditional: bool = False  # tests flags, numbers or arguments (\if…)
    has_tests: bool = False  # tests something with branches as arguments (\ifthenelse)
    asks: bool = False  # asks whether arguments are given or blank (\IfBooleanTF, \IfBlankTF)
    peeks: bool = False  # chooses by what follows a call (\@ifnextchar, \@ifstar)
    has_romans: bool = False  # writes an argument as a Roman numeral
    keeps: bool = False  # shows an argument unexpanded (\detokenize)
    defines: bool = False  # defines macros or has groups: it is read as text where it is called
    may_program: bool = False  # some of its branches do what cannot be expanded


NOTHING, PLAIN = Parameters(), Traits()


@dataclass(slots=True)
class Macro:
    """A macro whose value is its body: literal pieces, with argument numbers between them."""

    body: list[str | int]
    parameters: Parameters = NOTHING
    traits: Traits = PLAIN
    spaced: bool = False  # its value has \xspace

    @property
    def literal(self) -> str:
        """The value of a macro without arguments."""
        return "".join(piece for piece in self.body if isinstance(piece, str))


@dataclass(slots=True)
class Alias(Macro):
    r"""\let to a name that is not the author's, which is its value and is never expanded further."""


@dataclass(slots=True)
class Fence(Macro):
    r"""\DeclarePairedDelimiter: a star or a size after its name is for its second and last but one piece."""


@dataclass(slots=True)
class Abbreviation(Macro):
    """A macro that adds a period unless one follows; then its value is another."""

    before_dot: str = ""


# The kernel's macros that pick arguments (source2e, ltdefns).
PICKS = {
    "@gobble": Macro([], Parameters(1)),
    "@gobbletwo": Macro([], Parameters(2)),
    "@gobblefour": Macro([], Parameters(4)),
    "@firstofone": Macro([1], Parameters(1)),
    "@firstoftwo": Macro([1], Parameters(2)),
    "@secondoftwo": Macro([2], Parameters(2)),
    "empty": Macro([]),
    "@empty": Macro([]),
}
