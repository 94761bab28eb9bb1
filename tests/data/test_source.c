#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "data/source.h"
#include "folder.h"
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

TestSuite(source, .init = folder_setup, .fini = folder_teardown);

static struct err e;

static struct file_spec spec(const char *path, const char *sep) {
    struct file_spec s = {.quotes = !strcmp(sep, ",")};
    snprintf(s.path, sizeof s.path, "%s", path);
    snprintf(s.sep, sizeof s.sep, "%s", sep);
    return s;
}

/* All rows as text: "a|b\n"; the header first. Returns the error code. */
static int read_all(const struct file_spec *s, struct str *out) {
    struct source *src;
    const struct cell *row;
    int got, rc;
    str_clear(out);
    e = (struct err)ERR_INIT;
    if ((rc = source_open_file(s, &src, &e))) return rc;
    for (int i = 0; i < source_columns(src); i++) str_addf(out, "%s%s", i ? "|" : "", source_name(src, i));
    str_add(out, "\n");
    while (!(rc = source_next(src, &row, &got, &e)) && got) {
        for (int i = 0; i < source_columns(src); i++) {
            cr_assert_eq(row[i].p[row[i].n], '\0');
            str_addf(out, "%s%s", i ? "|" : "", row[i].p);
        }
        str_add(out, "\n");
    }
    source_close(src);
    return rc;
}

static void assert_reads(const struct file_spec *s, const char *want) {
    struct str out = STR_INIT;
    cr_assert_eq(read_all(s, &out), 0, "%s", e.msg);
    cr_assert_str_eq(out.p, want);
    str_release(&out);
}

static void assert_text(const char *text, const char *want) {
    folder_put_text("a.csv", text);
    struct file_spec s = spec(folder_path("a.csv"), ",");
    assert_reads(&s, want);
}

/* The error is "PATH" + `message`. */
static void assert_fails(const struct file_spec *s, const char *message) {
    struct str out = STR_INIT;
    cr_expect_eq(read_all(s, &out), ERR_INPUT, "accepted, where this was expected: %s", message);
    size_t n = strlen(s->path);
    cr_expect(!strncmp(e.msg, s->path, n) && !strncmp(e.msg + n, message, strlen(message)),
              "wanted %s\ngot    %s", message, e.msg + n);
    str_release(&out);
}

static void assert_bad(const char *text, const char *message) {
    folder_put_text("a.csv", text);
    struct file_spec s = spec(folder_path("a.csv"), ",");
    assert_fails(&s, message);
}

Test(source, reads_a_header_and_rows) { assert_text("a,b\n1,2\n3,4\n", "a|b\n1|2\n3|4\n"); }

Test(source, takes_crlf_a_byte_order_mark_empty_lines_and_a_last_line_without_end) {
    assert_text("\xEF\xBB\xBF\r\na,b\r\n\r\n1,2\n\n\n3,4", "a|b\n1|2\n3|4\n");
}

Test(source, keeps_spaces_and_empty_cells) { assert_text("a,b,c\n 1 ,, \n,,\n", "a|b|c\n 1 || \n||\n"); }

Test(source, reads_quoted_cells_with_separators_quotes_and_line_ends) {
    assert_text("a,b\n\"x,y\",\"he said \"\"hi\"\"\"\n\"two\r\nlines\",\"\"\n1,\"\"\"\"\n",
                "a|b\nx,y|he said \"hi\"\ntwo\r\nlines|\n1|\"\n");
}

Test(source, finds_columns_by_name) {
    folder_put_text("a.csv", "user_id,item_id\n1,2\n");
    struct file_spec s = spec(folder_path("a.csv"), ",");
    struct source *src;
    cr_assert_eq(source_open_file(&s, &src, &e), 0);
    cr_assert_eq(source_columns(src), 2);
    cr_assert_eq(source_column(src, "item_id"), 1);
    cr_assert_eq(source_column(src, "item"), -1);
    cr_assert_str_eq(source_name(src, 0), "user_id");
    source_close(src);
    source_close(NULL);
}

