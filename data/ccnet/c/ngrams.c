/* KenLM's score of a line, from its trie (lm/trie.hh, lm/search_trie.hh and lm/model.cc of KenLM), not quantized;
data/ccnet/kenlm_file.py reads the file.

Every sum is in KenLM's order and precision, so its numbers come out to the last bit. What is saved: pieces are
looked up in the vocabulary once, not at each occurrence, no text is made of them, and lookups overlap. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MOST_ORDER 6
#define BLOCK 512  /* words that are looked up together */
#define AHEAD 8    /* words between fetching memory and using it */
#define LINEAR 8   /* records that are read one after another */

typedef struct {
    float probability, backoff;
    uint64_t next;
} Unigram;

typedef struct {
    const uint8_t *base; /* records of word, probability (31 bits), backoff (32), next: the last order has only two */
    uint64_t count;      /* of records */
    uint8_t total_bits, next_bits;
} Level;

typedef struct {
    PyObject_HEAD
    Py_buffer file;
    const Unigram *unigrams;
    Level levels[MOST_ORDER]; /* of 2-grams first */
    int order;
    uint8_t word_bits;
    uint64_t n_words;
    const uint64_t *hashes; /* of the vocabulary, sorted */
    uint64_t n_hashes;
    uint32_t *words; /* for each piece, its number in the file's vocabulary; then those of <s> and </s> */
    Py_ssize_t n_pieces;
} Ngrams;

/* What is known of a word at its place in the line. */
typedef struct {
    uint64_t begin, end; /* of the n-grams that extend the longest one found to the left */
    float score, backoffs[MOST_ORDER];
    int length;  /* of the longest n-gram found that ends here */
    int context; /* of the longest that some n-gram extends to the right: the context of the next word */
} Place;

static uint64_t murmur(const uint8_t *key, size_t size) {
    const uint64_t m = 0xc6a4a7935bd1e995ULL;
    uint64_t h = size * m, k;
    for (; size >= 8; key += 8, size -= 8) {
        memcpy(&k, key, 8);
        k *= m;
        k ^= k >> 47;
        h = (h ^ k * m) * m;
    }
    if (size) {
        k = 0;
        memcpy(&k, key, size);
        h = (h ^ k) * m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

static inline uint64_t bits_at(const uint8_t *base, uint64_t bit) {
    uint64_t value;
    memcpy(&value, base + (bit >> 3), 8);
    return value >> (bit & 7);
}

static inline float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline int extends(float backoff) { return backoff != 0 || !signbit(backoff); }

static inline uint64_t guess(uint64_t begin, uint64_t end, uint64_t low, uint64_t high, uint32_t word) {
    return begin + (word - low) * (end - begin) / (high - low + 1);
}

/* The number of a word's record among the sorted ones from begin up to end, or UINT64_MAX. */
static inline uint64_t find(const Ngrams *m, const Level *level, uint64_t begin, uint64_t end, uint32_t word) {
    uint64_t mask = (1ULL << m->word_bits) - 1, low = 0, high = m->n_words;
    while (end - begin > LINEAR) { /* the vocabulary is sorted by a hash, so words are spread evenly */
        uint64_t middle = guess(begin, end, low, high, word);
        uint32_t found = (uint32_t)(bits_at(level->base, middle * level->total_bits) & mask);
        if (found == word) return middle;
        if (found < word) begin = middle + 1, low = found;
        else end = middle, high = found;
    }
    for (uint64_t bit = begin * level->total_bits; begin < end; begin++, bit += level->total_bits) {
        uint32_t found = (uint32_t)(bits_at(level->base, bit) & mask);
        if (found >= word) return found == word ? begin : UINT64_MAX;
    }
    return UINT64_MAX;
}

static inline int is_open(const Place *place, int length, uint64_t count) {
    return place->length == length && place->begin < place->end && place[-1].context >= length &&
           place->end <= count; /* in a damaged file it may not be */
}

/* Look up `n` words after places[0], which is known; `words` also has those before them.

All n-grams of one length are looked up before any longer one, so that a lookup's memory can be fetched while
others are under way: KenLM waits for each. */
static void look_up(const Ngrams *m, const uint32_t *words, int n, Place *places) {
    for (int i = 1; i <= n; i++) {
        const Unigram *one = m->unigrams + words[i];
        places[i] = (Place){one[0].next, one[1].next, one->probability, {one->backoff}, 1, extends(one->backoff)};
    }
    for (int length = 1; length < m->order; length++) {
        const Level *level = m->levels + length - 1;
        uint64_t mask = (1ULL << level->next_bits) - 1;
        for (int i = 1; i <= n; i++) {
            Place *place = places + i, *later = place + AHEAD;
            if (i + AHEAD <= n && is_open(later, length, level->count)) {
                uint32_t word = words[i + AHEAD - length];
                uint64_t bit = guess(later->begin, later->end, 0, m->n_words, word) * level->total_bits;
                __builtin_prefetch(level->base + (bit >> 3));
            }
            if (!is_open(place, length, level->count)) continue;
            uint64_t at = find(m, level, place->begin, place->end, words[i - length]);
            if (at == UINT64_MAX) continue;
            uint64_t bit = at * level->total_bits + m->word_bits;
            place->score = as_float((uint32_t)bits_at(level->base, bit) | 0x80000000u);
            place->length = length + 1;
            if (length == m->order - 1) continue;
            float backoff = place->backoffs[length] = as_float((uint32_t)bits_at(level->base, bit + 31));
            if (extends(backoff)) place->context = length + 1;
            place->begin = bits_at(level->base, bit + 63) & mask;
            place->end = bits_at(level->base, bit + 63 + level->total_bits) & mask;
        }
    }
}

/* The number in the file's vocabulary of a text; 0 if it is not there. -1 after an error. */
static int64_t word_of(const Ngrams *m, PyObject *text) {
    Py_ssize_t size;
    const uint8_t *bytes = (const uint8_t *)PyUnicode_AsUTF8AndSize(text, &size);
    if (!bytes) return -1;
    uint64_t hash = murmur(bytes, (size_t)size), low = 0, high = m->n_hashes;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (m->hashes[middle] < hash) low = middle + 1;
        else high = middle;
    }
    return low < m->n_hashes && m->hashes[low] == hash ? (int64_t)low + 1 : 0;
}

static PyObject *Ngrams_score(Ngrams *m, PyObject *pieces) {
    if (!PyList_Check(pieces)) return PyErr_Format(PyExc_TypeError, "expected a list of pieces");
    const uint32_t *ends = m->words + m->n_pieces; /* <s> and </s> */
    Place places[BLOCK + 1] = {{0, 0, 0, {m->unigrams[ends[0]].backoff}, 1, 1}};
    uint32_t room[MOST_ORDER + BLOCK + 1] = {0}, *words = room + MOST_ORDER; /* words[0] is that of places[0] */
    float total = 0;
    Py_ssize_t size = PyList_GET_SIZE(pieces), done = 0;
    words[0] = ends[0];
    while (done <= size) {
        int n = 0;
        for (; n < BLOCK && done < size; done++) {
            PyObject *one = PyList_GET_ITEM(pieces, done);
            if (PyUnicode_Check(one)) {
                int64_t word = word_of(m, one);
                if (word < 0) return NULL;
                words[++n] = (uint32_t)word;
                continue;
            }
            Py_ssize_t piece = PyLong_AsSsize_t(one);
            if (piece < 0 || piece >= m->n_pieces)
                return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "no piece %zd", piece);
            words[++n] = m->words[piece];
        }
        if (n < BLOCK) words[++n] = ends[1], done++;
        look_up(m, words, n, places);
        for (int i = 1; i <= n; i++) {
            float score = places[i].score;
            for (int j = places[i].length - 1; j < places[i - 1].context; j++) score += places[i - 1].backoffs[j];
            total += score;
        }
        places[0] = places[n];
        memmove(room, room + n, sizeof(uint32_t) * (MOST_ORDER + 1));
    }
    return PyFloat_FromDouble(total);
}

