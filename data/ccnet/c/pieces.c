/* SentencePiece's best segmentation of a line by a unigram model (unigram_model.cc, EncodeOptimized);
data/ccnet/unigram_file.py reads the model.

The library adds scores along the line in float32, so that near ties are decided by what precedes them. Every sum
is in its order and precision here. What is saved: a short word is segmented once and remembered with the margin
of its best segmentation over all others; where that exceeds the rounding errors, the word has no near tie. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MOST_BYTES 20 /* of a remembered word, with the space before it */
#define MOST_PIECES 8
#define LEAST_SCORE -90000.0f /* of a line of 40 KB; from -100,000 the library (0.2.3) adds in another way */
#define SLOTS (1 << 16) /* 4 MiB */

/* A node of the trie over the pieces' bytes; its children are neighbors, in the order of their bytes. */
typedef struct {
    uint64_t has[4];    /* a bit for each byte that has a child */
    uint16_t before[4]; /* how many bits are in the words before */
    uint32_t child;     /* the first */
    int32_t piece;      /* that ends here, or -1 */
    float score;
} Node;

/* A word as segmented at the beginning of a line. */
typedef struct {
    uint8_t text[MOST_BYTES], size, count; /* size: 0 if empty */
    int32_t pieces[MOST_PIECES];
    float score, margin;
} Word;

typedef struct {
    PyObject_HEAD
    Node *nodes;
    float *scores; /* of each piece, by its number */
    Word *words;   /* at the place of their hash; NULL if a piece may hold more than one word */
    float unknown_score;
} Pieces;

/* The best segmentation that ends at a byte. */
typedef struct {
    float score;
    int32_t start, piece; /* of its last piece; start: -1 if there is none */
} End;

typedef struct {
    const uint8_t *text;
    Py_ssize_t size;
    int32_t piece;
} Entry;

static const Node *step(const Node *nodes, const Node *node, uint8_t byte) {
    uint64_t word = node->has[byte >> 6], bit = 1ULL << (byte & 63);
    if (!(word & bit)) return NULL;
    return nodes + node->child + node->before[byte >> 6] + __builtin_popcountll(word & (bit - 1));
}

static inline void offer(End *end, float score, int32_t start, int32_t piece) {
    if (end->start >= 0 && !(score > end->score)) return;
    *end = (End){score, start, piece};
}

static inline int32_t character_length(uint8_t first) {
    return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The pieces of a text, which begins at `first` in its line and whose preceding pieces score `before`, and how many; of
an unknown character at a byte i of the line, -1 - i. */
static int32_t segment(const Pieces *m, const uint8_t *text, int32_t size, int32_t first, float before, End *ends,
                       int32_t *pieces) {
    for (int32_t i = 0; i <= size; i++) ends[i].start = -1;
    ends[0].score = before;
    for (int32_t start = 0, length; start < size; start += length) {
        const Node *node = m->nodes;
        float so_far = ends[start].score;
        int is_known = 0;
        length = character_length(text[start]);
        if (length > size - start) length = size - start;
        for (int32_t at = start; at < size && (node = step(m->nodes, node, text[at]));) {
            at++;
            if (node->piece < 0) continue;
            offer(ends + at, node->score + so_far, start, node->piece);
            is_known |= at - start == length;
        }
        if (!is_known) offer(ends + start + length, m->unknown_score + so_far, start, -1);
    }
    int32_t count = 0;
    for (int32_t at = size; at > 0; at = ends[at].start) count++;
    for (int32_t at = size, place = count; at > 0; at = ends[at].start)
        pieces[--place] = ends[at].piece < 0 ? -1 - (first + ends[at].start) : ends[at].piece;
    return count;
}

/* The best and the second best segmentation that end at a byte. */
typedef struct {
    double best, second;
    int32_t start, piece;
} Ranks;

static inline void rank(Ranks *end, const Ranks *from, double score, int32_t start, int32_t piece) {
    double best = from->best + score, second = from->second + score;
    if (best > end->best) {
        end->second = second > end->best ? second : end->best;
        end->best = best, end->start = start, end->piece = piece;
    } else if (best > end->second) end->second = best;
}

/* Segment a short word with the margin of the best segmentation over all others; 0 if it is not to be remembered. */
static int remember(const Pieces *m, const uint8_t *text, int32_t size, Word *word) {
    Ranks ends[MOST_BYTES + 1];
    for (int32_t i = 0; i <= size; i++) ends[i].best = ends[i].second = -INFINITY;
    ends[0].best = 0;
    for (int32_t start = 0, length; start < size; start += length) {
        const Node *node = m->nodes;
        int is_known = 0;
        length = character_length(text[start]);
        if (length > size - start) length = size - start;
        for (int32_t at = start; at < size && (node = step(m->nodes, node, text[at]));) {
            at++;
            if (node->piece < 0) continue;
            rank(ends + at, ends + start, node->score, start, node->piece);
            is_known |= at - start == length;
        }
        if (!is_known) rank(ends + start + length, ends + start, m->unknown_score, start, -1);
    }
    int32_t count = 0;
    for (int32_t at = size; at > 0; at = ends[at].start, count++)
        if (ends[at].piece < 0) return 0;
    if (count > MOST_PIECES) return 0;
    word->size = (uint8_t)size, word->count = (uint8_t)count;
    memcpy(word->text, text, (size_t)size);
    for (int32_t at = size; at > 0; at = ends[at].start) word->pieces[--count] = ends[at].piece;
    word->score = (float)ends[size].best;
    word->margin = (float)(ends[size].best - ends[size].second);
    return 1;
}

static const Word *remembered(const Pieces *m, const uint8_t *text, int32_t size) {
    uint32_t hash = 2166136261u;
    for (int32_t i = 0; i < size; i++) hash = (hash ^ text[i]) * 16777619u;
    Word *word = m->words + ((hash ^ hash >> 16) & (SLOTS - 1));
    int is_same = word->size == size && !memcmp(word->text, text, (size_t)size);
    return is_same || remember(m, text, size, word) ? word : NULL;
}

/* The same as `segment` for one word, also adding its pieces to `score`. */
static int32_t add_word(const Pieces *m, const uint8_t *text, int32_t size, int32_t first, float *score, End *ends,
                        int32_t *pieces) {
    const Word *word = m->words && size <= MOST_BYTES ? remembered(m, text, size) : NULL;
    /* A sum of `size` terms is wrong by at most size / 2 units in the last place, each 2^-23 of it; of two sums, and
    twice that for the other's greater size. */
    if (word && word->margin > 2 * size * 1.2e-7f * (fabsf(*score) + fabsf(word->score))) {
        for (int32_t i = 0; i < word->count; i++) {
            pieces[i] = word->pieces[i];
            *score += m->scores[pieces[i]];
        }
        return word->count;
    }
    int32_t count = segment(m, text, size, first, *score, ends, pieces);
    *score = ends[size].score;
    return count;
}

static int has_space(PyObject *text) {
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++)
        if (Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(text, i))) return 1;
    return 0;
}

