#include "base/conf.h"
#include "base/str.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct arena a;
static struct err e;

static void setup(void) {
    a = (struct arena)ARENA_INIT;
    e = (struct err)ERR_INIT;
}
static void teardown(void) { arena_release(&a); }

TestSuite(conf, .init = setup, .fini = teardown);

static struct conf *parse(const char *text) {
    struct conf *c = NULL;
    cr_assert_eq(conf_parse("mine.yaml", text, strlen(text), &a, &c, &e), 0, "%s", e.msg);
    return c;
}

static void assert_refused(const char *text, const char *message) {
    struct conf *c;
    e = (struct err)ERR_INIT;
    cr_expect_eq(conf_parse("mine.yaml", text, strlen(text), &a, &c, &e), ERR_INPUT, "accepted: %s", text);
    cr_expect_null(c);
    cr_expect_eq(strncmp(e.msg, message, strlen(message)), 0, "for %s\nwanted %s\ngot    %s", text, message,
                 e.msg);
}

static void assert_json(const struct conf *c, const char *json) {
    json_t *got = conf_json(c), *want = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = json_dumps(got, JSON_ENCODE_ANY);
    cr_expect(json_equal(got, want), "got %s", text);
    free(text);
    json_decref(got);
    json_decref(want);
}

Test(conf, reads_maps_lists_and_scalars_in_file_order) {
    struct conf *c = parse("data: x.yaml\nvariants:\n  - dssm\n  - cold: {hidden: [256, 128]}\nall: \"*\"\n");
    assert_json(c, "{\"data\":\"x.yaml\",\"variants\":[\"dssm\",{\"cold\":{\"hidden\":[\"256\",\"128\"]}}],"
                   "\"all\":\"*\"}");
    cr_assert_str_eq(c->key[0]->text, "data");
    cr_assert_str_eq(c->key[2]->text, "all");
}

Test(conf, knows_line_and_column_of_every_node_and_key) {
    struct conf *c = parse("a: 1\n\nb:\n  c: [x, yy]\n");
    struct conf *b = conf_get(c, "b"), *list = conf_get(b, "c");
    cr_assert(c->line == 1 && c->column == 1);
    cr_assert(c->key[1]->line == 3 && c->key[1]->column == 1);
    cr_assert(list->line == 4 && list->column == 6);
    cr_assert(list->item[1]->line == 4 && list->item[1]->column == 10);
    cr_assert_str_eq(list->item[1]->file, "mine.yaml");
}

Test(conf, columns_count_characters_not_bytes) {
    struct conf *c = parse("{\xc3\xa4\xc3\xb6: \xc3\xbc, x: 1}");
    cr_assert_eq(conf_get(c, "x")->column, 12);
}

Test(conf, tells_quoted_texts_from_plain_ones) {
    struct conf *c = parse("{a: 1, b: \"1\", c: '*', d: }\n");
    cr_assert_eq(conf_get(c, "a")->quoted, 0);
    cr_assert_eq(conf_get(c, "b")->quoted, 1);
    cr_assert_eq(conf_get(c, "c")->quoted, 1);
    cr_assert_str_eq(conf_get(c, "d")->text, "");
    cr_assert_eq(conf_get(c, "d")->quoted, 0);
}

Test(conf, an_empty_file_is_an_empty_text) {
    static const char *const empty[] = {"", "\n\n", "# only a comment\n", "---\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct conf *c = parse(empty[i]);
        cr_expect_eq(c->type, CONF_SCALAR);
        cr_expect_str_eq(c->text, "");
        cr_expect_geq(c->line, 1);
    }
}

Test(conf, refuses_what_a_config_does_not_need_with_its_place) {
    assert_refused("a: 1\nb: 2\na: 3\n",
                   "mine.yaml:3:1: the key `a` stands twice in this map, first on line 1");
    assert_refused("x:\n  - {k: 1, k: 2}\n", "mine.yaml:2:12: the key `k` stands twice");
    assert_refused("a: 1\n\"a\": 1\n", "mine.yaml:2:1: the key `a` stands twice");
    assert_refused("a: 1\n---\nb: 2\n", "mine.yaml:2:1: a second document");
    assert_refused("a: &x 1\nb: *x\n", "mine.yaml:1:4: anchors");
    assert_refused("a: &x [1]\n", "mine.yaml:1:4: anchors");
    assert_refused("a: &x {b: 1}\n", "mine.yaml:1:4: anchors");
    assert_refused("b: *x\n", "mine.yaml:1:4: aliases");
    assert_refused("<<: *x\n", "mine.yaml:1:5: aliases");
    assert_refused("a: !!int 1\n", "mine.yaml:1:4: tags");
    assert_refused("a: !python/object {}\n", "mine.yaml:1:4: tags");
    assert_refused("[a]: 1\n", "mine.yaml:1:1: a key must be a text");
    assert_refused("? {a: 1}\n: 1\n", "mine.yaml:1:3: a key must be a text");
    assert_refused("a: \"x\\0y\"\n", "mine.yaml:1:4: a text cannot hold a NUL");
}

