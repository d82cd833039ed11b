"""Wikipedia's prose beside MediaWiki itself: `python benchmarks/recall/mediawiki.py`.

Pages of the samples, without templates and formulas (mwparserfromhell removes them), are rendered by
MediaWiki in the language of their Wikipedia (Debian: mediawiki, php-cli, php-sqlite3, php-mbstring, php-xml,
php-intl). Text: what it shows outside tables, notes, pictures and galleries. The recipe leaves out headings
without text, and numbers the items of lists, which in HTML the browser does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mwparserfromhell  # pyright: ignore[reportMissingImports]
from common import HEAD, ROOT, SHARED, Figures, words
from lxml import html

sys.path.insert(0, str(ROOT))
from data.documents import Record
from data.sources.wikipedia import recipe as wikipedia
from data.sources.wikipedia.wikitext import wikitext_to_text

INPUTS = [*(SHARED / "wiki").glob("enwiki-*.bz2"), SHARED / "wiki" / "ericlief-test.xml.bz2"]
EXTENSIONS = ["Cite", "ParserFunctions", "Poem", "SyntaxHighlight_GeSHi", "ImageMap"]
RENDER = """<?php
require_once getenv('MW_INSTALL_PATH') . '/maintenance/Maintenance.php';
class Render extends Maintenance {
    function execute() {
        $parsers = MediaWiki\\MediaWikiServices::getInstance()->getParserFactory();
        while (($line = fgets(STDIN)) !== false) {
            [$title, $text] = json_decode($line);
            $options = ParserOptions::newFromAnon();
            $options->setSuppressTOC();
            $page = Title::newFromText($title) ?: Title::newFromText('X');
            $shown = $parsers->create()->parse($text, $page, $options);
            $shown = $shown->getText(['enableSectionEditLinks' => false]);
            echo json_encode($shown, JSON_INVALID_UTF8_SUBSTITUTE), "\\n";
        }
    }
}
$maintClass = 'Render';
require_once RUN_MAINTENANCE_IF_MAIN;
"""
NO_TEXT = (
    "//table|//style|//figure|//*[contains(@class, 'thumb') or contains(@class, 'gallery')"
    " or contains(@class, 'reference')"
    " or contains(@class, 'error') or contains(@class, 'image') or starts-with(@class, 'float')]"
    "|//a[contains(@href, '/File:') or contains(@title, 'File:')]"
)


class MediaWiki:
    """A wiki of its own in a temporary folder."""

    def __init__(self, code: Path, folder: Path, language: str) -> None:
        self._environment = {**os.environ, "MW_INSTALL_PATH": str(code), "MW_CONFIG_FILE": ""}
        command = ["php", str(code / "maintenance" / "install.php"), "--dbtype=sqlite", f"--dbpath={folder}"]
        command += [
            f"--confpath={folder}",
            "--server=http://localhost",
            "--scriptpath=/",
            f"--lang={language}",
        ]
        done = subprocess.run(
            [*command, f"--pass={os.urandom(12).hex()}", "Wikipedia", "Admin"], capture_output=True, text=True
        )
        settings = folder / "LocalSettings.php"
        if done.returncode or not settings.exists():
            raise SystemExit(
                f"{code}: MediaWiki does not install itself: {done.stdout[-300:]}{done.stderr[-300:]}"
            )
        with settings.open("a") as file:
            for name in EXTENSIONS:
                file.write(f"\nwfLoadExtension('{name}');")
            file.write("\n$wgMaxArticleSize = 20480;\n$wgUseDatabaseMessages = false;\n")
        (folder / "render.php").write_text(RENDER)
        self._environment["MW_CONFIG_FILE"] = str(settings)
        self._process = subprocess.Popen(
            ["php", "-d", "memory_limit=2G", str(folder / "render.php")],
            env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def shown(self, title: str, text: str) -> Counter[str]:
        """The words of a page as a reader sees them."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([title, text]) + "\n")
        self._process.stdin.flush()
        page = html.fromstring(json.loads(self._process.stdout.readline()))
        for element in page.xpath(NO_TEXT):
            element.drop_tree()
        for element in page.iter(
            "p", "li", "dd", "dt", "br", "div", "pre", "sup", "sub", *(f"h{n}" for n in range(1, 7))
        ):
            element.tail = " " + (element.tail or "")
        return words(page.text_content())

    def close(self) -> None:
        self._process.communicate()


def without_templates(text: str) -> str:
    """A page without templates and formulas."""
    for _ in range(3):  # a template that is left over may hold others
        code = mwparserfromhell.parse(text)
        formulas = [node for node in code.filter_tags() if str(node.tag).lower() in ("math", "chem")]
        for node in [*code.filter_templates(recursive=False), *formulas]:
            with suppress(ValueError):  # inside one that has been removed
                code.remove(node)
        text = str(code)
    return text


def pages(path: Path) -> Iterator[tuple[str, str, Record]]:
    for record in wikipedia.read(path):
        if isinstance(record, Record) and not record.text.lstrip().startswith("#"):
            yield str(record.meta["title"]), str(record.meta["language"]), record


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mediawiki", type=Path, default=Path("/usr/share/mediawiki"), help="its code")
    parser.add_argument("dumps", type=Path, nargs="*", default=INPUTS)
    options = parser.parse_args()
    print(HEAD)
    for path in options.dumps:
        figures, wiki, language = Figures(), None, ""
        with tempfile.TemporaryDirectory() as folder:
            for title, language, record in pages(path):
                wiki = wiki or MediaWiki(options.mediawiki, Path(folder), language)
                text = without_templates(record.text)
                shown = wiki.shown(title, text)
                given = words(wikitext_to_text(text, "", record.meta["namespaces"], language))
                figures.add(shown, shown, given)
            if wiki:
                wiki.close()
        print(figures.row(f"wikipedia, {language}"), flush=True)


if __name__ == "__main__":
    main()