Test(source, a_given_header_makes_the_first_line_data) {
    static const char *const header[] = {"x", "y"};
    folder_put_text("u.data", "1\t2\n3\t4\n");
    struct file_spec s = spec(folder_path("u.data"), "\t");
    s.n_header = 2;
    s.header = header;
    assert_reads(&s, "x|y\n1|2\n3|4\n");
}

Test(source, without_quotes_a_quote_is_a_character_like_others) {
    folder_put_text("a.tsv", "a\tb\n\"x\ty\"z\n");
    struct file_spec s = spec(folder_path("a.tsv"), "\t");
    assert_reads(&s, "a|b\n\"x|y\"z\n");
}

Test(source, splits_at_a_separator_of_two_characters) {
    folder_put_text("m.dat", "a::b::c\n1::x:y::\n::::3\n");
    struct file_spec s = spec(folder_path("m.dat"), "::");
    assert_reads(&s, "a|b|c\n1|x:y|\n||3\n");
}

Test(source, converts_latin_1) {
    folder_put("l.csv", "a,b\nJos\xe9,\"\xdf \xff\"\n", 15);
    struct file_spec s = spec(folder_path("l.csv"), ",");
    s.latin1 = true;
    assert_reads(&s, "a|b\nJosé|ß ÿ\n");
}

Test(source, says_where_it_is) {
    folder_put_text("a.csv", "a\n1\n\n\"x\ny\"\n2\n");
    struct file_spec s = spec(folder_path("a.csv"), ",");
    struct source *src;
    const struct cell *row;
    int got;
    static const char *const lines[] = {":2", ":4", ":6"};
    cr_assert_eq(source_open_file(&s, &src, &e), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(source_next(src, &row, &got, &e), 0);
        cr_assert_str_eq(source_where(src) + strlen(s.path), lines[i]);
    }
    cr_assert_eq(source_next(src, &row, &got, &e), 0);
    cr_assert_not(got);
    uint64_t done, total;
    source_progress(src, &done, &total);
    cr_assert(done == 13 && total == 13);
    source_close(src);
}

/* ---- an oracle: files that Python's csv module wrote ---- */

static void assert_same_as_python(const char *name, int columns) {
    char path[128], line[65536];
    snprintf(path, sizeof path, "tests/fixtures/data/%s.cells", name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f);
    snprintf(path, sizeof path, "tests/fixtures/data/%s.csv", name);
    struct file_spec s = spec(path, ",");
    struct source *src;
    const struct cell *row;
    int got, rows = 0;
    cr_assert_eq(source_open_file(&s, &src, &e), 0, "%s", e.msg);
    cr_assert_eq(source_columns(src), columns);
    for (;;) {
        if (!fgets(line, sizeof line, f)) break;
        if (rows) cr_assert_eq(source_next(src, &row, &got, &e), 0, "%s", e.msg);
        char *p = strtok(line, " \n");
        for (int i = 0; i < columns; i++, p = strtok(NULL, " \n")) {
            const char *have = rows ? row[i].p : source_name(src, i);
            char hex[4096];
            int n = 0;
            for (const char *c = have; *c; c++) n += sprintf(hex + n, "%02x", (unsigned char)*c);
            cr_assert_str_eq(n ? hex : "-", p, "%s, row %d, cell %d", name, rows, i);
        }
        rows++;
    }
    cr_assert_eq(source_next(src, &row, &got, &e), 0);
    cr_assert(!got && rows > 50);
    source_close(src);
    fclose(f);
}

Test(source, reads_every_cell_as_python_wrote_it) {
    assert_same_as_python("excel", 4);
    assert_same_as_python("all_quoted", 3);
    assert_same_as_python("one_column", 1);
    assert_same_as_python("plain", 5);
}

/* ---- errors ---- */

