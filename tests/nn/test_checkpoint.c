#include "base/rng.h"
#include "nn/checkpoint.h"
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96];

static void setup(void) {
    strcpy(dir, "/tmp/prerank-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.safetensors", dir);
}
static void teardown(void) { file_remove_tree(dir, NULL); }

TestSuite(checkpoint, .init = setup, .fini = teardown);

/* ---- files byte by byte ---- */

static void write_bytes(const void *p, size_t n) { cr_assert_eq(file_write_text(path, p, n, NULL), 0); }

/* Writes a header of its true length and `n` bytes of data: 0, 1, 2, .. */
static void write_file(const char *header, size_t n) {
    unsigned char bytes[8192] = {0};
    size_t h = strlen(header);
    cr_assert_leq(8 + h + n, sizeof bytes);
    bytes[0] = (unsigned char)h;
    bytes[1] = (unsigned char)(h >> 8);
    memcpy(bytes + 8, header, h);
    for (size_t i = 0; i < n; i++) bytes[8 + h + i] = (unsigned char)i;
    write_bytes(bytes, 8 + h + n);
}

static void expect_open_error(const char *words) {
    struct tensors t;
    struct err e = ERR_INIT;
    cr_assert_eq(tensors_open(path, &t, &e), ERR_INPUT, "opened, where \"%s\" was expected", words);
    cr_assert_not_null(strstr(e.msg, words), "\"%s\" does not say \"%s\"", e.msg, words);
    cr_assert_eq(strncmp(e.msg, path, strlen(path)), 0, "\"%s\" does not name the file", e.msg);
    cr_assert_eq(t.n, 0);
    tensors_close(&t);
}

Test(checkpoint, wrong_headers_are_refused_with_the_reason) {
    static const struct {
        const char *header;
        size_t data;
        const char *words;
    } bad[] = {
        {"", 0, "does not begin with"},
        {" {}", 0, "does not begin with"},
        {"[1]", 0, "does not begin with"},
        {"{", 0, "not valid JSON"},
        {"{} x", 0, "not valid JSON"},
        {"{\"a\\u0000b\":1}", 0, "not valid JSON"},
        {"{\"a\":1,\"a\":1}", 0, "not valid JSON (line 1, column 10): duplicate object key"},
        {"{\"a\":1}", 0, "tensor \"a\": its entry in the header is no object"},
        {"{\"a\":{}}", 0, "tensor \"a\": the dtype is missing"},
        {"{\"a\":{\"dtype\":7,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "the dtype is missing or no text"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "tensor \"a\": the dtype is \"F16\"; F32, I64, I32 and U32 can be read"},
        {"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "\"f32\""},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "the shape must be a list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,4]}}", 4, "the shape must be a list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "at most 4 sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "size 0 is no whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1.0],\"data_offsets\":[0,4]}}", 4,
         "size 1 is no whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "more elements than memory"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "does not take 0 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}", 0,
         "not valid JSON"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets must be [begin, end]"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "data_offsets must be"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "data_offsets must be"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "data_offsets must be"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "data_offsets must be"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7,
         "its data ends at byte 8, but the file holds 7 bytes of data (truncated?)"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]}"
         "}",
         4, "but the file holds 4 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
         "shape [3] of F32 does not take 8 bytes"},
        {"{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "shape [1] of I64 does not take 4 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         12, "the data of tensors \"a\" and \"b\" overlap"},
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         8, "overlap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
         "the 4 bytes before the data of tensor \"a\" belong to no tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 9,
         "the last 5 bytes belong to no tensor"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ must be a map"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "the value of \"a\" must be text"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i].header, bad[i].data);
        expect_open_error(bad[i].words);
    }
}

Test(checkpoint, files_that_are_too_short_or_lie_about_their_header_are_refused) {
    write_bytes("", 0);
    expect_open_error("0 bytes, where the header's length alone takes 8");
    write_bytes("\2\0\0\0\0\0\0", 7);
    expect_open_error("7 bytes");
    write_bytes("\3\0\0\0\0\0\0\0{}", 10);
    expect_open_error("truncated: the header takes 3 bytes, but only 2 follow");
    write_bytes("\0\0\0\0\0\0\0\0", 8);
    expect_open_error("does not begin with");
    write_bytes("\1\0\100\6\0\0\0\0{}", 10);
    expect_open_error("a header of 104857601 bytes, at most 104857600");
    write_bytes("\377\377\377\377\377\377\377\377{}", 10);
    expect_open_error("at most 104857600");
    unlink(path);
    expect_open_error("cannot open");
}

