#include "base/file.h"
#include "base/mem.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void setup(void) {
    strcpy(dir, "/tmp/prerank-test-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void) { file_remove_tree(dir, NULL); }

static const char *in(const char *name) {
    static char path[4][1024];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static int entries(void) {
    DIR *d = opendir(dir);
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void assert_holds(const char *path, const char *text) {
    char *got;
    size_t n;
    struct err e = ERR_INIT;
    cr_assert_eq(file_read_text(path, &got, &n, &e), 0, "%s", e.msg);
    cr_assert_str_eq(got, text);
    cr_assert_eq(n, strlen(text));
    mem_free(got);
}

TestSuite(file, .init = setup, .fini = teardown);

Test(file, appears_only_at_commit) {
    struct file_out o;
    struct err e = ERR_INIT;
    cr_assert_eq(file_begin(&o, in("a.csv"), &e), 0, "%s", e.msg);
    fputs("x,y\n", o.f);
    cr_assert_not(file_exists(in("a.csv")));
    char tmp[1100];
    snprintf(tmp, sizeof tmp, "%s.tmp-%ld", in("a.csv"), (long)getpid());
    cr_assert(file_exists(tmp));
    cr_assert_eq(file_commit(&o, &e), 0, "%s", e.msg);
    assert_holds(in("a.csv"), "x,y\n");
    cr_assert_eq(entries(), 1);
    file_abort(&o); /* harmless after a commit */
    cr_assert(file_exists(in("a.csv")));
}

Test(file, abort_leaves_the_old_file_and_no_temporary) {
    struct file_out o;
    cr_assert_eq(file_write_text(in("a"), "old", 3, NULL), 0);
    cr_assert_eq(file_begin(&o, in("a"), NULL), 0);
    fputs("new", o.f);
    file_abort(&o);
    file_abort(&o);
    assert_holds(in("a"), "old");
    cr_assert_eq(entries(), 1);
}

/* Lets the stream write to a full device in place of its temporary. */
static void fill_disk(struct file_out *o) {
    int full = open("/dev/full", O_WRONLY);
    cr_assert_geq(full, 0);
    cr_assert_geq(dup2(full, fileno(o->f)), 0);
    close(full);
}

Test(file, a_full_disk_leaves_the_old_file_and_no_temporary) {
    static const size_t sizes[] = {1, 100000}; /* fails at the flush, and before it */
    for (int i = 0; i < 2; i++) {
        struct file_out o;
        struct err e = ERR_INIT;
        cr_assert_eq(file_write_text(in("a"), "old", 3, NULL), 0);
        cr_assert_eq(file_begin(&o, in("a"), NULL), 0);
        fill_disk(&o);
        for (size_t k = 0; k < sizes[i]; k++) putc('x', o.f);
        cr_assert_eq(file_commit(&o, &e), ERR_INPUT);
        cr_assert(strstr(e.msg, "disk is full"), "%s", e.msg);
        cr_assert(strstr(e.msg, in("a")), "%s", e.msg);
        assert_holds(in("a"), "old");
        cr_assert_eq(entries(), 1);
        cr_assert_eq(file_commit(&o, &e), ERR_INPUT); /* nothing is open any more */
    }
}

Test(file, a_killed_writer_leaves_the_old_file) {
    cr_assert_eq(file_write_text(in("a"), "old", 3, NULL), 0);
    pid_t child = fork();
    if (!child) {
        struct file_out o;
        if (file_begin(&o, in("a"), NULL)) _exit(1);
        fputs("half", o.f);
        fflush(o.f);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    assert_holds(in("a"), "old");
}

Test(file, refuses_folders_devices_and_long_names) {
    struct file_out o;
    struct err e = ERR_INIT;
    cr_assert_eq(file_begin(&o, dir, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "it is a folder"), "%s", e.msg);
    cr_assert_eq(file_begin(&o, "/dev/null", &e), ERR_INPUT); /* a rename would replace the device */
    cr_assert(strstr(e.msg, "not a regular file"), "%s", e.msg);
    cr_assert_eq(file_begin(&o, "", &e), ERR_INPUT);
    cr_assert_eq(file_begin(&o, in("no/such/folder"), &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "No such file or directory"), "%s", e.msg);
    char path[2000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(file_begin(&o, path, &e), ERR_INPUT);
    file_abort(&o);
    struct file_map m;
    cr_assert_eq(file_map_create("/dev/null", 10, &m, &e), ERR_INPUT);
    struct stat st;
    cr_assert_eq(stat("/dev/null", &st), 0);
    cr_assert(S_ISCHR(st.st_mode));
}

Test(file, json_keeps_its_order_and_comes_back) {
    json_t *j = json_pack("{s:i,s:f,s:[s,n,b]}", "zebra", 1, "apple", 0.1, "list", "x", 1), *k;
    struct err e = ERR_INIT;
    cr_assert_eq(file_write_json(in("a.json"), j, &e), 0, "%s", e.msg);
    char *text;
    size_t n;
    cr_assert_eq(file_read_text(in("a.json"), &text, &n, NULL), 0);
    cr_assert_lt(strstr(text, "zebra"), strstr(text, "apple"));
    cr_assert_eq(text[n - 1], '\n');
    mem_free(text);
    cr_assert_eq(file_read_json(in("a.json"), &k, &e), 0, "%s", e.msg);
    cr_assert(json_equal(j, k));
    json_decref(j), json_decref(k);
    cr_assert_eq(file_write_json(in("b.json"), NULL, &e), ERR_INPUT);
    cr_assert_not(file_exists(in("b.json")));
}

Test(file, json_errors_have_line_and_column) {
    static const char *const bad[] = {"{\n  \"a\": 1,\n  x\n}", "", "{\"a\": 1, \"a\": 2}", "{} {}",
                                      "{\"a\": \"\xff\"}"};
    struct err e = ERR_INIT;
    json_t *j;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        file_write_text(in("a.json"), bad[i], strlen(bad[i]), NULL);
        cr_expect_eq(file_read_json(in("a.json"), &j, &e), ERR_INPUT, "%zu", i);
        cr_expect_null(j);
        if (!i) cr_expect(strstr(e.msg, "a.json:3:3: not valid JSON"), "%s", e.msg);
    }
    cr_expect_eq(file_read_json(in("none.json"), &j, &e), ERR_INPUT);
}

Test(file, reads_text_with_nul_from_files_and_pipes) {
    char big[100001], *text;
    size_t n;
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i % 7);
    cr_assert_eq(file_write_text(in("a"), big, sizeof big, NULL), 0);
    cr_assert_eq(file_read_text(in("a"), &text, &n, NULL), 0);
    cr_assert_eq(n, sizeof big);
    cr_assert_eq(memcmp(text, big, n), 0);
    cr_assert_eq(text[n], '\0');
    mem_free(text);
    cr_assert_eq(mkfifo(in("pipe"), 0600), 0);
    pid_t child = fork();
    if (!child) {
        int fd = open(in("pipe"), O_WRONLY);
        for (size_t at = 0; at < sizeof big;) at += (size_t)write(fd, big + at, sizeof big - at);
        _exit(0);
    }
    cr_assert_eq(file_read_text(in("pipe"), &text, &n, NULL), 0);
    cr_assert_eq(n, sizeof big);
    mem_free(text);
    waitpid(child, NULL, 0);
}

Test(file, reading_reports_missing_files_folders_and_memory) {
    char *text;
    size_t n;
    struct err e = ERR_INIT;
    cr_assert_eq(file_read_text(in("none"), &text, &n, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "none: cannot open: No such file"), "%s", e.msg);
    cr_assert_eq(file_read_text(dir, &text, &n, &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "it is a folder"), "%s", e.msg);
    file_write_text(in("a"), "x", 1, NULL);
    mem_fail_after(1);
    cr_assert_eq(file_read_text(in("a"), &text, &n, &e), ERR_INPUT);
    mem_fail_after(0);
    cr_assert_null(text);
}

Test(file, maps_written_and_read_back) {
    struct file_map m, r;
    struct err e = ERR_INIT;
    cr_assert_eq(file_map_create(in("m"), 10000, &m, &e), 0, "%s", e.msg);
    for (size_t i = 0; i < 10000; i++) cr_assert_eq(((char *)m.p)[i], 0);
    ((char *)m.p)[9999] = 'z';
    file_unmap(&m);
    cr_assert_null(m.p);
    file_unmap(&m);
    cr_assert_eq(file_size(in("m")), 10000);
    cr_assert_eq(file_map_read(in("m"), &r, &e), 0);
    cr_assert_eq(r.bytes, 10000);
    cr_assert_eq(((const char *)r.p)[9999], 'z');
    /* whoever maps the old file keeps it when a new one takes the name */
    cr_assert_eq(file_map_create(in("m"), 1, &m, &e), 0);
    cr_assert_eq(((const char *)r.p)[9999], 'z');
    file_unmap(&m);
    file_unmap(&r);
}

Test(file, empty_maps_have_no_address) {
    struct file_map m;
    cr_assert_eq(file_map_create(in("m"), 0, &m, NULL), 0);
    cr_assert_null(m.p);
    cr_assert_eq(file_map_read(in("m"), &m, NULL), 0);
    cr_assert(!m.p && !m.bytes);
    file_unmap(&m);
}

Test(file, a_map_larger_than_the_disk_is_an_error_and_leaves_nothing) {
    struct file_map m;
    struct err e = ERR_INIT;
    cr_assert_eq(file_map_create(in("m"), (size_t)1 << 55, &m, &e), ERR_INPUT);
    cr_assert_eq(entries(), 0);
    cr_assert_eq(file_map_create(in("m"), SIZE_MAX, &m, &e), ERR_INPUT);
    cr_assert_eq(entries(), 0);
    cr_assert_eq(file_map_read(in("none"), &m, &e), ERR_INPUT);
    cr_assert_eq(file_map_read(dir, &m, &e), ERR_INPUT);
}

Test(file, makes_and_removes_trees) {
    struct err e = ERR_INIT;
    cr_assert_eq(file_make_dirs(in("a/b/c/"), &e), 0, "%s", e.msg);
    cr_assert_eq(file_make_dirs(in("a/b/c"), &e), 0);
    cr_assert_eq(file_write_text(in("a/b/x"), "1", 1, NULL), 0);
    cr_assert_eq(file_make_dirs(in("a/b/x/y"), &e), ERR_INPUT);
    cr_assert(strstr(e.msg, "x is a file"), "%s", e.msg);
    cr_assert_eq(file_remove_tree(in("a"), &e), 0, "%s", e.msg);
    cr_assert_not(file_exists(in("a")));
    cr_assert_eq(file_remove_tree(in("a"), &e), 0, "a missing path is fine");
    cr_assert_eq(file_remove_tree("/", &e), ERR_INPUT);
    cr_assert_eq(file_remove_tree("", &e), ERR_INPUT);
}

Test(file, removing_a_tree_does_not_follow_links) {
    cr_assert_eq(file_make_dirs(in("keep"), NULL), 0);
    cr_assert_eq(file_write_text(in("keep/x"), "1", 1, NULL), 0);
    cr_assert_eq(file_make_dirs(in("a"), NULL), 0);
    cr_assert_eq(symlink(in("keep"), in("a/link")), 0);
    cr_assert_eq(file_remove_tree(in("a"), NULL), 0);
    cr_assert(file_exists(in("keep/x")));
    cr_assert_eq(symlink(in("keep"), in("link")), 0);
    cr_assert_eq(file_remove_tree(in("link/"), NULL), 0);
    cr_assert(file_exists(in("keep/x")));
}

Test(file, size_and_existence) {
    cr_assert_eq(file_size(in("none")), -1);
    cr_assert_eq(file_exists(in("none")), 0);
    cr_assert_eq(file_exists(dir), 1);
    cr_assert_eq(file_size(dir), -1);
    file_write_text(in("a"), "abc", 3, NULL);
    cr_assert_eq(file_size(in("a")), 3);
}

Test(file, joins_paths) {
    static const char *const cases[][3] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"},
                                           {"a", "", "a"},    {"a", "/b", "/b"},  {"/", "b", "/b"}};
    char out[8];
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(file_join(out, sizeof out, cases[i][0], cases[i][1], &e), 0);
        cr_expect_str_eq(out, cases[i][2]);
    }
    strcpy(out, "ab");
    cr_expect_eq(file_join(out, sizeof out, out, "cdef", &e), 0);
    cr_expect_str_eq(out, "ab/cdef");
    cr_expect_eq(file_join(out, sizeof out, "abc", "defg", &e), ERR_INPUT);
}

Test(file, hashes_are_xxh3_128_of_the_bytes) {
    /* XXH3-128 with seed 0 of nothing: xxHash's own sanity vector */
    cr_assert_str_eq(hash_bytes("", 0).hex, "99aa06d3014798d86001c324468d497f");
    char big[700001];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 31);
    static const size_t sizes[] = {0, 1, 240, 241, 262144, 262145, sizeof big};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct hash h;
        struct err e = ERR_INIT;
        cr_assert_eq(file_write_text(in("h"), big, sizes[i], &e), 0);
        cr_assert_eq(hash_file(in("h"), &h, &e), 0, "%s", e.msg);
        cr_assert_str_eq(h.hex, hash_bytes(big, sizes[i]).hex);
    }
    struct hash h;
    cr_assert_eq(hash_file(in("none"), &h, NULL), ERR_INPUT);
    cr_assert_eq(hash_file(dir, &h, NULL), ERR_INPUT);
}
