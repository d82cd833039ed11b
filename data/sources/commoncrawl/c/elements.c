/* The elements of a serialized page. */

#define _GNU_SOURCE
#include "web.h"

#define UNBOUNDED ((uint64_t)1 << 40)
#define KELVIN "\xE2\x84\xAA" /* the only sign beyond ASCII whose lower case is a letter of ASCII: k */

typedef struct {
    const char *name;
    uint32_t flags;
} Kind;

/* By name. */
static const Kind kinds[] = {
    {"a", INLINE}, {"abbr", INLINE}, {"area", EMPTY}, {"article", NO_BOX | ROOT}, {"b", INLINE},
    {"base", EMPTY}, {"basefont", EMPTY}, {"bgsound", EMPTY}, {"big", INLINE}, {"br", EMPTY}, {"button", DARK},
    {"cite", INLINE}, {"code", INLINE}, {"col", EMPTY}, {"em", INLINE}, {"embed", EMPTY}, {"font", INLINE},
    {"form", FORM}, {"frame", EMPTY}, {"h1", NO_BOX}, {"h2", NO_BOX}, {"h3", NO_BOX}, {"h4", NO_BOX},
    {"h5", NO_BOX}, {"h6", NO_BOX}, {"hr", EMPTY}, {"i", INLINE}, {"iframe", DARK | RAW},
    {"img", EMPTY | INLINE}, {"input", EMPTY}, {"kbd", INLINE}, {"keygen", EMPTY}, {"li", LIST},
    {"link", EMPTY}, {"listing", PRE}, {"main", NO_BOX | ROOT}, {"math", FOREIGN}, {"meta", EMPTY},
    {"nav", DARK}, {"noembed", RAW}, {"noframes", RAW}, {"noscript", DARK | SILENT}, {"ol", LIST},
    {"p", PARAGRAPH}, {"param", EMPTY}, {"plaintext", VERBATIM}, {"pre", PARAGRAPH | PRE}, {"q", INLINE},
    {"s", INLINE}, {"samp", INLINE}, {"script", DARK | LINKED | RAW | SILENT}, {"select", DARK | LINKED},
    {"small", INLINE}, {"source", EMPTY}, {"span", INLINE}, {"strike", INLINE}, {"strong", INLINE},
    {"style", DARK | RAW | SILENT}, {"sub", INLINE}, {"sup", INLINE}, {"svg", FOREIGN}, {"template", MUTED},
    {"track", EMPTY}, {"tt", INLINE}, {"u", INLINE}, {"ul", LIST}, {"var", INLINE}, {"wbr", EMPTY},
    {"xmp", PRE | RAW},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };
static uint8_t firsts[256 + 1]; /* of the kinds with each first letter; the next letter's follow */
static byte plain[256];         /* 1: space in ASCII, 2: any other character of it but &, 0: the rest */

void prepare_kinds(void) {
    for (int letter = 0, i = 0; letter <= 256; letter++) {
        firsts[letter] = (uint8_t)i;
        while (i < N_KINDS && (byte)*kinds[i].name == letter) i++;
    }
    for (byte c = 0; c < 0x80; c++) plain[c] = c == '&' ? 0 : is_space(&c) ? 1 : 2;
}

static uint32_t kind_of(const byte *name, uint32_t n) {
    for (int i = firsts[*name]; i < firsts[*name + 1]; i++)
        if (is_name(name, n, kinds[i].name)) return kinds[i].flags;
    return 0;
}

/* One character of the text, beyond ASCII or escaped. A space may be extracted as a character. */
static void add_character(Page *page, int is_word) {
    Sums *now = &page->now;
    int starts = is_word && !(now->at && page->is_word[now->at - 1]);
    page->is_word[now->at++] = (byte)is_word;
    now->nonspace += (uint32_t)is_word;
    now->starts += (uint32_t)starts;
    if (!page->dark) page->shown += (uint64_t)(page->pre ? 1 : is_word ? 1 + starts : 2);
}

