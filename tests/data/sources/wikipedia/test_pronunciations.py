"""A pronunciation in brackets is dropped with its label; names, dates and signs around it stay."""

import pytest

from data.sources.wikipedia.wikitext import wikitext_to_text

SENTENCES = [
    # labels with a colon, in one word, links, between signs
    ("en", "Oslo (UK: {{IPAc-en|ɒ}}, US: {{IPAc-en|ɑː}}) is here.", "Oslo is here."),
    ("en", "Oslo ([[Help:IPA|Urban East Norwegian]]: {{IPA|no|uʂlu|}}; locally {{IPA|no|x}}; old) is.",
     "Oslo (old) is."),
    ("en", "Oslo (pronounced {{respell|OZ|loh}}<ref>x</ref>; founded 1040) is.", "Oslo (founded 1040) is."),
    ("en", "Oslo (/{{IPA|ɒ}}/) and Bergen ([{{IPA|b}}] {{audio|b.ogg|listen}}, old) are.",
     "Oslo and Bergen (old) are."),
    ("de", "Oslo ([{{IPA|ʊ}}], norwegisch; Aussprache: [{{IPA|u}}]) liegt.", "Oslo (norwegisch) liegt."),
    ("de", "Oslo (norwegisch ''Oslo'' {{Audio|o.ogg|anhören}}) liegt.", "Oslo (norwegisch Oslo) liegt."),
    ("es", "Oslo (AFI: {{AFI|o}}; pronunciado {{AFI|[o]}}; en noruego: ''Oslo'') es.",
     "Oslo (en noruego: Oslo) es."),
    ("fr", "Oslo (prononcé {{API|o}} ; en norvégien : {{prononciation|o}}, la ville) est.",
     "Oslo (la ville) est."),
    ("ru", "Осло (произносится [{{IPA|u}}]; столица) — город.", "Осло (столица) — город."),
    # what comes before is no label
    ("en", "A pool (Norwegian: {{lang|no|kulp}} {{IPA|no|k}}; ''kolk'' {{IPA|x}}) is.",
     "A pool (Norwegian: kulp; kolk) is."),
    ("ru", "Пруд ({{lang-en|pond}} {{МФА|p}}; {{lang-de|teich}} [{{IPA|t}}]) есть.",
     "Пруд (англ. pond; нем. teich) есть."),
    ("en", "A pool (said \"pool\" {{IPAc-en|p}}, from Old English {{IPA|x}}) is.",
     "A pool (said \"pool\", from Old English) is."),
    ("en", "The sign [{{IPA|x}}] is read {{IPA|y}}, as here.", "The sign [x] is read y, as here."),
    # in brackets, a period or a semicolon does not end a sentence
    ("ru", "Ян (род. {{дт|3|7|1850}}, Минск; {{дт|4|8|1900}}, Рига) пел.",
     "Ян (род. 3 июля 1850, Минск; 4 августа 1900, Рига) пел."),
    ("uk", "Ян (*{{xyz|3|7|1850}} — †{{xyz|4|8|1900}}) співав.",
     "Ян (*3 липня 1850 — †4 серпня 1900) співав."),
    ("en", "It ended. {{xyz|Kim}}, he said; {{xyz|Lee}}, too.", "It ended., he said, too."),
    # signs and abbreviations as names
    ("uk", "Ян ({{н.}} 1850 — {{†}} 1900) співав.", "Ян (н. 1850 — † 1900) співав."),
    ("fr", "Des ponts, {{etc.}}, {{c.-à-d.}} ceci.", "Des ponts, etc., c.-à-d. ceci."),
    ("pl", "W ustawie {{§|5}} i {{§§|7}} są.", "W ustawie § 5 i §§ 7 są."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_a_bracket_has_no_label_without_its_sound(number):
    language, wikitext, text = SENTENCES[number]
    assert wikitext_to_text(wikitext, language=language) == text