/* The pieces' numbers, but neighboring unknown characters as one text, as in the library; None if a space is one. */
static PyObject *list_of(const uint8_t *line, const int32_t *pieces, Py_ssize_t count) {
    PyObject *list = PyList_New(count), *piece;
    Py_ssize_t n = 0;
    for (Py_ssize_t i = 0; list && i < count; n++) {
        if (pieces[i] < 0) {
            int32_t start = -1 - pieces[i], end = start;
            for (; i < count && pieces[i] == -1 - end; i++) end += character_length(line[end]);
            piece = PyUnicode_DecodeUTF8((const char *)line + start, end - start, NULL);
            if (piece && has_space(piece)) {
                Py_DECREF(piece);
                Py_DECREF(list);
                Py_RETURN_NONE;
            }
        } else piece = PyLong_FromLong(pieces[i++]);
        if (piece) PyList_SET_ITEM(list, n, piece);
        else Py_CLEAR(list);
    }
    if (list && n < count && PyList_SetSlice(list, n, count, NULL) < 0) Py_CLEAR(list);
    return list;
}

static PyObject *Pieces_encode(Pieces *m, PyObject *line) {
    Py_ssize_t size;
    const uint8_t *text = (const uint8_t *)PyUnicode_AsUTF8AndSize(line, &size);
    if (!text || !m->nodes) return text ? PyErr_Format(PyExc_ValueError, "not initialized") : NULL;
    if (size >= INT32_MAX) return PyErr_Format(PyExc_ValueError, "a line of 2 GiB");
    End *ends = PyMem_Malloc(sizeof(End) * (size_t)(size + 1));
    int32_t *pieces = PyMem_Malloc(4 * (size_t)(size + 1));
    PyObject *list = NULL;
    if (ends && pieces) {
        Py_ssize_t total = 0;
        int32_t count;
        float score = 0;
        for (Py_ssize_t at = 0, end; at < size && score >= LEAST_SCORE; at = end, total += count) {
            const uint8_t *space = m->words ? memchr(text + at + 1, ' ', (size_t)(size - at - 1)) : NULL;
            end = space ? space - text : size;
            count = add_word(m, text + at, (int32_t)(end - at), (int32_t)at, &score, ends, pieces + total);
        }
        list = score < LEAST_SCORE ? Py_NewRef(Py_None) : list_of(text, pieces, total);
    } else PyErr_NoMemory();
    PyMem_Free(ends);
    PyMem_Free(pieces);
    return list;
}

