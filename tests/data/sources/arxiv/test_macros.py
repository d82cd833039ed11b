"""Macros become their values, within bounds."""

import pytest

from data.sources.arxiv.latex.macros import expand
from tests.support.papers import body


def expanded(text: str) -> str:
    return expand(text)[0]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("\\hat\\bx", "\\hat{\\mathbf{x}}"),
        ("a\\\\\\tilde \\bx", "a\\\\\\tilde {\\mathbf{x}}"),
        ("\\frac\\bx\\bx", "\\frac{\\mathbf{x}}{\\mathbf{x}}"),
        ("\\tfrac{a\\bx}\\bx\\bx", "\\tfrac{a\\mathbf{x}}{\\mathbf{x}}\\mathbf{x}"),
        ("\\frac12\\bx", "\\frac12\\mathbf{x}"),
        ("\\sqrt[3]\\bx", "\\sqrt[3]{\\mathbf{x}}"),
        ("\\textbf\\na. \\cite[a]\\na", "\\textbf{NA}. \\cite[a]{NA}"),
        ("\\emph\\na\\ \\emph{\\na}", "\\emph{NA}\\ \\emph{NA}"),
        ("\\hx\\on\\bx\\on x", "\\hat{\\mathbf{x}}\\bar{\\mathbf{x}}\\bar x"),
        ("\\bar\\vv{x}", "\\bar{\\mathbf{x}}"),
        # What TeX expands before it looks for a group, and values that are one token.
        ("\\hat\\al_\\bx^\\bx\\hatted\\bx", "\\hat\\alpha_\\mathbf{x}^\\mathbf{x}\\hatted\\mathbf{x}"),
        ("\\bar\\one\\bar\\grouped", "\\bar1\\bar{x+y}"),
        ("\\emph\\none{x}", "\\emph{}{x}"),
    ],
)
def test_a_value_that_is_an_argument_without_braces_is_all_of_it(source, left):
    """TeX takes one token, the macro, as the argument."""
    definitions = "\\newcommand{\\bx}{\\mathbf{x}}\\def\\na{NA}\\newcommand{\\hx}{\\hat\\bx}"
    definitions += (
        "\\def\\al{\\alpha}\\def\\one{1}"
        "\\newcommand{\\on}[1]{\\bar#1}\\newcommand{\\vv}[1]{\\mathbf{#1}}\\def\\grouped{{x+y}}\\def\\none{}"
    )
    assert body(f"{definitions}\\section{{A}}\n{source}") == f"\\section{{A}}\n{left}\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\\newcommand{\\R}{\\mathbb{R}}\n$x\\in\\R^n$", "$x\\in\\mathbb{R}^n$"),
        ("\\newcommand\\R{\\mathbb R}$\\R$ \\Real", "$\\mathbb R$ \\Real"),
        ("\\newcommand*{\\R}[0]{r}\\R", "r"),
        ("\\newcommand{\\pair}[2]{(#1, #2)}\\pair{a}{b}\\pair ab\\pair{a} \\c", "(a, b)(a, b)(a, \\c)"),
        ("\\newcommand{\\norm}[2][2]{\\|#2\\|_{#1}}\\norm{x}\\norm[p]{x}", "\\|x\\|_{2}\\|x\\|_{p}"),
        ("\\newcommand{\\o}[1][a{]}b]{<#1>}\\o[{]}] \\o", "<]> <a{]}b>"),
        ("\\newcommand{\\no}{\\#1}\\newcommand{\\row}[2]{#1\\\\#2}\\no; \\row{a}{b}", "\\#1; a\\\\b"),
        ("\\renewcommand{\\vec}[1]{\\mathbf{#1}}\\vec{a}\\vec b", "\\mathbf{a}\\mathbf{b}"),
        ("\\providecommand{\\a}{1}\\providecommand{\\a}{2}\\a", "1"),
        ("\\DeclareRobustCommand{\\a}{1}\\a", "1"),
        ("\\def\\eps{\\varepsilon}$\\eps$ $\\epsilon$", "$\\varepsilon$ $\\epsilon$"),
        ("\\def\\at#1#2{#1_{#2}}\\at x{12}", "x_{12}"),
        ("\\long\\def\\a{1}\\global \\long \\def\\b{2}\\a\\b", "12"),
        ("\\def\\frac#1/#2;{{#1 \\over #2}}\\frac 1/{2;};", "{1 \\over 2;}"),
        ("\\def\\v(#1){[#1]}\\v(a) \\v b", "[a] \\v b"),
        (
            "\\DeclareMathOperator{\\tr}{tr}\\DeclareMathOperator*{\\am}{arg\\,min}\\tr\\am",
            "\\operatorname{tr}\\operatorname*{arg\\,min}",
        ),
        ("{\\it IRAS}\\xspace is \\emph{x}\\xspace(y)\\xspace.", "{\\it IRAS} is \\emph{x} (y)."),
        (
            "\\newcommand{\\this}{emcee\\xspace}\\this is \\this. \\this\\cite{a}",
            "emcee is emcee. emcee \\cite{a}",
        ),
        ("\\newcommand{\\a}{x\\b}\\newcommand{\\b}{y}\\a", "xy"),  # read at the use
        ("\\newcommand{\\b}[1]{<#1>}\\newcommand{\\a}{\\b}\\a{x}", "<x>"),  # arguments from outside
        ("\\makeatletter\\let\\hide\\@gobble\\makeatother a\\hide{old}b", "\\makeatletter\\makeatother ab"),
        (
            "\\makeatletter\\def\\hide{\\@gobbletwo}\\makeatother a\\hide{b}{c}d",
            "\\makeatletter\\makeatother ad",
        ),
        (
            "\\makeatletter\\newcommand\\one{\\@firstoftwo}\\makeatother\\one{a}{b}",
            "\\makeatletter\\makeatother a",
        ),
        ("\\makeatletter\\let\\all=\\@firstofone\\makeatother\\all{a b}", "\\makeatletter\\makeatother a b"),
        ("\\newcommand{\\b}[1]{<#1>}\\b{\\b{a}\\b{\\b b}}", "<<a><<b>>>"),
        ("\\let\\e\\epsilon\\e x", "\\epsilon x"),
        # Commands that are short for a definition's.
        (
            "\\newcommand{\\nc}{\\newcommand}\\nc{\\R}{\\mathbb{R}}\\nc\\f[1]{f(#1)}\\R\\f x",
            "\\mathbb{R}f(x)",
        ),
        ("\\def\\nc{\\newcommand*}\\let\\rnc=\\renewcommand\\nc{\\a}{1}\\rnc{\\a}{2}\\a", "2"),
        (
            "\\let\\df\\def\\let\\op\\DeclareMathOperator\\df\\f#1.{<#1>}\\op\\tr{tr}\\f a.\\tr",
            "<a>\\operatorname{tr}",
        ),
        ("\\let\\nc\\newcommand\\let\\d\\nc\\d{\\a}{1}\\def\\d{D}\\a\\d", "1D"),
        ("\\input amstex \\define\\f#1{f(#1)}\\redefine\\o{\\bar o}\\f x\\o", "\\input amstex f(x)\\bar o"),
        ("\\newcommand{\\define}[1]{<#1>}\\define{a} \\redefine\\b{c}", "<a> \\redefine\\b{c}"),
        ("\\newcommand{\\a}{1}\\let\\b=\\a\\renewcommand{\\a}{2}\\a\\b", "21"),
        ("\\let\\old\\emph\\renewcommand{\\emph}[1]{\\old{\\bf #1}}\\emph{a}", "\\emph{\\bf a}"),
        ("\\newcommand{\\a}{é}\\newcommand{\\b}[1]{中#1}\\a\\b{ü}", "é中ü"),  # raises in RedPajama
        ("\\newcommand{\\a}{\\1 \\g<0> \\n $0 &}\\a", "\\1 \\g<0> \\n $0 &"),  # no regex template
        (
            "\\newcommand{\\be}{\\begin{equation}}\\newcommand{\\ee}{\\end{equation}}\\be x\\ee",
            "\\begin{equation} x\\end{equation}",
        ),
        ("\\newcommand{\\a}{\\alpha}\\newcommand{\\b}[1]{\\hat#1}\\b x\\b\\a y", "\\hat x\\hat\\alpha y"),
        ("\\newcommand{\\a}{I}\\bf\\a\\\\am", "\\bf I\\\\am"),
        ("\\def\\1{\\alpha}\\1x", "\\alpha x"),
        (
            "\\newcommand{\\code}{code}The \\code s and \\code\\ and \\code{}",
            "The codes and code\\ and code{}",
        ),
        ("\\newcommand{\\Ms}{\\ifmmode M_\\odot\\else$M_\\odot$\\fi}\\Ms", "\\ensuremath{M_\\odot}"),
        (
            "\\def\\kms{\\ifmmode{\\rm km\\,s}^{-1} \\else km\\,s$^{-1}$\\fi}9 \\kms, $9\\kms$",
            "9 \\ensuremath{{\\rm km\\,s}^{-1}}, $9\\ensuremath{{\\rm km\\,s}^{-1}}$",
        ),
        (
            "\\newcommand{\\m}{\\ \\relax{\\ifmmode\\rm m\\ \\else m \\fi}\\ }5\\m",
            "5\\ \\relax{\\ensuremath{\\rm m\\ }}\\ ",
        ),
        ("\\def\\la{\\relax\\ifmmode<\\else$\\lt$\\fi}\\la", "\\ensuremath{<}"),
        ("\\def\\eqref#1{equation~\\ref{#1}}see \\eqref{a}", "see equation~\\ref{a}"),
        (
            "\\let\\old\\eqref\\renewcommand{\\eqref}[1]{Eq.~\\old{#1}}see \\eqref{a}",
            "see Eq.~\\eqref{a}",
        ),
        ("\\newcommand{\\a}{\n  x\n}[\\a]", "[x]"),
        # \@ sets a space; other names with @ are programs, and an @ in text is one
        ("\\newcommand{\\eg}{e.g.\\@\\xspace}\\eg x (\\eg)", "e.g.\\@ x (e.g.\\@)"),
        ("\\def\\ie{i.e.\\@}\\newcommand{\\mail}{me@x.org}\\ie, \\mail", "i.e.\\@, me@x.org"),
        ("a\n\\def\\x{1}\n\\def\\y{2} \\def\\z{3}\nb", "a\nb"),  # their lines are removed too
        ("{\\def\\x{1}\\x}\\def\\x{2}\\x", "{1}2"),
        ("\\def\\a\n{1}\\a\\newcommand *{\\b}{2}\\b", "12"),
        (
            "\\newcommand{\\w}[1]{<#1>}\\let\\old\\emph\\def\\emph#1{\\old{\\bf #1}}\\w{\\w{\\emph{a}}}",
            "<<\\emph{\\bf a}>>",  # a value inside values is not expanded again
        ),
        ("\\def\\a{[1]}\\item\\a \\\\\\a", "\\item{}[1] \\\\{}[1]"),
        (
            "\\def\\a{x}\\newcommand{\\b}[2]{<#1|#2>}so \\expandafter\\b\\expandafter{\\a}{y}",
            "so <x|y>",
        ),
        (
            "\\def\\a{x}\\expandafter\\expandafter\\expandafter\\textbf\\expandafter\\expandafter\\expandafter{\\a}.",
            "\\textbf{x}.",
        ),
        (
            "\\expandafter\\ifx\\expandafter{\\c}\\expandafter\\def",
            "\\expandafter\\ifx\\expandafter{\\c}\\expandafter\\def",
        ),
        ("\\NewDocumentCommand{\\p}{O{2} m +m}{#1#2#3}\\p{a}{b}\\p[c]de", "2abcde"),
        ("\\newcommand{\\a}[1][x]{<#1>}{\\a[}{]}", "{<x>[}{]}"),  # the group ends before its ]
        ("\\def\\n{\\\\}\\n[2pt]", "\\\\[2pt]"),
        ("\\renewcommand{\\figurename}{Fig}\\figurename", "\\renewcommand{\\figurename}{Fig}Fig"),
    ],
)
def test_macros_become_their_values(text, left):
    assert expanded(text) == left


