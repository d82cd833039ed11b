/* The module, and fastText's label of a line; data/ccnet/fasttext_file.py reads the model.

Every sum is in the library's order and precision, so its numbers come out to the last bit. What is saved:
quantized rows are expanded once, n-grams are hashed in place, and nothing is copied. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MOST_DIMENSIONS 64
#define MOST_BYTES 1024 /* of a word whose n-grams are hashed in place, with its two brackets */
#define QUEUE 256       /* n-grams that are looked up together */

typedef struct {
    PyObject_HEAD
    Py_buffer rows;    /* float32, (n_rows, dim) */
    Py_buffer text;    /* the words' bytes, one after another */
    Py_buffer starts;  /* int32, (n_words + 1): where each word's bytes begin */
    Py_buffer pruned;  /* int32, (n, 2): the buckets that have a row, and it, counted from n_words; empty: all do */
    Py_buffer output;  /* float32, (n_labels - 1, dim) */
    Py_buffer tree;    /* int32, (2 n_labels - 1, 2): the children of a node, or -1 */
    int dim, n_labels, minn, maxn;
    uint32_t bucket, n_words;
    int end_of_line;   /* the number of the word </s>, or -1 */
    int32_t *words;    /* open addressing: the number of a word, or -1 */
    int32_t *grams;    /* open addressing: pairs of a bucket and its row, or -1 */
    uint8_t *present;  /* a bit for each bucket that has a row, and one for all words */
    uint32_t word_mask, gram_mask;
} Model;

static uint32_t fnv(const uint8_t *from, const uint8_t *to) {
    uint32_t h = 2166136261u;
    for (; from < to; from++) h = (h ^ (uint32_t)(int32_t)(int8_t)*from) * 16777619u;
    return h;
}

static inline void add_row(float *restrict sum, const float *restrict row, int dim) {
    if (dim == 16) /* lid.176's: unrolled */
        for (int d = 0; d < 16; d++) sum[d] += row[d];
    else
        for (int d = 0; d < dim; d++) sum[d] += row[d];
}

static int find_word(const Model *m, const uint8_t *from, const uint8_t *to) {
    const int32_t *starts = m->starts.buf;
    const uint8_t *text = m->text.buf;
    uint64_t size = (uint64_t)(to - from);
    for (uint32_t at = fnv(from, to) & m->word_mask; m->words[at] >= 0; at = (at + 1) & m->word_mask) {
        int32_t word = m->words[at];
        if ((uint64_t)(starts[word + 1] - starts[word]) == size && !memcmp(text + starts[word], from, size))
            return word;
    }
    return -1;
}

/* Words and n-grams whose rows are still to be added, in order: a bucket, or the number of buckets and a word. */
typedef struct {
    float sum[MOST_DIMENSIONS];
    int64_t added;
    int size;
    uint32_t waiting[QUEUE];
} Sum;

/* Of those in `waiting`, the ones that have a row come first in it; returns how many. */
static int with_rows(const Model *m, uint32_t *waiting, int size) {
    if (!m->grams) return size;
    int kept = 0;
    for (int i = 0; i < size; i++) {
        uint32_t one = waiting[i], bucket = one < m->bucket ? one : m->bucket; /* words: the bit after the last */
        waiting[kept] = one;
        kept += m->present[bucket >> 3] >> (bucket & 7) & 1;
    }
    for (int i = 0; i < kept; i++) __builtin_prefetch(m->grams + 2 * (waiting[i] & m->gram_mask));
    return kept;
}

static inline int64_t row_of(const Model *m, uint32_t one) {
    if (one >= m->bucket) return one - m->bucket;
    if (!m->grams) return (int64_t)m->n_words + one;
    uint32_t at = one & m->gram_mask;
    while (m->grams[2 * at] != (int32_t)one) at = (at + 1) & m->gram_mask;
    return m->grams[2 * at + 1];
}

/* Add all rows that wait. Each is fetched while others are looked up: the library waits for each. */
static void add_waiting(const Model *m, Sum *s) {
    const float *rows[QUEUE];
    int size = with_rows(m, s->waiting, s->size);
    for (int i = 0; i < size; i++) {
        rows[i] = (const float *)m->rows.buf + row_of(m, s->waiting[i]) * m->dim;
        __builtin_prefetch(rows[i]);
    }
    for (int i = 0; i < size; i++) add_row(s->sum, rows[i], m->dim);
    s->added += size;
    s->size = 0;
}