static int Ngrams_init(Ngrams *m, PyObject *args, PyObject *named) {
    (void)named;
    Py_buffer counts = {0};
    PyObject *pieces;
    Py_ssize_t at;
    if (m->file.obj || !PyArg_ParseTuple(args, "y*y*nO!", &m->file, &counts, &at, &PyList_Type, &pieces)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "already initialized");
        return -1;
    }
    const uint8_t *file = m->file.buf;
    uint64_t n[MOST_ORDER] = {0}, size = (uint64_t)m->file.len, place = (uint64_t)at;
    m->order = (int)(counts.len / 8);
    int fits = m->order >= 3 && m->order <= MOST_ORDER && at >= 0 && at % 8 == 0 && place + 8 <= size;
    if (fits) memcpy(n, counts.buf, 8 * (size_t)m->order), memcpy(&m->n_hashes, file + place, 8);
    PyBuffer_Release(&counts);
    for (int i = 0; i < m->order && fits; i++) fits = n[i] < 1ULL << 40;
    fits = fits && m->n_hashes <= n[0];
    m->hashes = (const uint64_t *)(file + place) + 1;
    place += 8 + 8 * n[0];
    m->unigrams = (const Unigram *)(file + place);
    place += 16 * (n[0] + 2);
    m->n_words = n[0];
    while (n[0] >> m->word_bits) m->word_bits++;
    for (int i = 1; i < m->order && fits; i++) {
        Level *level = m->levels + i - 1;
        level->base = file + place;
        level->count = n[i];
        if (i + 1 < m->order)
            while (n[i + 1] >> level->next_bits) level->next_bits++;
        level->total_bits = m->word_bits + level->next_bits + (i + 1 < m->order ? 63 : 31);
        place += ((1 + n[i]) * level->total_bits + 7) / 8 + 8;
    }
    if (!fits || place > size) {
        PyErr_SetString(PyExc_ValueError, "not a trie of this layout");
        return -1;
    }
    m->n_pieces = PyList_GET_SIZE(pieces) - 2;
    if (m->n_pieces < 0 || !(m->words = PyMem_Malloc(4 * (size_t)(m->n_pieces + 2)))) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < m->n_pieces + 2; i++) {
        int64_t word = word_of(m, PyList_GET_ITEM(pieces, i));
        if (word < 0) return -1;
        m->words[i] = (uint32_t)word;
    }
    return 0;
}

static void Ngrams_dealloc(Ngrams *m) {
    PyBuffer_Release(&m->file);
    PyMem_Free(m->words);
    Py_TYPE(m)->tp_free((PyObject *)m);
}

static PyMethodDef ngrams_methods[] = {
    {"score", (PyCFunction)Ngrams_score, METH_O,
     "log10 of the probability of a line, with its ends, from its pieces' numbers or texts."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject NgramsType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "data.ccnet.native.Ngrams",
    .tp_basicsize = sizeof(Ngrams),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A KenLM trie.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Ngrams_init,
    .tp_dealloc = (destructor)Ngrams_dealloc,
    .tp_methods = ngrams_methods,
};