@pytest.mark.parametrize(
    "definitions",
    [
        "\\DeclareRobustCommand\\onedot{\\futurelet\\@let@token\\@onedot}\\def\\eg{\\emph{e.g}\\onedot}",
        "\\newcommand*{\\eg}{\n  \\@ifnextchar{.}\n  {\\emph{e.g}}\n  {\\emph{e.g}.\\xspace}\n}",
        "\\def\\eg{\\emph{e.g}\\@ifnextchar.{}{.}\\xspace}",
    ],
)
def test_an_abbreviation_ends_in_one_period(definitions):
    text = f"\\makeatletter{definitions}\\makeatother"
    text += "\\eg one (\\eg, two), \\eg. \\textbf{\\eg.} \\eg\\cite{a}"
    left = "\\emph{e.g}. one (\\emph{e.g}., two), \\emph{e.g}. \\textbf{\\emph{e.g}.} \\emph{e.g}. \\cite{a}"
    assert expanded(text) == "\\makeatletter\\makeatother" + left


def test_in_the_body_a_group_keeps_its_definitions_to_itself():
    text = "\\newcommand{\\x}{1}\\section{A}\\x{\\renewcommand{\\x}{2}\\x}\\x"
    text += "\\begin{it}\\def\\x{3}\\x\\end{it}\\x"
    assert body(text) == "\\section{A}1{2}1\\begin{it}3\\end{it}1\n"
    assert body("\\def\\x{1}\\section{A}{\\gdef\\x{2}}\\x") == "\\section{A}{}2\n"