Test(checkpoint, nesting_without_end_is_an_error) {
    char deep[8000] = "{\"a\":";
    memset(deep + 5, '[', sizeof deep - 6);
    write_file(deep, 0);
    expect_open_error("not valid JSON");
}

Test(checkpoint, every_dtype_and_rank_is_read) {
    write_file("{\"__metadata__\":{\"format\":\"pt\"},"
               "\"long\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[12,28]},"
               "\"empty\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[12,12]},"
               "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
               "\"u\":{\"dtype\":\"U32\",\"shape\":[1,1,1,1],\"data_offsets\":[4,8]},"
               "\"i\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[8,12]}}   ",
               28);
    struct tensors t;
    struct err e = ERR_INIT;
    cr_assert_eq(tensors_open(path, &t, &e), 0, "%s", e.msg);
    cr_assert_eq(t.n, 5);
    cr_assert_str_eq(json_string_value(json_object_get(t.metadata, "format")), "pt");
    const struct tensor *x = tensors_find(&t, "long");
    cr_assert(x->dtype == TENSOR_I64 && x->n_dims == 2 && x->dim[0] == 1 && x->dim[1] == 2 && x->n == 2);
    cr_assert_eq(*(const int64_t *)x->data, 0x131211100f0e0d0c);
    x = tensors_find(&t, "empty");
    cr_assert(x->n_dims == 2 && x->dim[1] == 0 && x->n == 0 && x->data);
    x = tensors_find(&t, "scalar");
    cr_assert(x->dtype == TENSOR_F32 && x->n_dims == 0 && x->n == 1);
    x = tensors_find(&t, "u");
    cr_assert(x->dtype == TENSOR_U32 && x->n_dims == 4 && *(const uint32_t *)x->data == 0x07060504);
    cr_assert(tensors_find(&t, "i")->dtype == TENSOR_I32);
    cr_assert_null(tensors_find(&t, "metadata"));
    tensors_close(&t);
    tensors_close(&t);
}

Test(checkpoint, misaligned_data_is_read_from_an_aligned_copy) {
    char header[256];
    for (int pad = 0; pad < 9; pad++) {
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                 "\"b\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[4,20]}}%*s",
                 pad, "");
        write_file(header, 20);
        struct tensors t;
        struct err e = ERR_INIT;
        cr_assert_eq(tensors_open(path, &t, &e), 0, "%s", e.msg);
        const struct tensor *b = tensors_find(&t, "b");
        cr_assert_eq((uintptr_t)tensors_find(&t, "a")->data % 4, 0);
        cr_assert_eq((uintptr_t)b->data % 8, 0);
        cr_assert_eq(((const int64_t *)b->data)[1], 0x131211100f0e0d0c);
        tensors_close(&t);
    }
}

/* ---- graphs ---- */

static void model(struct graph *g, int units, uint64_t seed) {
    graph_init(g);
    int u = nn_embedding(g, graph_input(g, "age", SIDE_USER, VALUE_ID, 7), 3, NULL);
    int x = nn_batch_norm(g, nn_linear(g, u, units, ACT_NONE, "user.0"), "user.0.bn", true);
    g->output = nn_row_sum(g, nn_linear_no_bias(g, x, 2, ACT_RELU, "user.1"));
    struct err e = ERR_INIT;
    cr_assert_eq(graph_alloc_params(g, seed, &e), 0, "%s", e.msg);
}

static bool same_params(const struct graph *a, const struct graph *b) {
    for (int i = 0; i < a->n_params; i++)
        if (memcmp(a->param[i]->value, b->param[i]->value,
                   a->param[i]->rows * a->param[i]->cols * sizeof(float)))
            return false;
    return true;
}

