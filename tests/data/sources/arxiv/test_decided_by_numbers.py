r"""Branches chosen by numbers, strings and defined names: `\ifcase`, counters, ifthen, etoolbox, xstring."""

import pytest

from tests.support.papers import section

COUNTER = "\\newcounter{v}\\setcounter{v}{2}"
CASES = [
    ("", "\\ifcase 1 no\\or yes\\or no\\else no\\fi"),
    ("", "\\ifcase 7 no\\or no\\else yes\\fi"),
    ("", "\\ifcase 2 no\\or \\ifcase 0 no\\or no\\fi\\or yes\\fi"),
    ("\\newcount\\which \\which=2", "\\ifcase\\which no\\or no\\or yes\\else no\\fi"),
    ("\\def\\which{1}", "\\ifcase\\which no\\or yes\\or no\\fi"),
    ("\\chardef\\which=0", "\\ifcase\\which yes\\or no\\fi"),
    ("\\newcount\\which\\which=1 \\advance\\which by 1", "\\ifnum\\which=2 yes\\else no\\fi"),
    ("\\newcount\\which\\which 3\\relax", "\\ifodd\\which yes\\else no\\fi"),
    (COUNTER, "\\ifnum\\value{v}=2 yes\\else no\\fi"),
    (COUNTER + "\\addtocounter{v}{3}", "\\ifnum\\value{v}>4 yes\\else no\\fi"),
    (COUNTER + "\\stepcounter{v}", "\\ifnum 3=\\value{v} yes\\else no\\fi"),
    ("\\newif\\ifa\\atrue", "\\unless\\ifa no\\else yes\\fi"),
    ("", "\\unless\\ifnum1=2 yes\\else no\\fi"),
    ("\\newcommand{\\one}[2]{\\if1#1#2\\else no\\fi}", "\\one{1}{yes}"),
    ("\\newcommand{\\one}[1]{\\ifnum#1=1 yes\\else no\\fi}", "\\one{1}"),
    ("\\newcommand{\\one}[1]{\\ifcase#1 no\\or yes\\else no\\fi}", "\\one{1}"),
    (COUNTER, "\\ifthenelse{\\value{v}=2}{yes}{no}"),
    ("\\newcommand{\\which}{arxiv}", "\\ifthenelse{\\equal{\\which}{arxiv}}{yes}{no}"),
    ("\\newcommand{\\which}{1}", "\\ifthenelse{\\which < 2}{yes}{no}"),
    ("", "\\ifthenelse{\\isodd{3}}{yes}{no}"),
    ("\\newboolean{one}\\newboolean{two}\\setboolean{one}{true}",
     "\\ifthenelse{\\boolean{one} \\and \\not\\boolean{two}}{yes}{no}"),
    ("\\newboolean{one}\\newboolean{two}", "\\ifthenelse{\\boolean{one}\\OR\\boolean{two}}{no}{yes}"),
    ("\\newboolean{one}", "\\ifthenelse{\\NOT\\(\\boolean{one} \\or 1=2\\)}{yes}{no}"),
    ("\\newcommand{\\which}{}", "\\ifthenelse{\\isundefined{\\which}}{no}{yes}"),
    ("\\makeatletter\\def\\which{}", "\\@ifundefined{which}{no}{\\@ifundefined{w}{yes}{no}}"),
    ("\\newcommand{\\which}{long}", "\\ifdefstring{\\which}{long}{\\ifcsstring{which}{short}{no}{yes}}{no}"),
    ("\\newcommand{\\which}{}", "\\ifdefempty{\\which}{\\ifdefvoid{\\which}{yes}{no}}{no}"),
    (COUNTER, "\\ifnumcomp{\\value{v}}{<}{3}{\\ifnumodd{\\value{v}}{no}{yes}}{no}"),
    (COUNTER, "\\ifnumequal{\\value{v}}{2}{\\ifnumgreater{1}{2}{no}{\\ifnumless{1}{2}{yes}{no}}}{no}"),
    ("\\newbool{a}\\booltrue{a}\\newtoggle{t}", "\\ifboolexpr{bool {a} and not togl {t}}{yes}{no}"),
    ("\\newcommand{\\which}{long}", "\\IfStrEq{\\which}{long}{yes}{no}"),
]  # fmt: skip


@pytest.mark.parametrize(("preamble", "text"), CASES)
def test_the_branch_that_is_true_is_read(preamble, text):
    assert section(preamble, text + ".") == "yes."


@pytest.mark.parametrize(
    ("preamble", "text"),
    [
        (
            "\\newcount\\which\\ifx\\p\\q\\which=1 \\fi",
            "\\ifnum\\which=1 a\\else b\\fi",
        ),  # set in an undecided branch
        ("\\newcount\\which\\newcommand{\\set}{\\advance\\which by 1}", "\\ifnum\\which=0 a\\else b\\fi"),
        ("\\newcounter{v}\\newtheorem{thm}[v]{Theorem}", "\\ifnum\\value{v}=0 a\\else b\\fi"),
        ("\\newcounter{v}[section]", "\\ifthenelse{\\value{v}=0}{a}{b}"),
        ("\\newcount\\which", "{\\which=1 x}\\ifnum\\which=1 a\\else b\\fi"),
        ("", "\\ifnum\\value{page}=1 a\\else b\\fi"),
        ("", "\\ifnum\\day>15 a\\else b\\fi"),
        ("", "\\ifthenelse{\\lengthtest{\\textwidth > 3in}}{a}{b}"),
        ("", "\\ifthenelse{\\equal{\\jobtitle}{x}}{a}{b}"),
        ("", "\\ifnum\\jobnumber=1 a\\else b\\fi"),
        ("", "\\unless\\ifvmode a\\else b\\fi"),
    ],
)
def test_what_the_paper_does_not_decide_is_kept(preamble, text):
    assert section(preamble, text) == text


def test_a_flag_after_an_undecided_inverted_conditional_is_still_known():
    text = "\\unless\\ifvmode a\\fi \\newif\\ifa\\atrue\\ifa yes\\else no\\fi"
    assert section("", text).endswith("yes")
