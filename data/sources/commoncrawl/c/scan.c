/* One pass over a page's HTML, before it is parsed: which of the slower steps it needs at all.

A feature may be reported where it is not, and its step then finds nothing to do, but never the reverse; FORUM,
PAGE_END, NUMBERED and LATE_TITLE are exact. Names and signs are those that the patterns of
data/sources/commoncrawl/scan.py find. */

#define _GNU_SOURCE
#include "web.h"

enum {
    FORMULA = 1, TIME = 2, RAISED = 4, LOWERED = 8, NAMED_HEADING = 16, FORUM = 32, SHOWN = 64, ANCHOR = 128,
    LISTS = 256, PAGE_END = 512, NUMBERED = 1024, NAMED_ANCHOR = 2048, LATE_TITLE = 4096, STYLED = 8192, LISTING = 16384,
    FIGURE = 1 << 15, CONTROL = 1 << 16, RELATED = 1 << 17, LABELED = 1 << 18
};
enum { N_FORMATTING = 12, MOST_ATTRIBUTES = 100 };
static const char *const formatting[N_FORMATTING] = {
    "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"};

static int is_alphanumeric(byte c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'); }

/* The number of a formatting element's name, or -1; `*after` is its end. */
static int formatting_name(const byte *at, const byte *end, const byte **after) {
    if (!strchr("bcefistu", lower(*at))) return -1;
    for (int i = 0; i < N_FORMATTING; i++)
        if (is_word(at, end, formatting[i])) {
            *after = at + strlen(formatting[i]);
            if (*after >= end || !is_alphanumeric(**after)) return i;
        }
    return -1;
}

/* Whether a script's tag may say that it holds TeX; a < ends the look, so that no part of a page is seen twice. */
static int may_hold_tex(const byte *at, const byte *end) {
    byte quote = 0;
    int closed = 0; /* the first > may be within quotes */
    for (; at < end && !(closed && !quote && at[-1] == '>'); at++) {
        if (*at == '&' || is_word(at, end, "math")) return 1;
        if (*at == '>') closed = 1;
        if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
        if (*at == '<') return !closed;
    }
    return 0;
}

/* Whether a tag's first 1,000 characters have this word, as the pattern of named headings finds an id. */
static int may_have(const byte *at, const byte *end, const char *word) {
    for (int n = 0; at < end && n <= 1000 && *at != '>'; at += width(*at), n++)
        if (is_word(at, end, word)) return 1;
    return 0;
}

static int ends_name(const byte *at, const byte *end) { return at < end && (*at == ' ' || *at == '>'); }

static int begins(const byte *at, const byte *end, const char *word) {
    return (size_t)(end - at) >= strlen(word) && !memcmp(at, word, strlen(word));
}

/* Whether a name or an id is the first attribute of an <a>. */
static int is_named_anchor(const byte *at, const byte *end) {
    if (end - at < 2 || !is_space(at + 1)) return 0;
    for (at++; at < end && is_space(at);) at += width(*at);
    return is_word(at, end, "name=") || is_word(at, end, "id=");
}

/* Whether a tag's name is followed by attributes. */
static int has_attributes(const byte *name, const byte *end, const char *word) {
    Py_ssize_t n = (Py_ssize_t)strlen(word);
    return end - name > n && is_word(name, end, word) && is_space(name + n);
}

static int tag_features(const byte *name, const byte *end) {
    switch (lower(*name)) {
    case 'a': return begins(name, end, "aside") ? PAGE_END : is_named_anchor(name, end) ? NAMED_ANCHOR : 0;
    case 'b': return is_word(name, end, "button") ? CONTROL : 0;
    case 'f': return is_word(name, end, "figure") ? FIGURE : begins(name, end, "footer") ? PAGE_END : 0;
    case 'n': return begins(name, end, "nav") ? PAGE_END : 0;
    case 'c': return is_word(name, end, "canvas") ? SHOWN : 0;
    case 'd': return is_word(name, end, "dir") ? SHOWN | LISTS : is_word(name, end, "dialog") ? SHOWN : 0;
    case 'k': return is_word(name, end, "kbd") ? SHOWN : 0;
    case 'l':
        if (has_attributes(name, end, "li")) return may_have(name, end, "value") ? LABELED : 0;
        if (is_word(name, end, "label")) return CONTROL;
        return is_word(name, end, "legend") || is_word(name, end, "listing") ? SHOWN : 0;
    case 'o': return has_attributes(name, end, "ol") ? LABELED : 0;
    case 'p': return is_word(name, end, "pre") ? LISTING : 0;
    case 'q': return ends_name(name + 1, end) ? SHOWN : 0;
    case 'r': return is_word(name, end, "rt") && ends_name(name + 2, end) ? SHOWN : 0;
    case 'm': return is_word(name, end, "menu") ? SHOWN | LISTS : is_word(name, end, "math") ? FORMULA : 0;
    case 't': return is_word(name, end, "time") ? TIME : 0;
    case 's':
        if (is_word(name, end, "sup")) return RAISED;
        if (is_word(name, end, "sub")) return LOWERED;
        if (is_word(name, end, "summary") || is_word(name, end, "search")) return SHOWN;
        return is_word(name, end, "script") && may_hold_tex(name, end) ? FORMULA : 0;
    case 'u': return is_word(name, end, "ul") ? LISTS : 0;
    case 'x': return is_word(name, end, "xmp") ? SHOWN : 0;
    case 'h':
        if (end - name < 3 || name[1] < '1' || name[1] > '6' || !is_space(name + 2)) return 0;
        return may_have(name + 2, end, "id") ? NAMED_HEADING : 0;
    }
    return 0;
}

/* The position after a character reference or, if there is none, NULL. */
static const byte *after_reference(const byte *at, const byte *end) {
    const byte *semicolon = at < end && *at == '&' ? memchr(at, ';', (size_t)(end - at)) : NULL;
    return semicolon ? semicolon + 1 : NULL;
}

/* Whether the text from a > to the < at `end` may be three bytes: one sign, or ASCII and another. */
static int is_lone_sign(const byte *at, const byte *end) {
    while (at < end && is_space(at)) at += width(*at);
    if (at >= end) return 0;
    if (width(*at) == 3) {
        at += 3;
    } else {
        const byte *first = after_reference(at, end), *second;
        if (!first && *at >= 0x80) return 0;
        at = first ? first : at + 1;
        if ((second = after_reference(at, end))) at = second;
        else if (at < end && width(*at) == 2) at += 2;
        else if (!first) return 0;
    }
    while (at < end && is_space(at)) at += width(*at);
    return at >= end;
}

/* Whether a start tag ends the <head>, before which a page's title belongs. */
static int ends_head(const byte *name, const byte *end) {
    static const char *const parts[] = {
        "base", "head", "html", "link", "meta", "noscript", "script", "style", "template", "title"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (is_word(name, end, parts[i])) return is_word(name, end, "header");
    return lower(*name) >= 'a' && lower(*name) <= 'z';
}

/* Whether the text before `at` ends with a sign that only is a link: of a heading to itself (# \u00b6 \u00a7 \U0001f517),
or of a note back to its place (^ \u2191 \u21a9, also with a variation selector). */
static int ends_with_anchor(const byte *begin, const byte *at) {
    static const char *const signs[] = {
        "#", "\xC2\xB6", "\xC2\xA7", "\xF0\x9F\x94\x97", "^", "\xE2\x86\x91", "\xE2\x86\xA9", "\xEF\xB8\x8E",
        "\xEF\xB8\x8F", "8617;", "21a9;", "21A9;", "fe0e;", "FE0E;"};
    if (at - begin < 5 || !strchr("#\xB6\xA7\x97^\x91\xA9\x8E\x8F;", at[-1]) || !at[-1]) return 0;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!memcmp(at - strlen(signs[i]), signs[i], strlen(signs[i]))) return 1;
    return 0;
}

typedef struct {
    const byte **at;
    int *size;
    uint32_t mask, n;
    byte wanted[128][128]; /* the first two letters of the words that are kept, if these are ASCII */
} Words;

static int is_wanted(const Words *words, const byte *from, const byte *to) {
    if (to - from < 2) return *from >= 0x80;
    return (from[0] | from[1]) >= 0x80 || words->wanted[lower(from[0])][lower(from[1])];
}

static int add_word(Words *words, PyObject *list, const byte *from, const byte *to) {
    uint32_t h = 2166136261u;
    for (const byte *c = from; c < to; c++) h = (h ^ *c) * 16777619u;
    if (4 * (words->n + 1) > 3 * (words->mask + 1)) {
        uint32_t mask = 2 * words->mask + 1;
        const byte **at = PyMem_Calloc(mask + 1, sizeof *at);
        int *size = PyMem_Calloc(mask + 1, sizeof *size);
        if (!at || !size) {
            PyMem_Free(at);
            PyMem_Free(size);
            PyErr_NoMemory();
            return -1;
        }
        for (uint32_t old = 0; old <= words->mask; old++) {
            if (!words->at[old]) continue;
            uint32_t g = 2166136261u;
            for (int i = 0; i < words->size[old]; i++) g = (g ^ words->at[old][i]) * 16777619u;
            for (g &= mask; at[g];) g = (g + 1) & mask;
            at[g] = words->at[old], size[g] = words->size[old];
        }
        PyMem_Free(words->at);
        PyMem_Free(words->size);
        words->at = at, words->size = size, words->mask = mask;
    }
    for (h &= words->mask; words->at[h]; h = (h + 1) & words->mask)
        if (words->size[h] == to - from && !memcmp(words->at[h], from, (size_t)(to - from))) return 0;
    words->at[h] = from, words->size[h] = (int)(to - from), words->n++;
    PyObject *word = PyUnicode_DecodeUTF8((const char *)from, to - from, NULL);
    int failed = !word || PyList_Append(list, word) < 0;
    Py_XDECREF(word);
    return failed ? -1 : 0;
}

/* Add the words of an attribute's value, which begins at `*at`: "…", '…' or characters up to a space. Moves `*at` to the
value's end, unless its quotation mark is never closed. */
static int add_value(Words *words, PyObject *list, const byte **at, const byte *end) {
    if (*at >= end) return 0;
    const byte *from = *at, *to = *at;
    if (*from == '"' || *from == '\'') {
        if (!(to = memchr(from + 1, *from, (size_t)(end - from - 1)))) return 0;
        *at = to + 1;
    } else {
        while (to < end && *to != '"' && *to != '\'' && *to != '>' && !is_space(to)) to += width(*to);
        *at = to;
    }
    while (from < to && (*from == '"' || *from == '\'')) from++;
    while (from < to && (to[-1] == '"' || to[-1] == '\'')) to--;
    while (from < to) {
        while (from < to && is_space(from)) from += width(*from);
        const byte *word = from;
        while (from < to && !is_space(from)) from += width(*from);
        if (from > word && is_wanted(words, word, from) && add_word(words, list, word, from) < 0) return -1;
    }
    return 0;
}

/* Whether a word stands right before `at`, and not before `begin`, which may be behind it. */
static int ends(const byte *begin, const byte *at, const char *word) {
    Py_ssize_t n = (Py_ssize_t)strlen(word);
    return at - begin >= n && !memcmp(at - n, word, (size_t)n);
}

static int ends_in_any_case(const byte *begin, const byte *at, const char *word) {
    Py_ssize_t n = (Py_ssize_t)strlen(word);
    return at - begin >= n && is_word(at - n, at, word);
}

/* Whether an attribute's value begins with one of these words, which NULL ends. */
static int has_value(const byte *at, const byte *end, const char *const words[]) {
    if (at < end && (*at == '"' || *at == '\'')) at++;
    for (; *words; words++)
        if (is_word(at, end, *words)) return 1;
    return 0;
}

/* What a value says of an element that resiliparse drops because of it; `at` is behind the sign of equality. */
static int value_features(const byte *begin, const byte *at, const byte *end) {
    static const char *const relations[] = {"author", "next", "prev", "search", "tag", NULL};
    static const char *const properties[] = {"author", "datepublished", "url", NULL};
    static const char *const states[] = {"false", NULL};
    if (ends_in_any_case(begin, at, "rel=")) return has_value(at, end, relations) ? RELATED : 0;
    if (ends_in_any_case(begin, at, "itemprop=")) return has_value(at, end, properties) ? RELATED : 0;
    return ends_in_any_case(begin, at, "aria-expanded=") && has_value(at, end, states) ? CONTROL : 0;
}

/* Add the words of all classes and ids, in one pass over the signs of equality: far faster than a search for each name.
A name inside a value of its own kind does not count. Adds the features that values tell. */
static int add_values(Words *words, PyObject *list, const byte *begin, const byte *end, int *features) {
    const byte *after_class = begin, *after_id = begin;
    for (const byte *at = begin; (at = memchr(at, '=', (size_t)(end - at)));) {
        at++;
        const byte **after = ends(after_class, at, "class=") ? &after_class : ends(after_id, at, "id=") ? &after_id : NULL;
        if (after) {
            *after = at;
            if (add_value(words, list, after, end) < 0) return -1;
        } else {
            *features |= ends(begin, at, " start=") ? NUMBERED : value_features(begin, at, end);
        }
    }
    return 0;
}

/* What stands before colons: FORUM, the name of a field of a forum's members (Posts, Beitr\u00e4ge), and STYLED, a
property that may hide an element or break lines. */
static int colon_features(const byte *begin, const byte *end) {
    int features = 0;
    for (const byte *at = begin; (at = memchr(at, ':', (size_t)(end - at))); at++) {
        switch (at > begin ? lower(at[-1]) : 0) {
        case 's': features |= ends(begin, at, "osts") ? FORUM : 0; break;
        case 'e': features |= ends(begin, at, "Beitr\xC3\xA4ge") ? FORUM : 0; break;
        case 't': features |= ends_in_any_case(begin, at, "float") ? STYLED : 0; break;
        case 'y':
            if (ends_in_any_case(begin, at, "display") || ends_in_any_case(begin, at, "visibility")) features |= STYLED;
        }
    }
    return features;
}

/* The number of characters in valid UTF-8. */
static Py_ssize_t n_characters(const byte *at, const byte *end) {
    Py_ssize_t n = 0;
    for (; at < end; at++) n += (*at & 0xC0) != 0x80;
    return n;
}

static int append_number(PyObject *list, Py_ssize_t number) {
    PyObject *made = PyLong_FromSsize_t(number);
    int failed = !made || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return failed ? -1 : 0;
}

/* In: a page, and the two letters of each name's beginning. Out: (features, "<", "</", the most formatting elements
that a parser may repeat, the places of > before what may be a lone sign, the names among the words of classes and
ids). */
PyObject *scan(PyObject *module, PyObject *const *args, Py_ssize_t n_args) {
    (void)module;
    if (n_args != 2 || !PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "scan(str, str)");
    Py_ssize_t length, n_letters;
    const byte *begin = (const byte *)PyUnicode_AsUTF8AndSize(args[0], &length);
    const byte *letters = begin ? (const byte *)PyUnicode_AsUTF8AndSize(args[1], &n_letters) : NULL;
    if (!letters) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    const byte *end = begin + length, *resume = begin, *previous = begin, *counted = begin;
    Words words = {.at = PyMem_Calloc(64, sizeof *words.at), .size = PyMem_Calloc(64, sizeof *words.size), .mask = 63};
    PyObject *names = PyList_New(0), *signs = PyList_New(0);
    int features = 0, failed = !names || !signs, in_head = 1, is_titled = 0;
    if (!failed && (!words.at || !words.size)) failed = PyErr_NoMemory() == NULL;
    Py_ssize_t n_counted = 0; /* characters before `counted` */
    int64_t n_tags = 0, n_closing = 0, repeated = 0, size = 0, open[N_FORMATTING] = {0};
    for (const byte *at = begin; !failed && (at = memchr(at, '<', (size_t)(end - at))); previous = at++) {
        n_tags++;
        const byte *name = at + 1, *after;
        int is_closing = name < end && *name == '/';
        n_closing += is_closing;
        if (name < end && !is_closing) features |= tag_features(name, end);
        if (!is_titled && name < end && !is_closing) {
            in_head = in_head && !ends_head(name, end);
            is_titled = is_word(name, end, "title");
            if (is_titled && !in_head) features |= LATE_TITLE;
        }
        name += is_closing;
        if (is_closing && name < end && *name == 'a' && ends_with_anchor(begin, at)) features |= ANCHOR;
        int which = at >= resume && name < end ? formatting_name(name, end, &after) : -1;
        if (which >= 0) {
            if (!is_closing) open[which]++, size++;
            else if (open[which]) open[which]--, size--;
            for (int n = 0; after < end && *after != '>' && n < MOST_ATTRIBUTES; n++) after += width(*after);
            resume = after;
        }
        repeated += size;
        if (at == begin) continue;
        const byte *last = at - 1;
        while (last > previous && (*last == ' ' || *last == '\n' || *last == '\r' || *last == '\t')) last--;
        if (*last != ';' && *last < 0x80 && (*last > ' ' || !*last)) continue;
        const byte *close = memrchr(previous, '>', (size_t)(at - previous));
        if (close && is_lone_sign(close + 1, at)) {
            n_counted += n_characters(counted, close);
            counted = close;
            failed = append_number(signs, n_counted) < 0;
        }
    }
    features |= colon_features(begin, end);
    for (Py_ssize_t i = 0; i + 1 < n_letters; i += 2) words.wanted[letters[i] & 127][letters[i + 1] & 127] = 1;
    failed = failed || add_values(&words, names, begin, end, &features) < 0;
    PyMem_Free(words.at);
    PyMem_Free(words.size);
    if (failed) {
        Py_XDECREF(names);
        Py_XDECREF(signs);
        return NULL;
    }
    return Py_BuildValue("(iLLLNN)", features, n_tags, n_closing, repeated, signs, names);
}