Test(checkpoint, parameters_come_back_bit_for_bit_with_their_metadata) {
    struct graph g, h;
    struct err e = ERR_INIT;
    model(&g, 5, 1);
    model(&h, 5, 2);
    g.param[0]->value[3] = -0.0f;
    g.param[1]->value[0] = 1e-42f;
    json_t *metadata = json_pack("{s:s}", "variant", "dssm \"\\ \xc3\xa9");
    cr_assert_eq(checkpoint_save(&g, path, metadata, &e), 0, "%s", e.msg);
    json_decref(metadata);
    cr_assert_not(same_params(&g, &h));
    cr_assert_eq(checkpoint_load(&h, path, &e), 0, "%s", e.msg);
    cr_assert(same_params(&g, &h));

    struct tensors t;
    cr_assert_eq(tensors_open(path, &t, &e), 0, "%s", e.msg);
    cr_assert_eq(t.n, g.n_params);
    cr_assert_str_eq(json_string_value(json_object_get(t.metadata, "variant")), "dssm \"\\ \xc3\xa9");
    const struct tensor *w = tensors_find(&t, "user.0.weight"),
                        *b = tensors_find(&t, "user.0.bn.running_var");
    cr_assert(w->n_dims == 2 && w->dim[0] == 5 && w->dim[1] == 3);
    cr_assert(b->n_dims == 1 && b->dim[0] == 5);
    cr_assert((const char *)w->data > (const char *)t.map.p &&
                  (const char *)w->data < (const char *)t.map.p + t.map.bytes,
              "what we write is aligned, so that it needs no copy");
    tensors_close(&t);
    graph_release(&g);
    graph_release(&h);
}

Test(checkpoint, the_same_weights_give_the_same_file) {
    struct graph g;
    struct hash a, b;
    model(&g, 5, 1);
    cr_assert_eq(checkpoint_save(&g, path, NULL, NULL), 0);
    cr_assert_eq(hash_file(path, &a, NULL), 0);
    cr_assert_eq(checkpoint_save(&g, path, NULL, NULL), 0);
    cr_assert_eq(hash_file(path, &b, NULL), 0);
    cr_assert_str_eq(a.hex, b.hex);
    graph_release(&g);
}

/* Loading fails with `words`, and leaves every parameter as it was. */
static void expect_load_error(struct graph *g, const char *words) {
    struct graph before;
    struct err e = ERR_INIT;
    model(&before, 5, 2);
    cr_assert_eq(checkpoint_load(g, path, &e), ERR_INPUT);
    cr_assert_not_null(strstr(e.msg, words), "\"%s\" does not say \"%s\"", e.msg, words);
    cr_assert(same_params(g, &before), "a load that failed has changed weights");
    graph_release(&before);
}

Test(checkpoint, a_file_of_another_model_is_refused_and_changes_nothing) {
    struct graph g, other;
    model(&g, 5, 2);
    model(&other, 6, 1);
    cr_assert_eq(checkpoint_save(&other, path, NULL, NULL), 0);
    expect_load_error(&g, "tensor \"user.0.weight\": the shape is [6,3], the model needs [5,3]");
    graph_release(&other);

    model(&other, 5, 1);
    nn_linear_no_bias(&other, other.output, 1, ACT_NONE, "extra");
    cr_assert_eq(graph_alloc_params(&other, 1, NULL), 0);
    cr_assert_eq(checkpoint_save(&other, path, NULL, NULL), 0);
    expect_load_error(&g, "tensor \"extra.weight\" is unknown");
    graph_release(&other);

    model(&other, 5, 1);
    other.n_params--;
    cr_assert_eq(checkpoint_save(&other, path, NULL, NULL), 0);
    other.n_params++;
    expect_load_error(&g, "tensor \"user.1.weight\" [2,5] is missing");
    other.param[2]->vector = false;
    cr_assert_eq(checkpoint_save(&other, path, NULL, NULL), 0);
    expect_load_error(&g, "tensor \"user.0.bias\": the shape is [1,5], the model needs [5]");
    graph_release(&other);

    write_file("{\"embedding.age\":{\"dtype\":\"I32\",\"shape\":[7,3],\"data_offsets\":[0,84]}}", 84);
    expect_load_error(&g, "tensor \"embedding.age\": the dtype is I32, the model needs F32");
    graph_release(&g);
}