Test(conf, refuses_broken_yaml_with_its_place_and_a_cure) {
    assert_refused("a:\n\tb: 1\n", "mine.yaml:2:1: ");
    cr_expect(strstr(e.msg, "indent with spaces, not with tabs"), "%s", e.msg);
    assert_refused("a:\n  b: 1\n  \tc: 1\n", "mine.yaml:3:3: ");
    cr_expect(strstr(e.msg, "tabs"), "%s", e.msg);
    assert_refused("all: *\n", "mine.yaml:1:6: ");
    cr_expect(strstr(e.msg, "needs quotes, as in \"*\""), "%s", e.msg);
    assert_refused("a: \"x\nb: 1\n", "mine.yaml:1:4: ");
    assert_refused("a: [1, 2\n", "mine.yaml:");
    assert_refused("a: >= 4\n", "mine.yaml:1:5: ");
    cr_expect(strstr(e.msg, "needs quotes"), "%s", e.msg);
    assert_refused("a: b: c\n", "mine.yaml:1:5: ");
    assert_refused("a: 1\n- b\n", "mine.yaml:2:1: ");
    assert_refused("a: \x01\n", "mine.yaml:1:4: control characters");
}

Test(conf, refuses_bytes_that_are_not_utf8) {
    assert_refused("a: \xc3\xa4\nb: x\xff\n", "mine.yaml:2:5: the byte 0xff is not UTF-8");
    assert_refused("\xff\xfe"
                   "a",
                   "mine.yaml:1:1: the byte 0xff"); /* UTF-16 */
    struct conf *c;
    cr_assert_eq(conf_parse("x", "a: \0b", 5, &a, &c, &e), ERR_INPUT);
}

Test(conf, limits_the_depth) {
    char text[400];
    memset(text, '[', 64), memset(text + 64, ']', 64), text[128] = '\0';
    parse(text);
    memset(text, '[', 65), memset(text + 65, ']', 65), text[130] = '\0';
    assert_refused(text, "mine.yaml:1:65: nested too deep");
    memset(text, '[', 399), text[399] = '\0';
    assert_refused(text, "mine.yaml:1:65: nested too deep");
}

Test(conf, finds_duplicates_among_thousands_of_keys) {
    struct str s = STR_INIT;
    for (int i = 0; i < 20000; i++) str_addf(&s, "k%d: %d\n", i, i);
    struct conf *c = parse(s.p);
    cr_assert_eq(c->n, 20000);
    cr_assert_str_eq(conf_get(c, "k19999")->text, "19999");
    cr_assert_str_eq(conf_get(c, "k0")->text, "0");
    str_add(&s, "k77: 1\n");
    assert_refused(s.p, "mine.yaml:20001:1: the key `k77` stands twice in this map, first on line 78");
    str_release(&s);
}

Test(conf, loads_files_and_names_missing_ones) {
    char path[] = "/tmp/prerank-conf-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "a: [1]\n", 7), 7);
    close(fd);
    struct conf *c;
    cr_assert_eq(conf_load(path, &a, &c, &e), 0, "%s", e.msg);
    unlink(path);
    cr_assert_str_eq(conf_get(c, "a")->file, path);
    cr_assert_eq(conf_load(path, &a, &c, &e), ERR_INPUT);
    cr_assert_null(c);
    cr_assert(strstr(e.msg, "cannot open"), "%s", e.msg);
}

Test(conf, get_is_null_for_what_is_not_there) {
    struct conf *c = parse("a: [1]\n");
    cr_assert_null(conf_get(c, "b"));
    cr_assert_null(conf_get(NULL, "b"));
    cr_assert_null(conf_get(conf_get(c, "a"), "b"));
}

static void set(struct conf *c, const char *key, const char *value) {
    cr_assert_eq(conf_set(c, key, value, &a, &e), 0, "%s", e.msg);
}

