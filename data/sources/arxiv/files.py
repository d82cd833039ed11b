r"""The files of one paper to one text: the main file found, and what it inputs put in its place.

In: the bytes of the paper's files by their paths. Out: the text of each main file, in input order and
without comments. The one idea: the paper is a closed dict of names, so no path in it can reach outside.
"""

import codecs
import json
import posixpath
import re
from collections.abc import Iterable

from data.sources.arxiv.comments import strip_comments
from data.sources.arxiv.encoding import decode, first, uncommented
from data.sources.arxiv.syntax import MAX_TEXT

MAX_DEPTH = 20  # of files in files; a file inside itself is not read again
MAX_INPUTS = 2000  # files read for one main file, each as often as it is input
MAIN_NAMES = ("ms", "main", "paper", "article", "manuscript")  # in the order in which they are preferred

_CLASS = re.compile(r"\\document(?:class|style)\s*(?:\[[^\]]{0,1000}\])?\s*\{([^}]*)\}")
_BEGIN = re.compile(r"\\begin\s*\{document\}")
_END = re.compile(r"\\end\s*\{document\}")
_PLAIN = re.compile(
    r"\\(?:bye(?![A-Za-z])|magnification|input\s*\{?(?:amstex|amsppt|harvmac|phyzzx|lanlmac|eplain)|end\s*\Z)"
)
_INPUTS = re.compile(
    r"\\(?:(?:input|include|subfile|subfileinclude)(?![A-Za-z])\s*\{?\s*\"?([^\s{}\"\\]+)"
    r"|(?:sub)?(?:import|inputfrom|includefrom)\s*\{([^{}]*)\}\s*\{([^{}]*)\})"
)
_FILECONTENTS = re.compile(r"\s*(?:\[[^\]]{0,100}\])?\s*\{([^{}]*)\}\n?")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1a")) + b"\x7f"
_PARTS = ("standalone", "subfiles")  # classes of pieces of a paper
_MACROS = (".sty", ".cls", ".clo", ".def", ".cfg", ".bbl", ".bib", ".bst")


class TooLong(Exception):
    """The paper with all that it inputs is beyond `MAX_TEXT` or `MAX_INPUTS`."""