/* The same for all characters up to one that needs a closer look; returns the position after them. Most of a page's text
passes here, so nothing but the loop's condition is a branch. */
static const byte *add_plain(Page *page, const byte *at, const byte *end) {
    Sums *now = &page->now;
    const byte *begin = at;
    byte *is_word = page->is_word + now->at, was_word = now->at && is_word[-1];
    uint32_t nonspace = 0, starts = 0;
    for (byte kind; at < end && (kind = plain[*at]); at++) {
        byte word = kind - 1;
        *is_word++ = word;
        nonspace += word;
        starts += word & !was_word;
        was_word = word;
    }
    uint32_t n = (uint32_t)(at - begin);
    now->at += n, now->nonspace += nonspace, now->starts += starts;
    if (!page->dark) page->shown += page->pre ? n : nonspace + starts;
    if (page->pre && page->lists)
        for (; begin < at; begin++) page->extra += *begin == '\n' ? 2 * (uint64_t)page->lists : 0;
    return at;
}

static void add_text(Page *page, const byte *at, const byte *end, int is_raw) {
    while ((at = add_plain(page, at, end)) < end) {
        if (*at == '&' && !is_raw) {
            const byte *semicolon = memchr(at, ';', (size_t)(end - at));
            add_character(page, at[1] != 'n'); /* of &amp; &lt; &gt; &quot; &nbsp; */
            at = semicolon ? semicolon + 1 : end;
            continue;
        }
        add_character(page, !is_space(at));
        at += width(*at);
    }
}

static int holds(const byte *at, const byte *end, const char *word) {
    for (; at < end; at++)
        if (is_word(at, end, word)) return 1;
    return 0;
}

/* Whether resiliparse may take an element for the root of the main content, wherever it is. */
static int may_be_root(const Element *element) {
    const byte *class = element->class, *end = class + element->n_class;
    return element->flags & ROOT || holds(class, end, "content") || holds(class, end, "article") ||
           holds(class, end, "single-post");
}

/* An element, from the position after its "<"; returns that after its ">", or NULL. */
static const byte *read_tag(const byte *at, const byte *end, Element *element) {
    element->name = at;
    while (at < end && *at != ' ' && *at != '>') at++;
    element->n_name = (uint32_t)(at - element->name);
    while (at < end && *at == ' ') {
        const byte *name = ++at;
        if (at < end) at++; /* the first character may be = */
        while (at < end && *at != '=' && *at != '>') at++;
        uint32_t n = (uint32_t)(at - name);
        if (end - at < 2 || at[0] != '=' || at[1] != '"') return NULL;
        const byte *value = at + 2, *close = memchr(value, '"', (size_t)(end - value));
        if (!close) return NULL;
        int is_class = is_name(name, n, "class"), is_id = is_name(name, n, "id");
        if (is_class) element->class = value, element->n_class = (uint32_t)(close - value);
        if (is_id) element->id = value, element->n_id = (uint32_t)(close - value);
        if ((is_class || is_id) && memmem(value, (size_t)(close - value), KELVIN, 3)) return NULL;
        if (is_name(name, n, "hidden")) element->flags |= HAS_HIDDEN;
        if (is_name(name, n, "href") && is_name(element->name, element->n_name, "a")) element->flags |= LINKED;
        if (is_name(name, n, "role") && holds(value, close, "main")) element->flags |= ROOT;
        at = close + 1;
    }
    return at < end && *at == '>' ? at + 1 : NULL;
}

static int32_t add_element(Page *page) {
    if (page->n == page->room) {
        int32_t room = page->room ? 2 * page->room : 512;
        Element *grown = PyMem_Realloc(page->elements, (size_t)room * sizeof *grown);
        if (!grown) return -1;
        page->elements = grown, page->room = room;
    }
    return page->n++;
}

static void enter(Page *page, Element *element) {
    element->before = page->now;
    page->lists += !!(element->flags & LIST);
    page->dark += !!(element->flags & DARK);
    page->pre += !!(element->flags & PRE);
    if (!page->dark && !(element->flags & INLINE))
        page->extra += 5 + 2 * (uint64_t)page->lists + (element->flags & LIST ? 14 : 0);
    if (page->dark) page->extra += may_be_root(element) ? UNBOUNDED : 1;
}