@pytest.mark.parametrize("defines", ["\\gdef\\x{2}", "\\global\\def\\x{2}", "\\global\\long\\def\\x{2}"])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("{\\x!\\x}\\x", "{12}2"),
        ("{\\def\\x{3}{!\\x}\\x}\\x", "{{2}2}2"),
        ("{\\def\\x{3}!\\def\\x{4}\\x}\\x{\\def\\x{5}\\x}\\x", "{4}2{5}2"),
        ("{\\def\\x{3}{!\\def\\x{4}{\\def\\x{5}\\x}\\x}\\x}\\x", "{{{5}4}2}2"),
        ("{\\def\\y{3}{!}\\def\\y{4}{\\def\\x{5}\\x}\\x}\\x", "{{}{5}2}2"),
    ],
)
def test_a_global_definition_outlives_all_groups(defines, text, left):
    assert body("\\def\\x{1}\\section{A}" + text.replace("!", defines)) == f"\\section{{A}}{left}\n"


def test_a_name_that_is_shown_is_not_its_macro():
    text = "\\newcommand{\\x}{1}\\newcommand{\\code}[1]{\\texttt{#1}}\\begin{document}"
    shown = "\\texttt{\\string\\x}, \\meaning \\x; "
    assert expanded(f"{text}{shown}\\code{{\\string\\x}}\\x") == (
        f"\\begin{{document}}{shown}\\texttt{{\\string\\x}}1"
    )