class Paper:
    """The files of one paper. Names are relative to its top folder, with forward slashes."""

    def __init__(self, files: dict[str, bytes], name: str = "") -> None:
        self.files = {posixpath.normpath(path): content for path, content in files.items()}
        self.name = name
        self.made: dict[str, str] = {}  # by filecontents, or decoded
        self.main = b""
        self.length = self.inputs = 0  # of what was read for a main file

    def mains(self) -> list[str]:
        """The main files: what arXiv's 00README names, else those that begin a document.

        Of several, those that another inputs and parts of a paper (`standalone`, `subfiles`) are none;
        of the rest the least deep count, and a usual name (`MAIN_NAMES`, or the paper's own) is alone.
        What is left are papers of their own. Without any, plain TeX; then whatever TeX no file inputs.
        """
        tex = sorted(path for path, content in self.files.items() if _may_be_main(path, content))
        named, ignored = self._readme()
        if found := [path for path in named if path in self.files]:
            return found
        texts = {path: decode(self.files[path]) for path in tex if path not in ignored}
        ignorable = [path for path, text in texts.items() if text.startswith("%auto-ignore")]
        if len(ignorable) < len(texts):
            texts = {path: text for path, text in texts.items() if path not in ignorable}
        classes = {path: found[1].strip() for path, text in texts.items() if (found := first(_CLASS, text))}
        begun = [path for path, text in texts.items() if first(_BEGIN, text)]
        tex_named = [path for path in texts if path.lower().endswith((".tex", ".ltx", ".latex"))]
        whole = [path for path in begun if classes.get(path) not in (None, *_PARTS)]
        for candidates in (
            whole,
            [path for path in classes if classes[path] not in _PARTS],
            [path for path in begun if path in classes],
            begun,
            [path for path, text in texts.items() if first(_PLAIN, text)],
            tex_named or [path for path, text in texts.items() if len(texts) == 1 and "\\" in text],
        ):
            if candidates:
                return self._roots(candidates, texts)
        return []

    def _roots(self, candidates: list[str], texts: dict[str, str]) -> list[str]:
        """Of the candidates those that no other file of the paper inputs, by convention and depth."""
        if len(candidates) == 1:
            return candidates
        inputs = set()
        for path, text in texts.items():
            named = {(mark[2] or "", mark[1] or mark[3]) for mark in uncommented(_INPUTS, text)}
            inputs |= {self._find(folder, name, path) for folder, name in named} - {path}
        roots = [path for path in candidates if path not in inputs] or candidates
        depth = min(path.count("/") for path in roots)
        roots = [path for path in roots if path.count("/") == depth]
        stems = {posixpath.splitext(posixpath.basename(path))[0].lower(): path for path in reversed(roots)}
        if len({posixpath.dirname(path) for path in roots}) == 1:
            for name in (*MAIN_NAMES, self.name.lower()):
                if name in stems:
                    return [stems[name]]
        return roots

    def _readme(self) -> tuple[list[str], set[str]]:
        """The main files and those to be ignored, by arXiv's 00README (.XXX, .json or .yaml)."""
        named, ignored = [], set()
        for path in sorted(path for path in self.files if _is_readme(path) and "/" not in path):
            text = decode(self.files[path][: 1 << 16])
            if path.lower().endswith(".json"):
                pairs = _readme_json(text)
            else:
                pairs = re.findall(r"^\s*(\S+)[ \t]+(\w+)", text, re.MULTILINE)
                pairs += re.findall(
                    r"filename\s*[:=]\s*['\"]?([^\s'\"]+)['\"]?\s*\n\s*usage\s*[:=]\s*['\"]?(\w+)", text
                )
            named += [
                posixpath.normpath(name) for name, usage in pairs if usage in ("toplevelfile", "toplevel")
            ]
            ignored |= {posixpath.normpath(name) for name, usage in pairs if usage == "ignore"}
        return named, ignored

    def text(self, main: str) -> str:
        """A main file with what it inputs. Raises TooLong."""
        self.main, self.made = self.files[main], {}
        self.length = self.inputs = 0
        return self._assembled(main, (main,), posixpath.dirname(main))

    def _assembled(self, path: str, chain: tuple[str, ...], folder: str) -> str:
        """The file's text; `folder` is where TeX runs, and `chain` the files that are being read."""
        text = self.made[path] if path in self.made else decode(self.files[path], self.main)
        if len(chain) > 1 and (begin := first(_BEGIN, text)) and first(_CLASS, text):
            end = next((mark for mark in uncommented(_END, text) if mark.start() > begin.end()), None)
            text = text[begin.end() : end.start() if end else len(text)]
        self.length += len(text)
        self.inputs += 1
        if self.length > MAX_TEXT or self.inputs > MAX_INPUTS:
            raise TooLong(f"more than {MAX_TEXT >> 20} MiB or {MAX_INPUTS:,} files with all that it inputs")

        def resolve(command: str, subfolder: str, name: str) -> str | None:
            if command == "filecontents":
                made = _FILECONTENTS.match(name)
                if made and len(self.made) < 100:
                    self.made.setdefault(posixpath.normpath(made[1].strip()), name[made.end() :])
                return None
            if command.startswith("sub"):
                subfolder = posixpath.join(posixpath.dirname(path), subfolder)
            found = self._find(subfolder, name, path, folder)
            if found is None or found in chain or len(chain) >= MAX_DEPTH or found.lower().endswith(".bbl"):
                return None
            return self._assembled(found, (*chain, found), folder)

        return strip_comments(text, resolve)

    def _find(self, subfolder: str, name: str, by: str, folder: str | None = None) -> str | None:
        """The paper's file that a name in another stands for, or None if it has no such file."""
        main_folder = posixpath.dirname(by) if folder is None else folder
        for start in dict.fromkeys((main_folder, posixpath.dirname(by), "")):
            path = posixpath.normpath(posixpath.join(start, subfolder, name))
            for full in (path + ".tex", path):
                if full in self.files or full in self.made:
                    return full
        return None


def _readme_json(text: str) -> Iterable[tuple[str, str]]:
    try:
        sources = json.loads(text)["sources"]
        return [(str(entry["filename"]), str(entry["usage"])) for entry in sources if "usage" in entry]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _may_be_main(path: str, content: bytes) -> bool:
    head = content[: 1 << 16]
    is_text = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (
        len(head.translate(None, _CONTROLS)) >= 0.97 * len(head)
    )
    return is_text and not path.lower().endswith(_MACROS) and not _is_readme(path)


def _is_readme(path: str) -> bool:
    return posixpath.basename(path).lower().startswith("00readme")
