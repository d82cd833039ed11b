r"""Text that the author switched off is left out, as by TeX; undecidable conditionals are kept."""

import re
import shutil
import subprocess

import pytest

from data.sources.arxiv.recipe import clean_latex
from tests.support.papers import body

CASES = [
    ("\\if 0\nold\n\\fi\nKept.", "Kept."),
    ("\\if0 old\\else new\\fi.", "new."),
    ("\\if11 new\\fi.", "new."),
    ("\\iftrue new\\else old\\fi.", "new."),
    ("\\iffalse old \\iftrue x\\else y\\fi\\else new\\fi.", "new."),
    ("\\iftrue a\\iffalse old\\fi b\\else c\\fi.", "ab."),
    ("\\ifnum1=0 old\\else new\\fi.", "new."),
    ("\\ifnum 2>1 new\\fi.", "new."),
    ("\\newif\\iflong\\iflong old\\else new\\fi.", "new."),
    ("\\newif\\iflong\\longtrue\\iflong new\\else old\\fi.", "new."),
    ("\\newif\\ifa\\newif\\ifb\\atrue\\ifa x\\ifb old\\else y\\fi\\else old\\fi.", "xy."),
    ("\\newif\\ifa{\\atrue\\ifa x\\fi}\\ifa old\\fi.", "{x}."),
    ("\\let\\ifa\\iffalse\\ifa old\\fi Kept.", "Kept."),
    ("\\newif\\ifa\\newcommand{\\only}[1]{\\ifa#1\\fi}\\only{old}Kept\\atrue\\only{new}.", "Keptnew."),
]


def plain(text: str) -> str:
    text = re.sub(
        r"\\(?:newif|let|section)?\\?(?:if[a-z]+|iffalse|[a-z]+true|[a-z]+false)(?![a-z])", "", text
    )
    return "".join(text.replace("\\newif", "").replace("\\let", "").replace("\\section{A}", "").split())


@pytest.mark.parametrize(("text", "kept"), CASES)
def test_the_chosen_branch_of_a_conditional_is_kept(text, kept):
    assert plain(body("\\section{A}\n" + text)) == "".join(kept.split())


BLANKS = [
    ("a\\iffalse old\\fi b", "ab"),
    ("a \\iftrue b\\fi  c \\iffalse old\\fi\nd.", "a bc \nd."),
    ("\\alpha\\iffalse old\\fi b.", "\\alpha b."),
    ("A\\iftrue \\alpha\\fi b.", "A\\alpha b."),
    ("x\\if00 a\\fi b.", "x ab."),
]


@pytest.mark.parametrize(("text", "kept"), BLANKS)
def test_blanks_after_a_conditional_s_words_are_not_read(text, kept):
    assert body("\\section{A}\n" + text) == f"\\section{{A}}\n{kept}\n"


def test_blanks_after_a_branch_in_braces_are_text():
    text = "\\newtoggle{x}\\toggletrue{x}\\section{A}\na \\iftoggle{x}{ b}{ c} d."
    assert body(text).endswith("\na  b d.\n")


# In a kept branch, pandoc takes an inner conditional's \else for the outer one's; TeX does not.
PANDOC = [
    text for text, _ in CASES if ("\\newif" in text or "\\iftrue" in text) and "\\newif\\ifb" not in text
]


@pytest.mark.skipif(shutil.which("pandoc") is None, reason="pandoc is not installed")
@pytest.mark.parametrize("text", PANDOC)
def test_pandoc_reads_the_cleaned_text_as_the_original(text):
    def words(latex: str) -> list[str]:
        run = subprocess.run(
            ["pandoc", "-f", "latex", "-t", "plain"], input=latex, capture_output=True, text=True, check=True
        )
        return run.stdout.split()

    assert words(text) == words(clean_latex("\\section{A}\n" + text).partition("\n")[2])


@pytest.mark.parametrize(
    "text",
    [
        "\\ifdefined\\pdfoutput a\\else b\\fi",
        "\\ifx\\x\\y a\\else b\\fi",
        "\\ifunknown a\\else b\\fi",
        "\\if\\x\\y a\\fi",
    ],
)
def test_undecidable_conditionals_are_kept(text):
    assert body("\\section{A}\n" + text) == f"\\section{{A}}\n{text}\n"