Test(source, refuses_rows_of_another_length) {
    assert_bad("a,b,c\n1,2,3\n4,5\n", ":3:4: 2 cells, but the header has 3; cell 3 (`c`) is missing");
    assert_bad("a,b\n1,2,3\n", ":2:5: 3 cells, but the header has 2");
    assert_bad("a,b\n1,é,ü,4\n", ":2:5: 4 cells, but the header has 2");
    assert_bad("a,b\n\"1\n\",2,3\n", ":2:1: 3 cells, but the header has 2");
    static const char *const header[] = {"x", "y"};
    folder_put_text("b.csv", "1,2,3\n");
    struct file_spec s = spec(folder_path("b.csv"), ",");
    s.n_header = 2;
    s.header = header;
    assert_fails(&s, ":1:5: 3 cells, but `header` names 2");
}

Test(source, refuses_wrong_names_in_header) {
    static const char *const twice[] = {"x", "y", "x"};
    static const char *many[5000];
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) many[i] = "x";
    folder_put_text("b.csv", "1,2,3\n");
    struct file_spec s = spec(folder_path("b.csv"), ",");
    s.n_header = 3;
    s.header = twice;
    assert_fails(&s, ": `header` names `x` twice: cells 1 and 3");
    s.n_header = sizeof many / sizeof *many;
    s.header = many;
    assert_fails(&s, ": `header` has more than 4096 names");
}

Test(source, a_row_has_at_most_64_mebibytes) {
    size_t n = 66 << 20;
    char *text = malloc(n);
    cr_assert_not_null(text);
    memset(text, 'x', n);
    memcpy(text, "a\n", 2);
    folder_put("a.csv", text, n);
    free(text);
    struct file_spec s = spec(folder_path("a.csv"), ",");
    s.quotes = false;
    assert_fails(&s, ":2:1: longer than 64 MiB, which no row is");
}

Test(source, refuses_wrong_quotes_and_says_where) {
    assert_bad("a,b\n1,x\"y\n", ":2:4: a quote in the middle of cell 2 (`b`); put the whole cell in quotes");
    assert_bad("a,b\n1,\"x\"y\n", ":2:6: text behind the closing quote of cell 2 (`b`)");
    assert_bad("a,b\n1,\"x\" \n", ":2:6: text behind the closing quote");
    assert_bad("a,b\n1,2\n3,\"x\n5,6\n", ":3:3: the closing quote is missing");
    assert_bad("a,b\n1,\"x\"\"\n2,3\n", ":2:3: the closing quote is missing");
    assert_bad("a,b\n\"é\",\"x\n2,\"y\"\n",
               ":3:4: text behind the closing quote of cell 2 (`b`) (its quote opens at 2:5)");
    assert_bad("a,\"b\n", ":1:3: the closing quote is missing");
}

Test(source, refuses_bytes_that_are_not_utf8) {
    assert_bad("a,b\nx,Jos\xe9 \n",
               ":2:6: cell 2 (`b`): the byte 0xe9 is not UTF-8; if the file is ISO 8859-1, say "
               "`encoding: latin-1`");
    assert_bad("a,b\n\"x,y\",\xff\n", ":2:7: cell 2 (`b`): the byte 0xff");
    assert_bad("a,b\nx,\"1\n,2\n,\xff\"\n", ":4:2: cell 2 (`b`): the byte 0xff");
    assert_bad("a\xc0,b\n", ":1:2: cell 1: the byte 0xc0");
}

Test(source, refuses_nul_bytes_and_utf16) {
    folder_put("a.csv", "a,b\n1,\0\n", 8);
    struct file_spec s = spec(folder_path("a.csv"), ",");
    assert_fails(&s, ":2:3: cell 2 (`b`) has a NUL byte");
    folder_put("b.csv",
               "\xff\xfe"
               "a\0\n\0",
               6);
    s = spec(folder_path("b.csv"), ",");
    assert_fails(&s, ": is UTF-16");
}

