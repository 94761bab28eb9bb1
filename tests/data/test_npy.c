#include "base/mem.h"
#include "base/rng.h"
#include "data/field.h"
#include "data/npy.h"
#include "folder.h"
#include <criterion/criterion.h>
#include <string.h>

#define FIXTURE(name) "tests/fixtures/data/" name ".npy"

TestSuite(npy, .init = folder_setup, .fini = folder_teardown);

static struct err e;

static const void *opened(const char *path, enum npy_type type, size_t n, struct npy *a) {
    cr_assert_eq(npy_open(path, type, a, &e), 0, "%s", e.msg);
    cr_assert_eq(a->n, n);
    cr_assert_eq((uintptr_t)a->data % 64, 0);
    return a->data;
}

Test(npy, reads_what_numpy_saved) {
    struct npy a;
    const uint8_t *u8 = opened(FIXTURE("u8"), NPY_U8, 3, &a);
    cr_assert(u8[0] == 0 && u8[1] == 1 && u8[2] == 255);
    npy_close(&a);
    const uint32_t *u32 = opened(FIXTURE("u32"), NPY_U32, 3, &a);
    cr_assert(u32[0] == 0 && u32[1] == 7 && u32[2] == UINT32_MAX);
    npy_close(&a);
    const uint64_t *u64 = opened(FIXTURE("u64"), NPY_U64, 2, &a);
    cr_assert(u64[0] == 0 && u64[1] == UINT64_MAX);
    npy_close(&a);
    const int64_t *i64 = opened(FIXTURE("i64"), NPY_I64, 2, &a);
    cr_assert(i64[0] == INT64_MIN && i64[1] == 5);
    npy_close(&a);
    const float *f32 = opened(FIXTURE("f32"), NPY_F32, 3, &a);
    cr_assert(f32[0] == 1.5f && f32[1] == -0.25f && f32[2] == 3e38f);
    npy_close(&a);
    const double *f64 = opened(FIXTURE("f64"), NPY_F64, 2, &a);
    cr_assert(f64[0] == 0.1 && f64[1] == -1e300);
    npy_close(&a);
    cr_assert_null(opened(FIXTURE("empty"), NPY_U32, 0, &a));
    npy_close(&a);
}

static void assert_same_file(const char *path, const char *other) {
    char *a, *b;
    size_t n, m;
    cr_assert_eq(file_read_text(path, &a, &n, &e), 0);
    cr_assert_eq(file_read_text(other, &b, &m, &e), 0);
    cr_assert_eq(n, m);
    cr_assert_eq(memcmp(a, b, n), 0, "%s and %s differ", path, other);
    mem_free(a);
    mem_free(b);
}

Test(npy, writes_byte_for_byte_what_numpy_saves) {
    struct npy a;
    cr_assert_eq(npy_create(folder_path("a.npy"), NPY_U32, 3, &a, &e), 0);
    memcpy(a.data, (uint32_t[]){0, 7, UINT32_MAX}, 12);
    npy_close(&a);
    assert_same_file(folder_path("a.npy"), FIXTURE("u32"));

    cr_assert_eq(npy_create(folder_path("b.npy"), NPY_U8, 3, &a, &e), 0);
    memcpy(a.data, (uint8_t[]){0, 1, 255}, 3);
    npy_close(&a);
    assert_same_file(folder_path("b.npy"), FIXTURE("u8"));

    cr_assert_eq(npy_create(folder_path("c.npy"), NPY_F64, 2, &a, &e), 0);
    memcpy(a.data, (double[]){0.1, -1e300}, 16);
    npy_close(&a);
    assert_same_file(folder_path("c.npy"), FIXTURE("f64"));

    cr_assert_eq(npy_create(folder_path("d.npy"), NPY_U32, 0, &a, &e), 0);
    cr_assert_null(a.data);
    npy_close(&a);
    assert_same_file(folder_path("d.npy"), FIXTURE("empty"));
}

Test(npy, reads_back_what_it_wrote_for_every_type) {
    for (enum npy_type t = NPY_U8; t <= NPY_F64; t++) {
        struct npy a;
        cr_assert_eq(npy_create(folder_path("x.npy"), t, 1000, &a, &e), 0);
        memset(a.data, 0x41, 1000 * npy_item_bytes(t));
        npy_close(&a);
        const unsigned char *p = opened(folder_path("x.npy"), t, 1000, &a);
        cr_assert_eq(p[0], 0x41);
        cr_assert_eq(p[1000 * npy_item_bytes(t) - 1], 0x41);
        npy_close(&a);
    }
}