def test_a_flag_set_in_an_undecidable_branch_is_unknown():
    text = "\\newif\\ifa\\ifx\\x\\y\\atrue\\else\\afalse\\fi\n\\ifa a\\else b\\fi"
    assert "\\ifa a\\else b\\fi" in body("\\section{A}\n" + text)


def test_naming_a_conditional_hides_nothing():
    text = "\\let\\ifdraft\\iffalse\n\\newif\\ifx\nText.\n\\section{A}\n\\ifdraft old\\fi Kept."
    assert "Kept." in body(text) and "old" not in body(text)


def test_toggles_and_booleans_choose_their_argument():
    text = "\\newtoggle{long}\\newbool{full}\\setbool{full}{true}\\newboolean{x}\n\\section{A}\n"
    text += "\\iftoggle{long}{old}{one}\\ifbool{full}{two}{old}\\ifthenelse{\\boolean{x}}{old}{three}"
    assert body(text) == "\\section{A}\nonetwothree\n"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("One.\n\\drafttrue\nTwo.", "One.\nTwo."),
        ("One. \\draftfalse two. {\\drafttrue three.}", "One. two. {three.}"),
        ("One.\n\\newif\\iflong\n\\newif{\\ifshort}\n\\global\\longtrue\nTwo.", "One.\nTwo."),
        ("\\alpha\\drafttrue b, $x \\draftfalse y$", "\\alpha b, $x y$"),
        ("\\newcommand\\final{\\draftfalse}One. \\final{}Two.", "One. {}Two."),
        ("One \\newtoggle{a}\\toggletrue{a}\\setbool{b}{true}two.", "One two."),
        ("\\newbool{c}\n\\booltrue{c}\nOne.", "One."),
        ("\\verb|\\drafttrue| One.", "\\verb|\\drafttrue| One."),
        ("\\ifx\\x\\y\\drafttrue\\fi One.", "\\ifx\\x\\y\\drafttrue\\fi One."),  # undecided: it stays
    ],
)
def test_a_command_that_sets_a_flag_prints_nothing(text, printed):
    assert body(f"\\newif\\ifdraft\n\\section{{A}}\n{text}") == f"\\section{{A}}\n{printed}\n"


BRANCHES = "\\iffieldundef{doi}{{\\bf a}}{b}"


def test_a_test_with_its_branches_as_arguments_has_no_end():
    text = f"\\newcommand*{{\\one}}{{{BRANCHES}}}\\renewbibmacro*{{x}}{{{BRANCHES}}}"
    text += "\\newif\\ifa\\atrue\n\\section{A}\n"
    assert body(f"{text}\\ifa new\\else old\\fi.") == "\\section{A}\nnew.\n"
    assert body(f"\\section{{A}}\n\\iffalse old {BRANCHES} old\\fi New.") == "\\section{A}\nNew.\n"
    assert body("\\section{A}\n\\iffalse \\ifinner a\\fi old\\fi New.") == "\\section{A}\nNew.\n"
    assert body("\\newif\\ifa\n\\section{A}\n\\ifa{old}{old}\\else new\\fi.") == "\\section{A}\nnew.\n"


@pytest.mark.parametrize("hides", ["\\iffalse", "\\ifb"])
def test_a_flag_before_two_groups_has_an_end_within_what_is_left_out_too(hides):
    text = f"\\newif\\ifa\\newif\\ifb\n\\section{{A}}\n{hides} \\ifa{{\\bf old}} {{old}}\\fi old\\fi New."
    assert body(text) == "\\section{A}\nNew.\n"


def test_a_subfile_is_not_typeset_alone():
    text = "\\section{A}\n\\ifSubfilesClassLoaded{\\bibliography{x}}{New}."
    assert body(f"\\usepackage{{subfiles}}\n{text}") == "\\section{A}\nNew.\n"
    alone = f"\\documentclass[main]{{subfiles}}\n\\begin{{document}}\n{text.replace('bibliography', 'label')}"
    assert clean_latex(alone) == "\\section{A}\n\\label{x}.\n"