static inline void add(const Model *m, Sum *s, uint32_t one) {
    if (s->size == QUEUE) add_waiting(m, s);
    s->waiting[s->size++] = one;
}

/* Add all n-grams of a word, which has its brackets around it. */
static void add_grams(const Model *m, const uint8_t *word, int size, Sum *s) {
    for (int i = 0; i < size; i++) {
        if ((word[i] & 0xC0) == 0x80) continue;
        uint32_t h = 2166136261u;
        for (int j = i, n = 1; j < size && n <= m->maxn; n++) {
            do {
                h = (h ^ (uint32_t)(int32_t)(int8_t)word[j]) * 16777619u;
                j++;
            } while (j < size && (word[j] & 0xC0) == 0x80);
            if (n >= m->minn && (n > 1 || (i > 0 && j < size))) add(m, s, h % m->bucket);
        }
    }
}

static float log_of(float x) { return (float)log(x + 1e-5); }

/* The best leaf below a node, depth first. */
static void descend(const Model *m, int node, float score, const float *hidden, int *best, float *best_score) {
    if (score < log_of(0.0f) || (*best >= 0 && score < *best_score)) return;
    const int32_t *children = (const int32_t *)m->tree.buf + 2 * node;
    if (children[0] < 0) {
        *best = node, *best_score = score; /* the library's heap keeps the later of two equal leaves */
        return;
    }
    const float *row = (const float *)m->output.buf + (int64_t)(node - m->n_labels) * m->dim;
    float f = 0.0f;
    for (int d = 0; d < m->dim; d++) f += row[d] * hidden[d];
    f = (float)(1. / (1 + expf(-f)));
    descend(m, children[0], score + log_of((float)(1.0 - f)), hidden, best, best_score);
    descend(m, children[1], score + log_of(f), hidden, best, best_score);
}

static int is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0; }

static PyObject *Model_predict(Model *m, PyObject *given) {
    Py_ssize_t length;
    const uint8_t *at = (const uint8_t *)PyUnicode_AsUTF8AndSize(given, &length);
    if (!at) return NULL;
    const uint8_t *end = at + length;
    Sum s;
    memset(s.sum, 0, sizeof s.sum);
    s.added = s.size = 0;
    float best_score = 0;
    uint8_t small[MOST_BYTES], *word = small;
    int best = -1, is_ended = 0;
    while (!is_ended) {
        while (at < end && is_space(*at)) at++;
        const uint8_t *from = at;
        while (at < end && !is_space(*at)) at++;
        int64_t size = at - from;
        int known = size ? find_word(m, from, at) : m->end_of_line;
        is_ended = !size || (size == 4 && !memcmp(from, "</s>", 4));
        if (known >= 0) add(m, &s, m->bucket + (uint32_t)known);
        if (is_ended || (size >= 9 && !memcmp(from, "__label__", 9))) continue;
        if (size + 2 > INT32_MAX) return PyErr_Format(PyExc_ValueError, "a word of 2 GiB");
        if (size + 2 > MOST_BYTES && !(word = PyMem_Malloc(size + 2))) return PyErr_NoMemory();
        word[0] = '<';
        memcpy(word + 1, from, size);
        word[size + 1] = '>';
        add_grams(m, word, (int)size + 2, &s);
        if (word != small) PyMem_Free(word);
        word = small;
    }
    add_waiting(m, &s);
    if (!s.added) return Py_BuildValue("(id)", -1, 0.0);
    float share = (float)(1.0 / s.added);
    for (int d = 0; d < m->dim; d++) s.sum[d] *= share;
    descend(m, 2 * m->n_labels - 2, 0.0f, s.sum, &best, &best_score);
    return Py_BuildValue("(id)", best, best < 0 ? 0.0 : (double)expf(best_score));
}

static uint32_t table_size(uint64_t entries) {
    uint32_t size = 16;
    while (size < 2 * entries) size *= 2;
    return size;
}