Test(source, refuses_a_wrong_header) {
    assert_bad("a,b,a\n1,2,3\n", ":1:1: the header names `a` twice: cells 1 and 3");
    assert_bad("", ": the file is empty");
    assert_bad("\n\r\n", ": the file is empty");
    assert_bad("\xEF\xBB\xBF", ": the file is empty");
    assert_bad("a,b\r1,2\r", ":1:1: lines that end in a lone CR");
}

Test(source, refuses_what_is_no_file) {
    struct file_spec s = spec("/nowhere/x.csv", ",");
    assert_fails(&s, ": cannot open: No such file");
    s = spec(folder_path(""), ",");
    assert_fails(&s, ": cannot read: it is a folder");
}

Test(source, refuses_separators_that_cannot_work) {
    folder_put_text("a.csv", "a,b\n");
    static const char *const bad[] = {"", "\n", "\"", "é"};
    for (int i = 0; i < 4; i++) {
        struct file_spec s = spec(folder_path("a.csv"), bad[i]);
        assert_fails(&s, ": `sep` must be 1 to 7 ASCII characters");
    }
    struct file_spec s = spec(folder_path("a.csv"), "::");
    s.quotes = true;
    assert_fails(&s, ": a separator of several characters");
}

static void put_long(const char *before, size_t n, const char *after) {
    struct str s = STR_INIT;
    str_add(&s, before);
    for (size_t i = 0; i < n; i++) str_addn(&s, "x", 1);
    str_add(&s, after);
    folder_put("long.csv", s.p, s.len);
    str_release(&s);
}

Test(source, a_cell_has_at_most_a_mebibyte) {
    struct str out = STR_INIT;
    struct file_spec s = spec(folder_path("long.csv"), ",");
    put_long("a,b\n1,", 1 << 20, "\n2,3\n");
    cr_assert_eq(read_all(&s, &out), 0, "%s", e.msg);
    cr_assert_eq(out.len, 4 + 2 + (1 << 20) + 1 + 4);
    put_long("a,b\n1,", (1 << 20) + 1, "\n2,3\n");
    assert_fails(&s, ":2:3: cell 2 (`b`) is longer than 1 MiB");
    put_long("a,b\n1,\"", (1 << 20) + 1, "\"\n2,3\n");
    assert_fails(&s, ":2:1048580: cell 2 (`b`) is longer than 1 MiB");
    put_long("a,b\n1,\"\n", (1 << 20) + 1, "\n2,3\n");
    assert_fails(&s, ":3:1048576: cell 2 (`b`) is longer than 1 MiB (its quote opens at 2:3)");
    str_release(&out);
}

Test(source, a_row_has_at_most_4096_cells) {
    struct str text = STR_INIT, out = STR_INIT;
    for (int i = 0; i < 4096; i++) str_addf(&text, "%sc%d", i ? "," : "", i);
    str_add(&text, "\n");
    folder_put("wide.csv", text.p, text.len);
    struct file_spec s = spec(folder_path("wide.csv"), ",");
    cr_assert_eq(read_all(&s, &out), 0, "%s", e.msg);
    text.p[text.len - 1] = ',';
    folder_put("wide.csv", text.p, text.len);
    assert_fails(&s, ":1:23467: more than 4096 cells in a row");
    str_add(&text, "\"\"");
    folder_put("wide.csv", text.p, text.len);
    assert_fails(&s, ":1:1: more than 4096 cells in a row");
    str_release(&text);
    str_release(&out);
}

/* ---- larger than the buffers ---- */

/* A file of some MB with quotes, line ends in cells and UTF-8 here and there, and how it should read. */
static void make_large(struct str *file, struct str *want, int rows) {
    struct rng r = rng_init(5, 5);
    str_add(file, "a,b,c\n");
    str_add(want, "a|b|c\n");
    for (int i = 0; i < rows; i++) {
        int kind = (int)rng_below(&r, 12), n = (int)rng_below(&r, 60);
        if (kind == 0) {
            str_addf(file, "%d,\"q \"\"%d\"\", x\ny\",%d\r\n", i, n, n);
            str_addf(want, "%d|q \"%d\", x\ny|%d\n", i, n, n);
        } else if (kind == 1) {
            str_addf(file, "%d,é%*d,\n", i, n, n);
            str_addf(want, "%d|é%*d|\n", i, n, n);
        } else {
            str_addf(file, "%d,%*d,%d\n", i, n, n, n);
            str_addf(want, "%d|%*d|%d\n", i, n, n, n);
        }
    }
}