Test(conf, set_replaces_and_makes_maps_on_the_way) {
    struct conf *c = parse("data: x\nvariants:\n  - dssm: {dropout: 0}\n  - cold\nempty:\n");
    set(c, "data", "y.yaml");
    set(c, "variants.0.dssm.dropout", "0.5");
    set(c, "variants.1", "{din: {heads: 2}}");
    set(c, "select.subject_to.qps", "\">= 2000\"");
    set(c, "seeds", "[1, 2]");
    set(c, "empty.x", "");
    assert_json(
        c,
        "{\"data\":\"y.yaml\",\"variants\":[{\"dssm\":{\"dropout\":\"0.5\"}},{\"din\":{\"heads\":\"2\"}}],"
        "\"empty\":{\"x\":\"\"},\"select\":{\"subject_to\":{\"qps\":\">= 2000\"}},\"seeds\":[\"1\",\"2\"]}");
    struct conf *qps = conf_get(conf_get(conf_get(c, "select"), "subject_to"), "qps");
    cr_assert_eq(qps->line, 0);
    conf_err(qps, &e, "wrong");
    cr_assert_str_eq(e.msg, "--set select.subject_to.qps=\">= 2000\": wrong");
}

Test(conf, set_works_on_an_empty_config) {
    struct conf *c = parse("");
    set(c, "a.b", "1");
    assert_json(c, "{\"a\":{\"b\":\"1\"}}");
}

static void assert_set_refused(const char *key, const char *value, const char *message) {
    struct conf *c = parse("a: text\nlist: [1, 2]\n");
    cr_expect_eq(conf_set(c, key, value, &a, &e), ERR_INPUT, "%s=%s", key, value);
    cr_expect_eq(strncmp(e.msg, message, strlen(message)), 0, "wanted %s\ngot    %s", message, e.msg);
}

Test(conf, set_refuses_what_leads_nowhere) {
    assert_set_refused("list.2", "1", "--set list.2=1: there is no element 2; the list has 2");
    assert_set_refused("list.99999999999999999999", "1", "--set list.99999999999999999999=1: ");
    assert_set_refused("list.-1", "1", "--set list.-1=1: `-1` stands after a list");
    assert_set_refused("list.x", "1", "--set list.x=1: `x` stands after a list");
    assert_set_refused("a.b", "1", "--set a.b=1: cannot set `b`: what stands before it is the text \"text\"");
    assert_set_refused("", "1", "--set =1: a part of the key \"\" is empty");
    assert_set_refused("b..c", "1", "--set b..c=1: a part of the key");
    assert_set_refused("b.", "1", "--set b.=1: a part of the key");
    assert_set_refused("b", "[1", "--set b=[1: ");
    assert_set_refused("b", "{x: 1, x: 2}",
                       "--set b={x: 1, x: 2}: the key `x` stands twice in this map; keep one");
    char deep[400] = "a";
    for (int i = 1; i < 199; i++) strcat(deep, ".a");
    struct conf *c = parse("");
    cr_expect_eq(conf_set(c, deep, "1", &a, &e), ERR_INPUT);
}

Test(conf, only_names_the_unknown_key_and_the_nearest_one) {
    static const char *const known[] = {"side", "kind", "sep"};
    struct conf *c = parse("{side: user, knid: multi}\n");
    cr_assert_eq(conf_only(c, "a column", known, 3, &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "mine.yaml:1:14: a column: unknown key `knid`, did you mean \"kind\"?");
    cr_assert_eq(conf_only(parse("{whatever: 1}"), "a column", known, 3, &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "mine.yaml:1:2: a column: unknown key `whatever`; known: side, kind, sep");
    cr_assert_eq(conf_only(parse("{sep: x}"), "a column", known, 3, &e), 0);
    cr_assert_eq(conf_only(parse("[sep]"), "a column", known, 3, &e), ERR_INPUT);
    cr_assert_eq(conf_only(NULL, "a column", known, 3, &e), 0);
}

Test(conf, want_names_what_is_there_instead) {
    struct conf *c = parse("{a: 1, b: [], c: {}, d: }");
    cr_assert_eq(conf_want(conf_get(c, "b"), CONF_LIST, "`b`", &e), 0);
    conf_want(conf_get(c, "a"), CONF_LIST, "`a`", &e);
    cr_assert_str_eq(e.msg, "mine.yaml:1:5: `a` must be a list, not \"1\"");
    conf_want(conf_get(c, "b"), CONF_MAP, "`b`", &e);
    cr_assert_str_eq(e.msg, "mine.yaml:1:11: `b` must be a map, not a list");
    conf_want(conf_get(c, "d"), CONF_MAP, "`d`", &e);
    cr_assert(strstr(e.msg, "`d` must be a map, but it is empty"), "%s", e.msg);
    cr_assert_eq(conf_want(NULL, CONF_MAP, "`x`", &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "`x` is missing");
}

Test(conf, err_needs_no_position) {
    struct conf c = {.type = CONF_SCALAR, .text = "x"};
    cr_assert_eq(conf_err(NULL, &e, "a"), ERR_INPUT);
    cr_assert_str_eq(e.msg, "a");
    conf_err(&c, &e, "b");
    cr_assert_str_eq(e.msg, "b");
    cr_assert_eq(conf_err(&c, NULL, "b"), ERR_INPUT);
}
