/* Where the article of a page is: data/sources/commoncrawl/main_content.py says what is looked for. */

#include "web.h"

enum { MOST_WORDS = 64 };

typedef struct {
    const char *at[MOST_WORDS];
    uint32_t n;
    uint64_t first[256], second[256]; /* the words with this first and second letter */
} Words;

static uint32_t paragraph_size(const Page *page, const Element *element) {
    uint32_t size = size_of(page, element), links = linked(element);
    return size > links ? size - links : 0;
}

/* Whether an element is never the whole article: a quotation, a list or one of its items. */
static int is_part(const Element *element) {
    static const char *const parts[] = {"blockquote", "dd", "dl", "li", "ol", "ul"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (is_name(element->name, element->n_name, parts[i])) return 1;
    return 0;
}

static int is_whole(const Element *element) {
    return is_name(element->name, element->n_name, "article") || is_name(element->name, element->n_name, "main");
}

/* The deepest element that holds more than half of the paragraphs' text, and `*total`; -1 if they have none. */
static int32_t find_article(const Page *page, uint64_t *total) {
    uint64_t seen = 0, held = 0; /* held: by the elements from `from` to before `to` */
    int32_t median = 0;
    *total = 0;
    for (int32_t i = 1; i < page->n; i++)
        if (page->elements[i].flags & PARAGRAPH) *total += paragraph_size(page, page->elements + i);
    if (!*total) return -1;
    do {
        while (!(page->elements[++median].flags & PARAGRAPH)) continue;
        seen += paragraph_size(page, page->elements + median);
    } while (2 * seen < *total);
    int32_t article = page->elements[median].parent, from = article + 1, to = from;
    for (;; article = page->elements[article].parent) {
        const Element *element = page->elements + article;
        for (int32_t i = article + 1; i < from; i++)
            if (page->elements[i].flags & PARAGRAPH) held += paragraph_size(page, page->elements + i);
        for (int32_t i = to; i <= element->last; i++)
            if (page->elements[i].flags & PARAGRAPH) held += paragraph_size(page, page->elements + i);
        from = article + 1, to = element->last + 1;
        if ((2 * held > *total && !is_part(element)) || element->parent < 0) return article;
    }
}

static int is_boundary(const byte *at) { return is_space(at) || !memcmp(at, "&nbsp;", 6); }

/* Whether a class or id holds one of the words, apart from names of topics. */
static int names_box(const Words *words, const byte *at, const byte *end) {
    while (at < end) {
        const byte *name = at;
        while (at < end && !is_boundary(at)) at += width(*at);
        if (!is_word(name, at, "tag-") && !is_word(name, at, "category-"))
            for (; name + 1 < at; name++) {
                uint64_t left = words->first[*name] & words->second[name[1]];
                for (int which = 0; left; which++, left >>= 1)
                    if (left & 1 && is_word(name, at, words->at[which])) return 1;
            }
        if (at < end) at += *at == '&' ? 6 : width(*at);
    }
    return 0;
}

static int is_box(const Words *words, const Element *element) {
    if (element->flags & FORM) return 1;
    return !(element->flags & NO_BOX) && (names_box(words, element->class, element->class + element->n_class) ||
                                          names_box(words, element->id, element->id + element->n_id));
}

static int is_mostly_links(const Page *page, int32_t which) {
    const Element *element = page->elements + which;
    uint32_t size = size_of(page, element);
    return size && 2 * (uint64_t)linked(element) > size;
}

static int is_outside(const Page *page, const Words *words, int32_t which) {
    return is_box(words, page->elements + which) || is_mostly_links(page, which);
}

/* Whether this is <h1> to <h6>: a title may link to its own page. */
static int is_heading(const Element *element) {
    return element->n_name == 2 && element->name[0] == 'h' && element->name[1] >= '1' && element->name[1] <= '6';
}

/* Whether this is a section of a document that Word wrote: Section1, WordSection2. */
static int is_of_word(const Element *element) {
    const byte *at = element->class, *end = at + element->n_class;
    if (end - at > 4 && !memcmp(at, "Word", 4)) at += 4;
    if (end - at < 8 || memcmp(at, "Section", 7)) return 0;
    for (at += 7; at < end; at++)
        if (*at < '0' || *at > '9') return 0;
    return 1;
}

/* Whether a sibling is another section of the same kind, with paragraphs. In <article> and <main>, sections continue one
another whatever their classes, and so do plain boxes. */
static int continues(const Page *page, const Words *words, int32_t which, int32_t other, int in_whole) {
    const Element *element = page->elements + which, *sibling = page->elements + other;
    if (sibling->n_name != element->n_name || memcmp(sibling->name, element->name, element->n_name)) return 0;
    int is_same = sibling->n_class == element->n_class &&
                  (!element->n_class || !memcmp(sibling->class, element->class, element->n_class));
    is_same = is_same || (is_of_word(element) && is_of_word(sibling));
    int is_section = is_name(element->name, element->n_name, "section");
    if (!is_same && !(in_whole && is_section)) return 0;
    if (!(is_same && (element->n_class || is_section)) && (!in_whole || is_outside(page, words, other))) return 0;
    for (const Element *below = sibling + 1; below <= page->elements + sibling->last; below++)
        if (below->flags & PARAGRAPH) return 1;
    return 0;
}

/* The way from the body to an element, as places among the children, from 1. */
static PyObject *way_to(const Page *page, int32_t which) {
    int32_t way[MOST_DEPTH], n = 0;
    for (; which > 0; which = page->elements[which].parent) way[n++] = page->elements[which].place;
    PyObject *places = PyTuple_New(n);
    for (int32_t i = 0; places && i < n; i++) {
        PyObject *place = PyLong_FromLong(way[n - 1 - i]);
        if (!place) Py_CLEAR(places);
        else PyTuple_SET_ITEM(places, i, place);
    }
    return places;
}

static int append_way(const Page *page, int32_t which, PyObject *ways) {
    PyObject *way = way_to(page, which);
    int failed = !way || PyList_Append(ways, way) < 0;
    Py_XDECREF(way);
    return failed ? -1 : 0;
}

/* Whether an element need not be hidden: it already is, or is a script or the like that cannot be taken for the main
content by its class or role. */
static int is_never_shown(const Element *element) {
    return element->flags & HAS_HIDDEN || (element->flags & SILENT && !element->n_class && !(element->flags & ROOT));
}

/* Append the ways to the boxes below an element that are to be hidden. */
static int append_boxes(const Page *page, const Words *words, int32_t which, PyObject *ways) {
    for (int32_t i = which + 1; i <= page->elements[which].last; i++) {
        const Element *element = page->elements + i;
        if (!is_never_shown(element) && is_box(words, element) && append_way(page, i, ways) < 0) return -1;
    }
    return 0;
}

/* Append the way to a sibling outside the article, or those to the boxes in another. */
static int append_sibling(const Page *page, const Words *words, int32_t which, int is_outside, PyObject *ways) {
    if (!is_outside) return append_boxes(page, words, which, ways);
    return is_never_shown(page->elements + which) ? 0 : append_way(page, which, ways);
}

/* Append the ways to all that surrounds an article: siblings of it and its ancestors, and boxes in the others. A document
continues to its end. */
static int append_surroundings(const Page *page, const Words *words, int32_t article, int is_document, PyObject *ways) {
    if (append_boxes(page, words, article, ways) < 0) return -1;
    int32_t whole = -1; /* the outermost <article> or <main> around it */
    for (int32_t at = article; at > 0; at = page->elements[at].parent)
        if (is_whole(page->elements + at)) whole = at;
    int in_whole = whole >= 0;
    for (int32_t at = article; at > 0; at = page->elements[at].parent) {
        in_whole = in_whole && at != whole;
        int32_t last = is_document ? page->n : -1; /* the last sibling that continues it */
        for (int32_t i = page->elements[at].next; i >= 0; i = page->elements[i].next)
            if (i > last && continues(page, words, at, i, in_whole)) last = i;
        for (int32_t i = page->elements[at].next; i >= 0; i = page->elements[i].next) {
            int outside = i > last || (is_outside(page, words, i) && !continues(page, words, at, i, in_whole));
            if (append_sibling(page, words, i, outside, ways) < 0) return -1;
        }
        for (int32_t i = page->elements[at].previous; i >= 0; i = page->elements[i].previous) {
            int outside = !is_heading(page->elements + i) && is_outside(page, words, i);
            if (append_sibling(page, words, i, outside, ways) < 0) return -1;
        }
    }
    return 0;
}

static int read_words(Words *words, PyObject *given) {
    memset(words, 0, sizeof *words);
    words->n = (uint32_t)PyTuple_GET_SIZE(given);
    if (words->n > MOST_WORDS) {
        PyErr_SetString(PyExc_ValueError, "more than 64 words");
        return -1;
    }
    for (uint32_t i = 0; i < words->n; i++) {
        if (!(words->at[i] = PyUnicode_AsUTF8(PyTuple_GET_ITEM(given, i)))) return -1;
        for (int c = 0; c < 128; c++) {
            if (lower((byte)c) == (byte)words->at[i][0]) words->first[c] |= (uint64_t)1 << i;
            if (lower((byte)c) == (byte)words->at[i][1]) words->second[c] |= (uint64_t)1 << i;
        }
    }
    return 0;
}

/* In: a serialized <body>, the words of boxes, and whether the page is a document. Out: the characters of its paragraphs,
those of its visible text, the most that can be extracted, the way to the article, and those to all that is to be hidden
around it. */
PyObject *outline(PyObject *module, PyObject *const *args, Py_ssize_t n_args) {
    (void)module;
    if (n_args != 3 || !PyUnicode_Check(args[0]) || !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "outline(str, tuple, bool)");
    Py_ssize_t length;
    const byte *html = (const byte *)PyUnicode_AsUTF8AndSize(args[0], &length);
    Words words;
    if (!html || read_words(&words, args[1]) < 0) return NULL;
    Page page = {.is_word = PyMem_Malloc((size_t)length + 1)};
    PyObject *ways = PyList_New(0), *found = NULL;
    if (!ways) goto end;
    int is_read = page.is_word && length < INT32_MAX ? read_page(&page, html, html + length) : -1;
    if (is_read < 0) PyErr_NoMemory();
    if (is_read == 0) found = Py_NewRef(Py_None);
    if (is_read < 1) goto end;
    uint64_t total;
    int32_t article = find_article(&page, &total);
    if (article >= 0 && append_surroundings(&page, &words, article, args[2] == Py_True, ways) < 0) goto end;
    long long n_visible = (long long)page.elements[0].after.at - (long long)page.silent;
    found = Py_BuildValue("(KLKNO)", total, n_visible, page.shown + page.extra, way_to(&page, article), ways);
end:
    Py_XDECREF(ways);
    PyMem_Free(page.is_word);
    PyMem_Free(page.elements);
    return found;
}