static size_t gzip_bytes(const char *text, size_t n, char *out, size_t cap) {
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)text;
    z.avail_in = (uInt)n;
    z.next_out = (unsigned char *)out;
    z.avail_out = (uInt)cap;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return cap - z.avail_out;
}

Test(source, reads_large_files_plain_and_compressed_alike) {
    struct str file = STR_INIT, want = STR_INIT;
    make_large(&file, &want, 100000);
    cr_assert_gt(file.len, 3 << 20);
    size_t cap = file.len + 1000, half = file.len / 2;
    char *z = mem_alloc(cap);
    folder_put("a.csv", file.p, file.len);
    struct file_spec s = spec(folder_path("a.csv"), ",");
    assert_reads(&s, want.p);

    size_t n = gzip_bytes(file.p, file.len, z, cap);
    folder_put("a.csv.gz", z, n);
    s = spec(folder_path("a.csv.gz"), ",");
    assert_reads(&s, want.p);

    n = gzip_bytes(file.p, half, z, cap); /* two members, and no name that tells */
    n += gzip_bytes(file.p + half, file.len - half, z + n, cap - n);
    folder_put("b.csv", z, n);
    s = spec(folder_path("b.csv"), ",");
    assert_reads(&s, want.p);

    n = ZSTD_compress(z, cap, file.p, half, 3);
    n += ZSTD_compress(z + n, cap - n, file.p + half, file.len - half, 3);
    folder_put("a.csv.zst", z, n);
    s = spec(folder_path("a.csv.zst"), ",");
    assert_reads(&s, want.p);
    mem_free(z);
    str_release(&file);
    str_release(&want);
}

Test(source, refuses_every_truncation_of_a_compressed_file) {
    struct str file = STR_INIT, want = STR_INIT, out = STR_INIT;
    static char z[65536], zst[65536];
    make_large(&file, &want, 200);
    size_t n = gzip_bytes(file.p, file.len, z, sizeof z),
           m = ZSTD_compress(zst, sizeof zst, file.p, file.len, 3);
    struct file_spec s = spec(folder_path("a.csv.gz"), ","), t = spec(folder_path("a.csv.zst"), ",");
    for (size_t k = 1; k < n; k++) {
        folder_put("a.csv.gz", z, k);
        cr_assert_eq(read_all(&s, &out), ERR_INPUT, "gzip cut at %zu of %zu", k, n);
        cr_assert(strstr(e.msg, k < 2 ? "not a gzip" : "truncated"), "%s", e.msg);
    }
    for (size_t k = 1; k < m; k++) {
        folder_put("a.csv.zst", zst, k);
        cr_assert_eq(read_all(&t, &out), ERR_INPUT, "zstd cut at %zu of %zu", k, m);
        cr_assert(strstr(e.msg, k < 4 ? "not a zstd" : "truncated"), "%s", e.msg);
    }
    str_release(&file);
    str_release(&want);
    str_release(&out);
}

Test(source, refuses_damaged_compression_and_bytes_behind_it) {
    char z[4096];
    const char *text = "a,b\n1,2\n3,4\n5,6\n7,8\n";
    size_t n = gzip_bytes(text, strlen(text), z, sizeof z);
    memcpy(z + n, "junk", 4);
    folder_put("a.csv.gz", z, n + 4);
    struct file_spec s = spec(folder_path("a.csv.gz"), ",");
    assert_fails(&s, ": bytes that are not gzip stand behind the end of the stream");
    z[n - 6] ^= 1; /* the checksum */
    folder_put("a.csv.gz", z, n);
    assert_fails(&s, ": the gzip stream is damaged");
    n = ZSTD_compress(z, sizeof z, text, strlen(text), 3);
    memcpy(z + n, "junk", 4);
    folder_put("a.csv.zst", z, n + 4);
    s = spec(folder_path("a.csv.zst"), ",");
    assert_fails(&s, ": bytes that are not zstd");
    z[6] |= 6; /* a type of block that there is not */
    folder_put("a.csv.zst", z, n);
    assert_fails(&s, ": the zstd stream is damaged near byte ");
    folder_put_text("b.gz", text);
    s = spec(folder_path("b.gz"), ",");
    assert_fails(&s, ": not a gzip file, although its name says so");
}