static void leave(Page *page, int32_t which) {
    Element *element = page->elements + which;
    element->after = page->now;
    element->last = page->n - 1;
    page->lists -= !!(element->flags & LIST);
    page->dark -= !!(element->flags & DARK);
    page->pre -= !!(element->flags & PRE);
    if (element->flags & LINKED) page->now.linked += size_of(page, element);
    if (element->flags & SILENT) page->silent += element->after.at - element->before.at;
}

/* The end of the text of <script> and the like: their end tag, or NULL. */
static const byte *raw_end(const byte *at, const byte *end, const Element *element) {
    for (; (at = memchr(at, '<', (size_t)(end - at))); at++)
        if ((size_t)(end - at) > element->n_name + 2 && at[1] == '/' && at[element->n_name + 2] == '>' &&
            !memcmp(at + 2, element->name, element->n_name))
            return at;
    return NULL;
}

static const byte *after_comment(const byte *at, const byte *end) {
    for (; (at = memchr(at, '-', (size_t)(end - at))); at++)
        if (end - at >= 3 && at[1] == '-' && at[2] == '>') return at + 3;
    return NULL;
}

static void link_siblings(Page *page, int32_t which, int32_t *last_child) {
    Element *element = page->elements + which, *parent = page->elements + element->parent;
    element->previous = parent->flags & HAS_CHILD ? *last_child : -1;
    element->place = element->previous < 0 ? 1 : page->elements[element->previous].place + 1;
    if (element->previous >= 0) page->elements[element->previous].next = which;
    parent->flags |= HAS_CHILD;
    *last_child = which;
}

int read_page(Page *page, const byte *at, const byte *end) {
    int32_t open = -1, depth = 0, foreign = 0, muted = 0; /* muted: open templates, whose content is apart */
    int32_t last_children[MOST_DEPTH];
    while (at < end) {
        const byte *tag = memchr(at, '<', (size_t)(end - at));
        if (!tag) return 0;
        if (tag > at && !muted) add_text(page, at, tag, 0);
        at = tag + 1;
        if (end - at >= 3 && !memcmp(at, "!--", 3)) {
            if (!(at = after_comment(at + 3, end))) return 0;
        } else if (*at == '/') {
            const byte *name = at + 1, *close = memchr(at, '>', (size_t)(end - at));
            if (!close) return 0;
            at = close + 1;
            if (muted && (!is_name(name, (uint32_t)(close - name), "template") || --muted)) continue;
            if (open < 0) return 0;
            Element *element = page->elements + open;
            if (element->n_name != (uint32_t)(close - name) || memcmp(element->name, name, element->n_name)) return 0;
            foreign -= !!(element->flags & FOREIGN);
            leave(page, open);
            open = element->parent;
            depth--;
            if (open < 0) return at == end;
        } else {
            Element read = {0};
            if (*at == '!' || *at == '?' || !(at = read_tag(at, end, &read))) return 0;
            read.flags |= kind_of(read.name, read.n_name);
            int is_template = !!(read.flags & MUTED);
            const byte *text_end = read.flags & RAW ? raw_end(at, end, &read) : at;
            if (!text_end || read.flags & VERBATIM || (foreign && is_template)) return 0;
            if (foreign && (memchr(at, '&', (size_t)(text_end - at)) || memchr(at, '<', (size_t)(text_end - at))))
                return 0; /* escaped or not, according to the parser's version */
            if (muted) {
                muted += is_template;
                at = text_end;
                continue;
            }
            if (depth >= MOST_DEPTH || (open < 0 && page->n)) return 0;
            int32_t which = add_element(page);
            if (which < 0) return -1;
            Element *element = page->elements + which;
            *element = read;
            element->parent = open;
            element->previous = element->next = -1;
            if (open >= 0) link_siblings(page, which, last_children + depth - 1);
            enter(page, element);
            if (read.flags & EMPTY) {
                leave(page, which);
                continue;
            }
            foreign += !!(read.flags & FOREIGN);
            open = which;
            depth++;
            if (read.flags & RAW) add_text(page, at, text_end, 1);
            at = text_end;
            muted = is_template;
        }
    }
    return 0;
}
