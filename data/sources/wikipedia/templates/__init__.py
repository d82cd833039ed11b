"""Templates: the text that a reader sees for `{{lang|fr|mot}}`, `{{convert|10|km}}` and the like.

In: a Wikipedia's language, a template's name and its arguments, already plain. Out: the text to keep. The
same name means different things in different Wikipedias, so each language has its own table, which adds to
the common one and overrides it. To support a template, add a line to its language's table in languages/;
patterns.py describes the tables' syntax.
"""

from data.sources.wikipedia.templates.render import Rendered, Templates

__all__ = ["Rendered", "Templates"]