static int fill_tables(Model *m) {
    const int32_t *starts = m->starts.buf, *pruned = m->pruned.buf;
    const uint8_t *text = m->text.buf;
    uint32_t size = table_size(m->n_words), n_pruned = (uint32_t)(m->pruned.len / 8);
    if (!(m->words = PyMem_Malloc(4 * (size_t)size))) return -1;
    memset(m->words, 0xff, 4 * (size_t)size);
    m->word_mask = size - 1;
    for (uint32_t word = 0; word < m->n_words; word++) {
        uint32_t at = fnv(text + starts[word], text + starts[word + 1]) & m->word_mask;
        while (m->words[at] >= 0) at = (at + 1) & m->word_mask;
        m->words[at] = (int32_t)word;
    }
    m->end_of_line = find_word(m, (const uint8_t *)"</s>", (const uint8_t *)"</s>" + 4);
    if (!n_pruned) return 0;
    size = table_size(n_pruned);
    m->gram_mask = size - 1;
    m->grams = PyMem_Malloc(8 * (size_t)size);
    m->present = PyMem_Calloc(m->bucket / 8 + 1, 1);
    if (!m->grams || !m->present) return -1;
    m->present[m->bucket >> 3] |= 1 << (m->bucket & 7); /* of every word */
    memset(m->grams, 0xff, 8 * (size_t)size);
    for (uint32_t i = 0; i < n_pruned; i++) {
        uint32_t bucket = (uint32_t)pruned[2 * i], at = bucket & m->gram_mask;
        if (bucket >= m->bucket) continue;
        while (m->grams[2 * at] >= 0) at = (at + 1) & m->gram_mask;
        m->grams[2 * at] = (int32_t)bucket;
        m->grams[2 * at + 1] = (int32_t)m->n_words + pruned[2 * i + 1];
        m->present[bucket >> 3] |= 1 << (bucket & 7);
    }
    return 0;
}

static int Model_init(Model *m, PyObject *args, PyObject *named) {
    (void)named;
    if (m->rows.obj) {
        PyErr_SetString(PyExc_ValueError, "already initialized");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*iiiII", &m->rows, &m->text, &m->starts, &m->pruned, &m->output,
                          &m->tree, &m->dim, &m->minn, &m->maxn, &m->bucket, &m->n_words))
        return -1;
    m->n_labels = (int)(m->tree.len / 8 + 1) / 2;
    uint64_t n_rows = m->n_words + (m->pruned.len ? (uint64_t)m->pruned.len / 8 : m->bucket);
    if (m->dim < 1 || m->dim > MOST_DIMENSIONS || !m->bucket || m->n_labels < 2 ||
        (uint64_t)m->bucket + m->n_words > UINT32_MAX ||
        (uint64_t)m->rows.len < 4 * n_rows * m->dim || m->starts.len != 4 * ((Py_ssize_t)m->n_words + 1) ||
        m->output.len < 4 * (Py_ssize_t)(m->n_labels - 1) * m->dim) {
        PyErr_SetString(PyExc_ValueError, "tables that do not fit together");
        return -1;
    }
    if (fill_tables(m) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void Model_dealloc(Model *m) {
    Py_buffer *all[] = {&m->rows, &m->text, &m->starts, &m->pruned, &m->output, &m->tree};
    for (int i = 0; i < 6; i++) PyBuffer_Release(all[i]); /* of an empty one: nothing */
    PyMem_Free(m->words);
    PyMem_Free(m->grams);
    PyMem_Free(m->present);
    Py_TYPE(m)->tp_free((PyObject *)m);
}

static PyMethodDef methods[] = {
    {"predict", (PyCFunction)Model_predict, METH_O, "The number of the likeliest label, or -1, and its probability."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "data.ccnet.native.Model",
    .tp_basicsize = sizeof(Model),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A fastText classifier with a hierarchical softmax.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Model_init,
    .tp_dealloc = (destructor)Model_dealloc,
    .tp_methods = methods,
};

extern PyTypeObject NgramsType, PiecesType; /* ngrams.c, pieces.c */

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_native(void) {
    if (PyType_Ready(&Type) < 0 || PyType_Ready(&NgramsType) < 0 || PyType_Ready(&PiecesType) < 0) return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made && (PyModule_AddObjectRef(made, "Model", (PyObject *)&Type) < 0 ||
                 PyModule_AddObjectRef(made, "Ngrams", (PyObject *)&NgramsType) < 0 ||
                 PyModule_AddObjectRef(made, "Pieces", (PyObject *)&PiecesType) < 0)) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