static void assert_refused(const char *path, enum npy_type type, const char *part) {
    struct npy a;
    e = (struct err)ERR_INIT;
    cr_expect_eq(npy_open(path, type, &a, &e), ERR_INPUT, "opened %s", path);
    cr_expect(strstr(e.msg, path) == e.msg, "%s", e.msg);
    cr_expect(strstr(e.msg, part), "%s lacks: %s", e.msg, part);
    cr_expect_null(a.data);
    npy_close(&a);
}

Test(npy, refuses_arrays_of_another_kind) {
    assert_refused(FIXTURE("u32"), NPY_F32, "holds dtype \"<u4\", but \"<f4\" is needed");
    assert_refused(FIXTURE("big_endian"), NPY_U32, "holds dtype \">u4\"");
    assert_refused(FIXTURE("int32"), NPY_U32, "holds dtype \"<i4\"");
    assert_refused(FIXTURE("two_dimensions"), NPY_U32, "2 dimensions");
    assert_refused(FIXTURE("scalar"), NPY_U32, "0 dimensions");
    assert_refused(FIXTURE("fortran"), NPY_U32, "Fortran");
    assert_refused(FIXTURE("version2"), NPY_U32, "format 2.0");
    assert_refused("tests/fixtures/data/none.npy", NPY_U32, "cannot open");
    assert_refused("tests/fixtures/data", NPY_U32, "folder");
}

Test(npy, refuses_every_truncation_and_every_extra_byte) {
    char *p;
    size_t n;
    cr_assert_eq(file_read_text(FIXTURE("u32"), &p, &n, &e), 0);
    for (size_t k = 0; k < n; k++) {
        folder_put("cut.npy", p, k);
        assert_refused(folder_path("cut.npy"), NPY_U32, k < 10 ? "not a NumPy" : "truncated");
    }
    folder_put("more.npy", p, n + 1);
    assert_refused(folder_path("more.npy"), NPY_U32, "1 bytes too long");
    mem_free(p);
}

Test(npy, survives_any_header) {
    char *p;
    size_t n;
    struct npy a;
    struct rng r = rng_init(1, 1);
    cr_assert_eq(file_read_text(FIXTURE("u32"), &p, &n, &e), 0);
    for (int i = 0; i < 3000; i++) {
        char q[256];
        memcpy(q, p, n);
        for (uint64_t k = 1 + rng_below(&r, 4); k; k--) q[rng_below(&r, 128)] = (char)rng_next(&r);
        folder_put("fuzz.npy", q, n);
        if (!npy_open(folder_path("fuzz.npy"), NPY_U32, &a, &e)) cr_assert_eq(a.n, 3);
        npy_close(&a);
    }
    mem_free(p);
}

Test(npy, refuses_a_length_that_overflows) {
    char q[128];
    memset(q, ' ', sizeof q);
    memcpy(q, "\x93NUMPY\x01\x00\x76\x00", 10);
    q[127] = '\n';
    static const char *const shapes[] = {"(4611686018427387905,)", "(18446744073709551616,)",
                                         "(4611686018427387904,)"};
    for (int i = 0; i < 3; i++) {
        char head[118];
        int k =
            snprintf(head, sizeof head, "{'descr': '<u4', 'fortran_order': False, 'shape': %s, }", shapes[i]);
        memset(q + 10, ' ', 117);
        memcpy(q + 10, head, (size_t)k);
        folder_put("huge.npy", q, sizeof q);
        assert_refused(folder_path("huge.npy"), NPY_U32, i == 1 ? "cannot be read" : "truncated");
    }
    struct npy a;
    cr_assert_eq(npy_create(folder_path("x.npy"), NPY_F64, SIZE_MAX / 4, &a, &e), ERR_INPUT);
    cr_assert_not(file_exists(folder_path("x.npy")));
}

Test(field, sides_are_bits_with_names) {
    cr_assert_str_eq(side_name(SIDE_USER | SIDE_ITEM), "pair");
    cr_assert_str_eq(side_name(SIDE_USER), "user");
    cr_assert_str_eq(side_name(SIDE_ITEM), "item");
    cr_assert_str_eq(side_name(SIDE_NONE), "none");
}