/* The trie over sorted, distinct entries, breadth first; `room` nodes are enough. */
static void build(Node *nodes, const Entry *entries, const float *scores, uint32_t n, uint32_t (*spans)[3]) {
    uint32_t made = 1;
    spans[0][0] = 0, spans[0][1] = n, spans[0][2] = 0;
    for (uint32_t i = 0; i < made; i++) {
        uint32_t low = spans[i][0], high = spans[i][1], depth = spans[i][2];
        Node *node = nodes + i;
        *node = (Node){{0}, {0}, made, -1, 0};
        if (low < high && (uint32_t)entries[low].size == depth) {
            node->piece = entries[low].piece;
            node->score = scores[low++];
        }
        while (low < high) {
            uint8_t byte = entries[low].text[depth];
            uint32_t next = low + 1;
            while (next < high && entries[next].text[depth] == byte) next++;
            node->has[byte >> 6] |= 1ULL << (byte & 63);
            spans[made][0] = low, spans[made][1] = next, spans[made][2] = depth + 1;
            made++;
            low = next;
        }
        for (int word = 1; word < 4; word++)
            node->before[word] = node->before[word - 1] + (uint16_t)__builtin_popcountll(node->has[word - 1]);
    }
}

static int is_sorted(const Entry *entries, Py_ssize_t n) {
    for (Py_ssize_t i = 1; i < n; i++) {
        const Entry *a = entries + i - 1, *b = entries + i;
        int order = memcmp(a->text, b->text, (size_t)(a->size < b->size ? a->size : b->size));
        if (order > 0 || (order == 0 && a->size >= b->size)) return 0;
    }
    return n == 0 || entries[0].size > 0;
}

/* The tables of a model, from its sorted entries; -1 after an error. */
static int make(Pieces *m, const Entry *entries, const float *scores, uint32_t n, size_t room, int32_t most) {
    uint32_t(*spans)[3] = PyMem_Malloc(sizeof(*spans) * room);
    int has_inner_spaces = 0;
    m->nodes = PyMem_Malloc(sizeof(Node) * room);
    m->scores = PyMem_Calloc((size_t)most + 1, sizeof(float));
    if (!spans || !m->nodes || !m->scores) {
        PyMem_Free(spans);
        PyErr_NoMemory();
        return -1;
    }
    build(m->nodes, entries, scores, n, spans);
    PyMem_Free(spans);
    for (uint32_t i = 0; i < n; i++) {
        m->scores[entries[i].piece] = scores[i];
        has_inner_spaces |= !!memchr(entries[i].text + 1, ' ', (size_t)entries[i].size - 1);
    }
    if (!has_inner_spaces && !(m->words = PyMem_Calloc(SLOTS, sizeof(Word)))) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Pieces(texts, numbers, scores, unknown_score): texts sorted by their UTF-8; numbers int32; scores float32. */
static int Pieces_init(Pieces *m, PyObject *args, PyObject *named) {
    (void)named;
    PyObject *texts;
    Py_buffer numbers = {0}, scores = {0};
    if (m->nodes || !PyArg_ParseTuple(args, "O!y*y*f", &PyList_Type, &texts, &numbers, &scores, &m->unknown_score)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "already initialized");
        return -1;
    }
    Py_ssize_t n = PyList_GET_SIZE(texts);
    size_t room = 1;
    int32_t most = 0;
    Entry *entries = PyMem_Malloc(sizeof(Entry) * (size_t)(n + 1));
    int is_right = entries && numbers.len == 4 * n && scores.len == 4 * n;
    for (Py_ssize_t i = 0; i < n && is_right; i++) {
        Entry *one = entries + i;
        one->text = (const uint8_t *)PyUnicode_AsUTF8AndSize(PyList_GET_ITEM(texts, i), &one->size);
        one->piece = ((const int32_t *)numbers.buf)[i];
        is_right = one->text && one->piece >= 0;
        if (is_right) room += (size_t)one->size;
        if (one->piece > most) most = one->piece;
    }
    is_right = is_right && room < UINT32_MAX && is_sorted(entries, n);
    if (is_right) is_right = make(m, entries, scores.buf, (uint32_t)n, room, most) == 0;
    else if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "tables that do not fit together");
    PyMem_Free(entries);
    PyBuffer_Release(&numbers);
    PyBuffer_Release(&scores);
    return is_right ? 0 : -1;
}

static void Pieces_dealloc(Pieces *m) {
    PyMem_Free(m->nodes);
    PyMem_Free(m->scores);
    PyMem_Free(m->words);
    Py_TYPE(m)->tp_free((PyObject *)m);
}

static PyMethodDef pieces_methods[] = {
    {"encode", (PyCFunction)Pieces_encode, METH_O,
     "The numbers of a normalized line's pieces, and unknown characters' texts; None if the line is too long."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject PiecesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "data.ccnet.native.Pieces",
    .tp_basicsize = sizeof(Pieces),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The pieces of a unigram model.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Pieces_init,
    .tp_dealloc = (destructor)Pieces_dealloc,
    .tp_methods = pieces_methods,
};
