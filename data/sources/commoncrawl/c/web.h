/* What both scans of a page need: characters in UTF-8. */

#ifndef WEB_H
#define WEB_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char byte;

/* Bytes of the character that begins here; `at` is before `end`, in valid UTF-8. */
static inline int width(byte lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

/* Whether Python's str.isspace and `\s` count the character that begins here as space. */
static inline int is_space(const byte *at) {
    byte c = *at;
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    if (c == 0xC2) return at[1] == 0x85 || at[1] == 0xA0;
    if (c == 0xE1) return at[1] == 0x9A && at[2] == 0x80;
    if (c == 0xE3) return at[1] == 0x80 && at[2] == 0x80;
    if (c != 0xE2) return 0;
    if (at[1] == 0x81) return at[2] == 0x9F;
    return at[1] == 0x80 && (at[2] <= 0x8A || at[2] == 0xA8 || at[2] == 0xA9 || at[2] == 0xAF);
}

static inline byte lower(byte c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

/* Whether these bytes are `word`, which is in lower case, in any case. */
static inline int is_word(const byte *at, const byte *end, const char *word) {
    for (; *word; at++, word++)
        if (at >= end || lower(*at) != (byte)*word) return 0;
    return 1;
}

/* Of elements: kinds of text (DARK: never extracted), attributes and children; what serializing does (RAW text, MUTED
content that is kept apart, no content: EMPTY, VERBATIM to the end of the page). */
enum {
    PARAGRAPH = 1, LINKED = 2, SILENT = 4, HAS_HIDDEN = 8, HAS_CHILD = 16,
    DARK = 32, PRE = 64, LIST = 128, NO_BOX = 256, FORM = 512, ROOT = 1024,
    INLINE = 1 << 11, EMPTY = 1 << 12, RAW = 1 << 13, FOREIGN = 1 << 14, MUTED = 1 << 15, VERBATIM = 1 << 16
};
enum { MOST_DEPTH = 256 }; /* of elements; deeper pages are left to the caller */

typedef struct {
    uint32_t at, nonspace, starts, linked; /* characters, those that are not space, words, links' characters */
} Sums;

typedef struct {
    const byte *name, *class, *id;
    uint32_t n_name, n_class, n_id;
    int32_t parent, previous, next, last, place; /* last: of those below it; place: among its siblings, from 1 */
    uint32_t flags;
    Sums before, after;
} Element;

typedef struct {
    Element *elements;
    int32_t n, room;
    byte *is_word; /* whether a character is not space, for each character of the text */
    Sums now;
    uint64_t silent, extra, shown; /* extra: characters that an extraction may add */
    int32_t dark, pre, lists, muted;
} Page;

static inline int is_name(const byte *name, uint32_t n, const char *other) {
    return strlen(other) == n && !memcmp(name, other, n);
}

static inline uint32_t characters(const Page *page, const Sums *from, const Sums *to) {
    if (from->at == to->at || from->nonspace == to->nonspace) return 0;
    int continues = from->at && page->is_word[from->at] && page->is_word[from->at - 1];
    return to->nonspace - from->nonspace + to->starts - from->starts + (uint32_t)continues - 1;
}

static inline uint32_t size_of(const Page *page, const Element *element) {
    return characters(page, &element->before, &element->after);
}

static inline uint32_t linked(const Element *element) { return element->after.linked - element->before.linked; }

/* Read all elements of a serialized <body>; 1 if read, 0 if it cannot be, -1 without memory. */
int read_page(Page *page, const byte *at, const byte *end);

/* Once, before the first page. */
void prepare_kinds(void);

PyObject *scan(PyObject *module, PyObject *const *args, Py_ssize_t n_args);
PyObject *nests_deeper(PyObject *module, PyObject *const *args, Py_ssize_t n_args);
PyObject *outline(PyObject *module, PyObject *const *args, Py_ssize_t n_args);

#endif
