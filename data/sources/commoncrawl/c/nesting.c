/* How deeply a page's elements are nested: what _nests_too_deep of data/sources/commoncrawl/nesting.py finds. */

#include "web.h"

enum { MOST_NAME = 16, MOST_ATTRIBUTES = 100, BUCKETS = 4096 };

/* Formatting elements, and those that the next of their kind closes. */
static const char *const flat[] = {
    "area", "b", "base", "big", "body", "br", "code", "col", "colgroup", "dd", "dt", "em", "embed", "font", "frame",
    "head", "hr", "html", "i", "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt",
    "s", "small", "source", "strike", "strong", "tbody", "td", "tfoot", "th", "thead", "tr", "track",
    "tt", "u", "wbr", NULL};

typedef struct {
    const byte *name;
    int32_t size, below; /* below: the element under it whose name has the same bucket */
    uint32_t bucket;
} Open;

static int is_letter(byte c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

static int is_flat(const byte *name, int32_t size) {
    for (const char *const *other = flat; *other; other++)
        if ((byte)**other == lower(*name) && strlen(*other) == (size_t)size && is_word(name, name + size, *other)) return 1;
    return 0;
}

static int is_same(const byte *name, int32_t size, const Open *open) {
    if (size != open->size) return 0;
    for (int32_t i = 0; i < size; i++)
        if (lower(name[i]) != lower(open->name[i])) return 0;
    return 1;
}

static int nests(const byte *at, const byte *end, Open *open, int32_t depth) {
    int32_t n = 0, tops[BUCKETS];
    for (int i = 0; i < BUCKETS; i++) tops[i] = -1;
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        at++;
        int is_closing = at < end && *at == '/';
        const byte *name = at + is_closing, *after = name;
        if (name >= end || !is_letter(*name)) continue;
        uint32_t bucket = 2166136261u;
        while (after < end && after - name < MOST_NAME && (is_letter(*after) || (*after >= '0' && *after <= '9')))
            bucket = (bucket ^ lower(*after++)) * 16777619u;
        int32_t size = (int32_t)(after - name);
        at = after;
        for (int i = 0; at < end && *at != '>' && i < MOST_ATTRIBUTES; i++) at += width(*at);
        if (is_flat(name, size)) continue;
        bucket %= BUCKETS;
        if (!is_closing) {
            open[n] = (Open){name, size, tops[bucket], bucket};
            tops[bucket] = n++;
            if (n > depth) return 1;
            continue;
        }
        int32_t which = tops[bucket];
        while (which >= 0 && !is_same(name, size, open + which)) which = open[which].below;
        for (; which >= 0 && n > which; n--) tops[open[n - 1].bucket] = open[n - 1].below;
    }
    return 0;
}

PyObject *nests_deeper(PyObject *module, PyObject *const *args, Py_ssize_t n_args) {
    (void)module;
    if (n_args != 2 || !PyUnicode_Check(args[0]) || !PyLong_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "nests_deeper(str, int)");
    Py_ssize_t length;
    const byte *html = (const byte *)PyUnicode_AsUTF8AndSize(args[0], &length);
    long depth = PyLong_AsLong(args[1]);
    if (!html || PyErr_Occurred()) return NULL;
    if (depth < 0 || depth > 1 << 20) return PyErr_Format(PyExc_ValueError, "a depth of 0 to 2^20");
    Open *open = PyMem_Malloc((size_t)(depth + 1) * sizeof *open);
    if (!open) return PyErr_NoMemory();
    int deeper = nests(html, html + length, open, (int32_t)depth);
    PyMem_Free(open);
    return PyBool_FromLong(deeper);
}