@pytest.mark.parametrize(
    "defines", ["\\let\\expandafter\\y\\csname\\string\\z\\endcsname", "\\def\\expandafter\\y#1{}"]
)
def test_what_is_expanded_first_is_not_defined(defines):
    text = f"\\expandafter{defines}\\begin{{document}}\\section{{A}} \\expandafter\\textbf\\expandafter{{x}}"
    assert body(text) == "\\section{A} \\textbf{x}\n"


def test_noexpand_keeps_a_macro_for_later():
    text = "\\def\\x{1}\\def\\y{2}\\edef\\z{\\x\\noexpand\\y}\\def\\x{3}\\def\\y{4}\\begin{document}\\z"
    assert expanded(text) == "\\begin{document}14"


def test_groups_by_name_end_where_their_own_name_ends_them():
    text = "\\begin{document}\\def\\a{1}\\begingroup\\def\\a{2}\\bgroup\\def\\a{3}\\a\\egroup\\a\\endgroup\\a"
    assert expanded(text) == "\\begin{document}\\begingroup\\bgroup3\\egroup2\\endgroup1"
    hidden = "\\begin{document}\\def\\o{\\bgroup\\bf}{\\def\\a{2}\\o x\\egroup\\a}"
    assert expanded(hidden).endswith("x\\egroup2}")