Test(checkpoint, metadata_other_than_text_and_parameters_without_values_cannot_be_saved) {
    struct graph g;
    struct err e = ERR_INIT;
    model(&g, 5, 1);
    json_t *numbers = json_pack("{s:i}", "epoch", 3), *list = json_array();
    cr_assert_eq(checkpoint_save(&g, path, numbers, &e), ERR_INPUT);
    cr_assert_not_null(strstr(e.msg, "the value of \"epoch\" must be text"), "%s", e.msg);
    cr_assert_eq(checkpoint_save(&g, path, list, &e), ERR_INPUT);
    nn_linear(&g, 0 + g.output, 1, ACT_NONE, "late");
    cr_assert_eq(checkpoint_save(&g, path, NULL, &e), ERR_INPUT);
    cr_assert_not_null(strstr(e.msg, "\"late.weight\" has no values"), "%s", e.msg);
    cr_assert_not(file_exists(path));
    cr_assert_eq(graph_alloc_params(&g, 1, NULL), 0);
    cr_assert_eq(checkpoint_save(&g, "/nonexistent/x.safetensors", NULL, &e), ERR_INPUT);
    json_decref(numbers);
    json_decref(list);
    graph_release(&g);
}

/* Cut anywhere, and with any byte changed, a file opens or is refused; what opens can be read to its end. */
Test(checkpoint, any_bytes_give_an_error_and_never_a_crash) {
    struct graph g;
    char *bytes;
    size_t n;
    model(&g, 5, 1);
    json_t *metadata = json_pack("{s:s}", "variant", "dssm");
    cr_assert_eq(checkpoint_save(&g, path, metadata, NULL), 0);
    json_decref(metadata);
    graph_release(&g);
    cr_assert_eq(file_read_text(path, &bytes, &n, NULL), 0);
    struct rng r = rng_init(1, 2);
    volatile float sink = 0;
    for (int i = 0; i < 6000; i++) {
        size_t keep = i < (int)n ? (size_t)i : n;
        FILE *f = fopen(path, "wb");
        for (size_t k = 0; k < keep; k++) putc(bytes[k], f);
        for (int k = 0; i >= (int)n && k < 1 + i % 3; k++) {
            fseek(f, (long)rng_below(&r, k ? n : 700), SEEK_SET);
            putc((int)(i % 2 ? rng_below(&r, 256) : (uint64_t) "0123456789{}[]\",:-"[rng_below(&r, 18)]), f);
        }
        fclose(f);
        struct tensors t;
        struct err e = ERR_INIT;
        int rc = tensors_open(path, &t, &e);
        cr_assert(rc == 0 || (rc == ERR_INPUT && e.msg[0]));
        cr_assert(rc || i >= (int)n, "a file cut after %d bytes was read", i);
        for (int k = 0; !rc && k < t.n; k++)
            for (size_t j = 0; j < t.tensor[k].n; j++)
                sink += t.tensor[k].dtype == TENSOR_F32 ? ((const float *)t.tensor[k].data)[j] : 0;
        tensors_close(&t);
    }
    mem_free(bytes);
}

Test(checkpoint, running_out_of_memory_is_an_error) {
    struct graph g, h;
    model(&g, 5, 1);
    model(&h, 5, 2);
    cr_assert_eq(checkpoint_save(&g, path, NULL, NULL), 0);
    int rc = ERR_INPUT;
    for (unsigned nth = 1; rc; nth++) {
        struct err e = ERR_INIT;
        cr_assert_lt(nth, 1000);
        mem_fail_after(nth);
        rc = checkpoint_load(&h, path, &e);
        mem_fail_after(0);
        cr_assert(!rc || strstr(e.msg, "out of memory"), "%s", e.msg);
    }
    cr_assert(same_params(&g, &h));
    graph_release(&g);
    graph_release(&h);
}

/* Files written by the scripts beside them, from PyTorch. */
Test(checkpoint, files_written_in_python_are_read) {
    glob_t found;
    cr_assert_eq(glob("tests/fixtures/models/*.safetensors", 0, NULL, &found), 0,
                 "no fixtures: run the tests from the root");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct tensors t;
        struct err e = ERR_INIT;
        cr_assert_eq(tensors_open(found.gl_pathv[i], &t, &e), 0, "%s", e.msg);
        cr_assert_gt(t.n, 0);
        cr_assert_not_null(t.metadata, "%s", found.gl_pathv[i]);
        tensors_close(&t);
    }
    globfree(&found);
}
