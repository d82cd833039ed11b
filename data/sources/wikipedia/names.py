"""The names that tell the kind of a link or tag: namespaces, languages, HTML tags, MediaWiki's extensions.

templates/languages/magic_words.tsv has MediaWiki 1.39's names of namespaces, functions and the like in the
paper's languages (its languages/messages): a name of ours and a tab, then the names there, in any language.
"""

from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).parent / "templates" / "languages" / "magic_words.tsv"


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ROWS = (line.split("\t") for line in _TABLE.read_text(encoding="utf-8").splitlines())
NAMES = {kind: words(row) for kind, row in _ROWS}
FILES, MEDIA, CATEGORIES = NAMES["file"], NAMES["media"], NAMES["category"]  # MEDIA: links to a file itself
MAGIC_WORDS = NAMES["switch"]  # __NOTOC__ and the like, in lower case
TITLES = NAMES["title"]  # {{PAGENAME}}

# Wikipedia's languages: a bare link to one of them is not part of the text.
LANGUAGES = words(
    """
    aa ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban
    bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca
    cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv
    dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd
    gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia
    iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kj kk kl
    km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt
    ltg lv mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mos mr mrj ms mt mus mwl my myv mzn na
    nah nan nap nb nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag
    pam pap pcd pcm pdc pdt pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru
    rue rw sa sah sat sc scn sco sd se sg sgs sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss
    st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tok tpi tr trv ts tt tum
    tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh
    zh-classical zh-min-nan zh-yue zu
    """
)

# Tags whose content is not wikitext, or is dropped.
VERBATIM = {"nowiki", "pre", "syntaxhighlight", "source"}
FORMULAS = {"math", "chem", "ce"}
DROPPED = words(
    """
    ref gallery references score timeline imagemap hiero templatestyles graph chart mapframe maplink
    inputbox templatedata categorytree includeonly indicator section mapdata rss
    """
)
HEADINGS = words("h1 h2 h3 h4 h5 h6")
ITEMS = words("ol ul li dt dd")
BLOCKS = words(
    """
    p div blockquote center br hr dl poem tr caption figure section article aside td th tbody thead
    """
)
INLINE = words(
    """
    sub sup small big span b i u s em strong strike del ins code tt var kbd samp q cite abbr font bdi
    bdo wbr ruby rb rt rp rbc rtc dfn mark data time noinclude onlyinclude nowiki ref references a img
    gallery math link meta translate tvar languages pre source syntaxhighlight section abschnitt trecho
    phonos nobr charinsert
    """
)


@dataclass(frozen=True)
class Namespaces:
    """Lower-case prefixes of links that leave no text (those to media do if they have a label)."""

    files: frozenset[str] = FILES
    categories: frozenset[str] = CATEGORIES
    media: frozenset[str] = MEDIA

    @classmethod
    def of(cls, names: dict[int, str]) -> "Namespaces":
        """The usual names, and those in a dump's siteinfo (number → name)."""
        media, files, categories = (
            {prefix_of(names[key])} if names.get(key) else set() for key in (-2, 6, 14)
        )
        return cls(FILES | files | media, CATEGORIES | categories, MEDIA | media)


def prefix_of(name: str) -> str:
    return name.replace("_", " ").strip(" :").lower()
