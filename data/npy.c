#include "data/npy.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX = 10, ALIGN = 64, CREATED_HEADER = 128 };

static const struct {
    const char *descr;
    size_t bytes;
} types[] = {
    [NPY_U8] = {"|u1", 1},  [NPY_U32] = {"<u4", 4}, [NPY_U64] = {"<u8", 8},
    [NPY_I64] = {"<i8", 8}, [NPY_F32] = {"<f4", 4}, [NPY_F64] = {"<f8", 8},
};

size_t npy_item_bytes(enum npy_type t) { return types[t].bytes; }

/* The header is a Python dict: {'descr': '<u4', 'fortran_order': False, 'shape': (3,), } */
struct header {
    const char *p, *end;
    char descr[16];
    int fortran;     /* 0, 1 */
    int dimensions;  /* of the shape */
    uint64_t length; /* the product of the shape */
    unsigned seen;   /* bits: descr, fortran_order, shape */
};

static void skip_spaces(struct header *h) {
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t')) h->p++;
}

static int take(struct header *h, char c) {
    skip_spaces(h);
    if (h->p == h->end || *h->p != c) return 0;
    h->p++;
    return 1;
}

static int take_word(struct header *h, const char *word) {
    size_t n = strlen(word);
    skip_spaces(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0) return 0;
    h->p += n;
    return 1;
}

static int take_text(struct header *h, char *out, size_t cap) {
    skip_spaces(h);
    if (h->p == h->end || (*h->p != '\'' && *h->p != '"')) return 0;
    char quote = *h->p++;
    size_t n = 0;
    while (h->p < h->end && *h->p != quote) {
        if (n + 1 == cap || *h->p == '\\') return 0;
        out[n++] = *h->p++;
    }
    out[n] = '\0';
    return take(h, quote);
}

static int take_number(struct header *h, uint64_t *out) {
    skip_spaces(h);
    const char *start = h->p;
    uint64_t v = 0;
    for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*h->p - '0'), &v))
            return 0;
    *out = v;
    return h->p > start;
}

static int take_shape(struct header *h) {
    if (!take(h, '(')) return 0;
    h->length = 1;
    h->dimensions = 0;
    while (!take(h, ')')) {
        uint64_t v;
        if (h->dimensions == 32 || !take_number(h, &v)) return 0;
        if (__builtin_mul_overflow(h->length, v, &h->length)) return 0;
        h->dimensions++;
        if (take(h, ',')) continue;
        return take(h, ')');
    }
    return 1;
}

static int take_entry(struct header *h) {
    char key[16];
    if (!take_text(h, key, sizeof key) || !take(h, ':')) return 0;
    unsigned bit;
    int good;
    if (!strcmp(key, "descr")) {
        bit = 1;
        good = take_text(h, h->descr, sizeof h->descr);
    } else if (!strcmp(key, "fortran_order")) {
        bit = 2;
        h->fortran = take_word(h, "True");
        good = h->fortran || take_word(h, "False");
    } else if (!strcmp(key, "shape")) {
        bit = 4;
        good = take_shape(h);
    } else {
        return 0;
    }
    if (h->seen & bit) return 0;
    h->seen |= bit;
    return good;
}

static int parse_header(struct header *h) {
    if (!take(h, '{')) return 0;
    while (!take(h, '}')) {
        if (!take_entry(h)) return 0;
        if (take(h, ',')) continue;
        if (!take(h, '}')) return 0;
        break;
    }
    skip_spaces(h);
    return h->p == h->end && h->seen == 7;
}

static int check(const char *path, const struct file_map *m, enum npy_type type, size_t *start, size_t *n,
                 struct err *e) {
    const unsigned char *p = m->p;
    if (m->bytes < PREFIX || memcmp(p, "\x93NUMPY", 6) != 0)
        return err_set(e, ERR_INPUT, "%s: not a NumPy .npy file", path);
    if (p[6] != 1 || p[7] != 0)
        return err_set(e, ERR_INPUT, "%s: .npy format %d.%d, but only 1.0 can be read", path, p[6], p[7]);
    *start = PREFIX + ((size_t)p[8] | (size_t)p[9] << 8);
    if (*start > m->bytes)
        return err_set(e, ERR_INPUT, "%s: truncated: the header needs %zu bytes, the file has %zu", path,
                       *start, m->bytes);
    struct header h = {.p = (const char *)p + PREFIX, .end = (const char *)p + *start};
    if (!parse_header(&h)) return err_set(e, ERR_INPUT, "%s: the .npy header cannot be read", path);
    if (strcmp(h.descr, types[type].descr) != 0)
        return err_set(e, ERR_INPUT, "%s: holds dtype \"%s\", but \"%s\" is needed", path, h.descr,
                       types[type].descr);
    if (h.fortran) return err_set(e, ERR_INPUT, "%s: stored in Fortran order; C order is needed", path);
    if (h.dimensions != 1)
        return err_set(e, ERR_INPUT, "%s: holds an array of %d dimensions, but 1 is needed", path,
                       h.dimensions);
    if (*start % ALIGN)
        return err_set(e, ERR_INPUT,
                       "%s: the data starts at byte %zu, which is no multiple of 64; save it again with "
                       "NumPy 1.14 or newer",
                       path, *start);
    uint64_t have = m->bytes - *start, want;
    if (__builtin_mul_overflow(h.length, (uint64_t)types[type].bytes, &want) || want > have)
        return err_set(e, ERR_INPUT,
                       "%s: truncated: %" PRIu64 " values of %zu bytes are promised, %" PRIu64
                       " bytes are there",
                       path, h.length, types[type].bytes, have);
    if (want < have)
        return err_set(e, ERR_INPUT, "%s: %" PRIu64 " bytes too long for its %" PRIu64 " values", path,
                       have - want, h.length);
    *n = (size_t)h.length;
    return 0;
}

int npy_open(const char *path, enum npy_type type, struct npy *out, struct err *e) {
    *out = (struct npy){.type = type};
    struct file_map m;
    TRY(file_map_read(path, &m, e));
    size_t start = 0, n = 0;
    int rc = check(path, &m, type, &start, &n, e);
    if (rc) {
        file_unmap(&m);
        return rc;
    }
    *out = (struct npy){.type = type, .n = n, .data = n ? (char *)m.p + start : NULL, .map = m};
    return 0;
}

int npy_create(const char *path, enum npy_type type, size_t n, struct npy *out, struct err *e) {
    *out = (struct npy){.type = type};
    size_t bytes;
    if (__builtin_mul_overflow(n, types[type].bytes, &bytes) ||
        __builtin_add_overflow(bytes, (size_t)CREATED_HEADER, &bytes))
        return err_set(e, ERR_INPUT, "%s: cannot create: %zu values are too many", path, n);
    struct file_map m;
    TRY(file_map_create(path, bytes, &m, e));
    char *p = m.p;
    memcpy(p, "\x93NUMPY\x01\x00", 8);
    p[8] = CREATED_HEADER - PREFIX;
    p[9] = 0;
    char text[CREATED_HEADER - PREFIX];
    int used = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,), }",
                        types[type].descr, n);
    memset(text + used, ' ', sizeof text - (size_t)used);
    text[sizeof text - 1] = '\n';
    memcpy(p + PREFIX, text, sizeof text);
    *out = (struct npy){.type = type, .n = n, .data = n ? p + CREATED_HEADER : NULL, .map = m};
    return 0;
}

void npy_close(struct npy *a) {
    file_unmap(&a->map);
    *a = (struct npy){.type = a->type};
}