/* ---- anything at all ---- */

Test(source, survives_any_bytes) {
    static const char letters[] = "ab,,,\"\"\"\n\n\r\0\xe9\xc3\xa9\x1f\x8b\x28\xb5";
    struct rng r = rng_init(3, 3);
    struct str out = STR_INIT;
    for (int i = 0; i < 4000; i++) {
        char text[64];
        size_t n = rng_below(&r, sizeof text);
        for (size_t k = 0; k < n; k++) text[k] = letters[rng_below(&r, sizeof letters - 1)];
        folder_put("fuzz.csv", text, n);
        struct file_spec s = spec(folder_path("fuzz.csv"), ",");
        if (i % 5 == 0) s = spec(folder_path("fuzz.csv"), "ab"), s.latin1 = true;
        int rc = read_all(&s, &out);
        cr_assert(rc == 0 || (rc == ERR_INPUT && *e.msg));
    }
    str_release(&out);
}

/* Lines without a quote take another way than lines with one; both must see the same cells. */
Test(source, quotes_that_are_not_needed_change_nothing) {
    struct rng r = rng_init(9, 9);
    struct str plain = STR_INIT, quoted = STR_INIT, a = STR_INIT, b = STR_INIT;
    static const char *const cells[] = {"", " ", "x", "a b", "é", "12.5", "\t"};
    for (int i = 0; i < 500; i++)
        for (int k = 0; k < 4; k++) {
            const char *c = cells[rng_below(&r, 7)], *end = k < 3 ? "," : i % 2 ? "\n" : "\r\n";
            if (i == 0) c = (const char *[]){"a", "b", "c", "d"}[k];
            str_addf(&plain, "%s%s", c, end);
            str_addf(&quoted, "\"%s\"%s", c, end);
        }
    folder_put("a.csv", plain.p, plain.len);
    folder_put("b.csv", quoted.p, quoted.len);
    struct file_spec s = spec(folder_path("a.csv"), ","), t = spec(folder_path("b.csv"), ",");
    cr_assert_eq(read_all(&s, &a), 0, "%s", e.msg);
    cr_assert_eq(read_all(&t, &b), 0, "%s", e.msg);
    cr_assert_str_eq(a.p, b.p);
    str_release(&plain);
    str_release(&quoted);
    str_release(&a);
    str_release(&b);
}

Test(source, every_failing_allocation_is_an_error) {
    static const char text[] = "a,b\n1,\"x\"\"y\"\nJos\xe9,2\n";
    char z[4096];
    size_t n = gzip_bytes(text, sizeof text - 1, z, sizeof z);
    folder_put("a.csv.gz", z, n);
    struct file_spec s = spec(folder_path("a.csv.gz"), ",");
    s.latin1 = true;
    int failures = 0;
    for (unsigned long long nth = 1;; nth++) {
        struct source *src;
        const struct cell *row;
        int got = 1, rc;
        e = (struct err)ERR_INIT;
        mem_fail_after(nth);
        rc = source_open_file(&s, &src, &e);
        while (!rc && got) rc = source_next(src, &row, &got, &e);
        source_close(src);
        mem_fail_after(0);
        if (!rc) break;
        cr_assert_eq(rc, ERR_INPUT);
        cr_assert(strstr(e.msg, "memory"), "%s", e.msg);
        failures++;
    }
    cr_assert_gt(failures, 6);
}