def test_a_short_name_for_a_definition_ends_with_its_group():
    text = "\\begin{document}{\\let\\d\\def\\d\\x{in}\\x}\\d\\x{o}"
    assert expanded(text).endswith("{in}\\d\\x{o}")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\\def\\a{1}\\edef\\b{\\a}\\def\\a{2}\\b\\a", "12"),
        ("\\def\\a{1}\\edef\\a{\\a,2}\\xdef\\a{\\a,3}\\a", "1,2,3"),
        ("\\newif\\ifd\\dtrue\\edef\\a{\\ifd y\\else n\\fi}\\dfalse\\a", "y"),
        ("\\edef\\a#1{<#1>}\\a{1}", "<1>"),
        ("\\def\\a{1}\\appto\\a{2}\\preto\\a{0}\\a", "012"),
        ("\\def\\a{1}\\def\\b{x}\\appto\\b{\\a}\\eappto\\b{\\a}\\def\\a{2}\\b", "x21"),
        ("\\def\\b{x}\\csappto{b}{y}\\cspreto{b}{z}{\\cseappto{b}{1}}\\csxpreto{b}{2}\\b", "{}2zxy"),
        ("\\def\\b{x}\\xpretocmd{\\b}{y}{}{}\\xpatchcmd\\b{x}{z}{}{}\\addto\\b{!}\\b", "yz!"),
        ("\\def\\a{1}{\\appto\\a{2}\\a}\\gappto\\a{3}\\a", "{12}13"),
        (
            "\\makeatletter\\let\\a\\@empty\\g@addto@macro\\a{1}\\makeatother\\a",
            "\\makeatletter\\makeatother1",
        ),
        ("\\newcommand{\\a}[2][d]{(#1#2)}\\apptocmd{\\a}{!#2}{}{}\\pretocmd\\a{.}{}{}\\a{1}", ".(d1)!1"),
        ("\\def\\a{one}\\patchcmd{\\a}{ne}{nly}{}{}\\patchcmd{\\a}{x}{y}{}{\\b}\\a", "only"),
        ("\\def\\a{1}\\apptocmd{\\a}{\\ifx}{}{}\\a", "\\apptocmd{\\a}{\\ifx}{}{}1"),
        ("\\appto\\maketitle{1}\\maketitle", "\\appto\\maketitle{1}\\maketitle"),
        ("\\newcommand{\\preto}[1]{<#1>}\\preto{1}", "<1>"),
    ],
)
def test_a_macro_is_what_its_changes_make_of_it(text, left):
    assert expanded("\\begin{document}" + text) == "\\begin{document}" + left


def test_a_macro_that_doubles_itself_stays_within_bounds():
    assert len(expanded("\\def\\a{x}" + "\\edef\\a{\\a\\a}" * 60 + "\\a")) < 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "\\renewcommand{\\section}[1]{\\par{\\bf #1}}\\section{A}",
        "\\def\\paragraph#1{#1:}\\paragraph{A}",
        "\\newenvironment{p}[1][x]{\\begin{quote}\\a}{\\end{quote}}\\begin{p}\\end{p}",
        "\\newcommand{\\a}[1]{\\@for\\x:=#1\\do{\\x}}\\a{1}",
        "\\newcommand{\\a}{\\ifdraft x\\else y\\fi}\\a",
        "\\newcommand{\\a}[1]{\\expandafter\\b\\csname #1\\endcsname}\\a{1}",
        "\\newcommand{\\a}[1]{\\def\\b##1{##1 #1}\\setbox0=\\hbox{}}\\a{1}",
        "\\def\\a#1\\end{x#1}\\a 1\\end",
        "\\newcommand{\\a}[1]{#2}\\a{1}",
        "\\newcommand{\\a}{never closed \\a",
        "\\let\\a=x\\a",
        "\\newcommand{\\a}[1]{\\appto\\b{#1}}\\a{1}",
        "\\NewDocumentCommand{\\a}{m}{ \\clist_map_function:nN {#1} \\emph }\\a{1,2}",
        "\\NewDocumentCommand{\\a}{m}{ \\tl_set:Nn \\l_my_tl {#1} \\tl_use:N \\l_my_tl }\\a{1}",
    ],
)
def test_code_that_programs_or_redefines_latex_is_left_alone(text):
    assert expanded(text) == text


def test_a_macro_with_an_unreadable_redefinition_is_no_longer_expanded():
    assert expanded("\\def\\a{1}\\a\\def\\a{\\ifx}\\a") == "1\\def\\a{\\ifx}\\a"


def test_a_call_with_a_missing_argument_is_unchanged():
    text = "\\newcommand{\\a}[2]{<#1#2>}"
    for call in ("{\\a{1}}", "\\a{1}", "$\\a$", "\\a{1}{never closed", "\\a{1}\n\n{2}\n\n\n"):
        assert expanded(text + call).endswith(call[-8:])
