"""What templates show by the documentation of their own Wikipedia, where a rule once said otherwise."""

import pytest

from data.sources.wikipedia.wikitext import wikitext_to_text

SENTENCES = [
    ("en", "a {{lit|a cat|a cow}}, {{lit.|a hen}} or {{lit}} x",
     "a lit. ‘a cat’ or ‘a cow’, lit. ‘a hen’ or lit. x"),
    ("en", 'he "{{sic|sep|erate}}d {{sic}} it", {{sic|?|tooo}}, {{sic|hide=y|wi|sh}}',
     'he "seperate [sic]d [sic] it", tooo [sic?], wish'),
    ("en", "In {{ussc|347|483|1954|el=no}} and {{ussc|name=A v. B|volume=5|page=137|pin=140|year=1803}}.",
     "In 347 U.S. 483 (1954) and A v. B, 5 U.S. 137, 140 (1803)."),
    ("en", "({{lang-ru|Казань|Kazan|cauldron}}), ({{langx|fr|Rome|row}}) and {{langx|uk|Рим|translit=Rym}}.",
     "(Казань, romanized: Kazan, lit. ‘cauldron’), (Rome, lit. ‘row’) and Рим, romanized: Rym."),
    ("en", "A ({{age in years, months and days|1775|4|19|1783|9|3}}) is {{age in years|1901|7|9|1950|7|8}}.",
     "A is 48."),
    ("fr", "À ({{coréen|hangeul=서울|rr=Seoul}}), {{lang|ja|texte=大阪|trans=Ōsaka}}, {{lang|rtl|ar|قط}}",
     "À (서울, Seoul), 大阪 (Ōsaka), قط"),
    ("fr", "Il dit {{citation|texte=bonne nuit}} et {{citation étrangère|en|good night}}.",
     "Il dit « bonne nuit » et good night."),
    ("de", "Nach {{§|12|StGB|dejure}} StGB, {{Art.|3|GG|juris}} GG und {{§§|bgb|juris|text=dem BGB}}.",
     "Nach § 12 StGB, Art. 3 GG und dem BGB."),
    ("de", "Berg, {{Höhe|1800|NO}}, {{§|5|x|juris|text=§ 5 Satz 2}}.", "Berg, 1800 moh., § 5 Satz 2."),
    ("de", "Weblinks:\n\n{{Wikisource|Anna Beispiel}}\n* Heim", "Weblinks:\n\n- Heim"),
    ("es", "Mide {{esd|7 m}} y no 8{{esd}}km.", "Mide 7 m y no 8 km."),
    ("es", "El {{ord|4|.ª}} {{cita requerida|3 de mayo de 2011}} y {{ord|5|o}} día.", "El 4.ª y 5.º día."),
    ("pt", "A torre {{carece de fontes|geo-por|data=2011}} e{{carece de fontes|uma nota}} a ponte.",
     "A torre e a ponte."),
    ("pl", "Wersety {{wers bibl|Mk|4|9}} są.", "Wersety Mk 4:9 są."),
    ("ru", "Пекин ({{китайский|北京||Běijīng|Бэйцзин}}; {{китайский|упр=京}}) — город.",
     "Пекин (кит. трад. 北京, пиньинь Běijīng, палл. Бэйцзин; кит., упр. 京) — город."),
    ("uk", "м{{наголос|о}}ст", "мо́ст"),
    ("bg", "{{Източник|Мостът е най-стар}} тук. {{посочи източник|Той е от 1850 г.}}",
     "Мостът е най-стар тук. Той е от 1850 г."),
    ("cs", "Je {{Fakt/dne|20100304112233|velmi starý}} {{fakt/dne|20100304}} most.", "Je velmi starý most."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_a_template_shows_what_its_documentation_says(number):
    language, wikitext, text = SENTENCES[number]
    assert wikitext_to_text(wikitext, language=language) == text
