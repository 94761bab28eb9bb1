#include "base/mem.h"
#include "base/opt.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const act_names[] = {"relu", "tanh", "prelu", NULL};

struct tower {
    struct opt_ints hidden;
    double dropout;
    bool batch_norm;
    int act;
    int64_t rows, threads;
    char note[OPT_TEXT_MAX];
    struct opt_doubles rates;
    struct opt_names fields;
    struct opt_ints acts;
};

static const struct opt table[] = {
    OPT_INTS(struct tower, hidden, "128,64,32", 1, 65536, "units of each layer"),
    OPT_DOUBLE(struct tower, dropout, "0", 0, 0.95, "share of hidden units dropped in training"),
    OPT_BOOL(struct tower, batch_norm, "false", "batch norm on hidden layers"),
    OPT_ENUM(struct tower, act, "relu", act_names, "hidden activation"),
    OPT_INT(struct tower, rows, "1M", 1, 9.3e18, "rows to make"),
    OPT_INT(struct tower, threads, "0", 1, 256, "0 = all"),
    OPT_TEXT(struct tower, note, "", "a remark"),
    OPT_DOUBLES(struct tower, rates, "0.1, 1e-3", 0, 1, "learning rates to try"),
    OPT_NAMES(struct tower, fields, "user_id,item_id", "columns"),
    OPT_ENUMS(struct tower, acts, "", act_names, "activations to try"),
    OPT_END};

static struct arena a;
static struct err e;
static struct tower t;

static void setup(void) {
    a = (struct arena)ARENA_INIT;
    e = (struct err)ERR_INIT;
    opt_defaults(table, &t);
}
static void teardown(void) { arena_release(&a); }

TestSuite(opt, .init = setup, .fini = teardown);

static int read_text(const char *text) {
    struct conf *c;
    opt_defaults(table, &t);
    TRY(conf_parse("mine.yaml", text, strlen(text), &a, &c, &e));
    return opt_read(table, &t, c, "dssm", &e);
}

static void assert_reads(const char *text) { cr_assert_eq(read_text(text), 0, "%s", e.msg); }

static void assert_refused(const char *text, const char *message) {
    e = (struct err)ERR_INIT;
    cr_expect_eq(read_text(text), ERR_INPUT, "accepted: %s", text);
    cr_expect_str_eq(e.msg, message);
}

Test(opt, defaults_come_from_the_table) {
    cr_assert(t.hidden.n == 3 && t.hidden.v[0] == 128 && t.hidden.v[2] == 32);
    cr_assert(t.dropout == 0 && !t.batch_norm && t.act == 0 && t.rows == 1000000 && t.threads == 0);
    cr_assert_str_eq(t.note, "");
    cr_assert(t.rates.n == 2 && t.rates.v[0] == 0.1 && t.rates.v[1] == 1e-3);
    cr_assert_eq(t.fields.n, 2);
    cr_assert_str_eq(t.fields.v[1], "item_id");
    cr_assert_eq(t.acts.n, 0);
    for (const struct opt *o = table; o->name; o++) cr_expect(opt_is_default(table, &t, o), "%s", o->name);
}

Test(opt, reads_every_type) {
    assert_reads("hidden: [7, 1e3]\ndropout: 0.5\nbatch_norm: true\nact: tanh\nrows: 20M\nthreads: 8\n"
                 "note: \"a, b\"\nrates: [0.5]\nfields: [x, 'y z']\nacts: [prelu, relu]\n");
    cr_assert(t.hidden.n == 2 && t.hidden.v[0] == 7 && t.hidden.v[1] == 1000);
    cr_assert(t.dropout == 0.5 && t.batch_norm && t.act == 1 && t.rows == 20000000 && t.threads == 8);
    cr_assert_str_eq(t.note, "a, b");
    cr_assert(t.rates.n == 1 && t.rates.v[0] == 0.5);
    cr_assert_str_eq(t.fields.v[1], "y z");
    cr_assert(t.acts.n == 2 && t.acts.v[0] == 2 && t.acts.v[1] == 0);
    for (const struct opt *o = table; o->name; o++)
        cr_expect_not(opt_is_default(table, &t, o), "%s", o->name);
}

Test(opt, a_scalar_is_a_list_of_one_and_a_list_may_be_empty) {
    assert_reads("{hidden: 64, fields: x, acts: tanh, rates: []}");
    cr_assert(t.hidden.n == 1 && t.hidden.v[0] == 64 && t.rates.n == 0);
    cr_assert(t.fields.n == 1 && t.acts.n == 1 && t.acts.v[0] == 1);
}

Test(opt, nothing_to_read_is_fine) {
    cr_assert_eq(opt_read(table, &t, NULL, "dssm", &e), 0);
    assert_reads("");
    assert_reads("{}");
    cr_assert_eq(t.hidden.n, 3);
}

Test(opt, refuses_wrong_numbers) {
    assert_refused("a: 0\n",
                   "mine.yaml:1:1: dssm: unknown key `a`; known: hidden, dropout, batch_norm, act, rows, "
                   "threads, note, rates, fields, acts");
    assert_refused("\n\nhiden: 3\n", "mine.yaml:3:1: dssm: unknown key `hiden`, did you mean \"hidden\"?");
    assert_refused("dropout: 1.5\n",
                   "mine.yaml:1:10: dssm: `dropout` must be between 0 and 0.95, not \"1.5\"");
    assert_refused("dropout: .nan\n", "mine.yaml:1:10: dssm: `dropout` must be a number, not \".nan\"");
    assert_refused("dropout: nan\n", "mine.yaml:1:10: dssm: `dropout` must be a number, not \"nan\"");
    assert_refused("dropout: 0.5x\n", "mine.yaml:1:10: dssm: `dropout` must be a number, not \"0.5x\"");
    assert_refused("rows: 12abc\n", "mine.yaml:1:7: dssm: `rows` must be a whole number, not \"12abc\"");
    assert_refused("rows: 1.5\n", "mine.yaml:1:7: dssm: `rows` must be a whole number, not \"1.5\"");
    assert_refused("rows: 0\n", "mine.yaml:1:7: dssm: `rows` must be at least 1, not \"0\"");
    assert_refused("rows:\n", "mine.yaml:1:6: dssm: `rows` must be a whole number, but it is empty");
    assert_refused(
        "rows: \"5\"\n",
        "mine.yaml:1:7: dssm: `rows` must be a whole number, not the text \"5\"; leave the quotes away");
    assert_refused("threads: 257\n",
                   "mine.yaml:1:10: dssm: `threads` must be between 1 and 256, not \"257\"");
}

Test(opt, refuses_wrong_types) {
    assert_refused("rows: [1]\n", "mine.yaml:1:7: dssm: `rows` must be a single value, not a list");
    assert_refused("rows: {a: 1}\n", "mine.yaml:1:7: dssm: `rows` must be a single value, not a map");
    assert_refused("hidden: {a: 1}\n",
                   "mine.yaml:1:9: dssm: `hidden` must be a list of single values, not a map");
    assert_refused("hidden: [1, [2]]\n",
                   "mine.yaml:1:13: dssm: `hidden` must be a list of single values, not a list");
    assert_refused("hidden: [1, x]\n",
                   "mine.yaml:1:13: dssm: each member of `hidden` must be a whole number, not \"x\"");
    assert_refused("hidden: [1, 0]\n",
                   "mine.yaml:1:13: dssm: each member of `hidden` must be between 1 and 65536, not \"0\"");
    assert_refused(
        "hidden: 128,64\n",
        "mine.yaml:1:9: dssm: `hidden` must be a whole number, not \"128,64\"; write a list as [a, b]");
    assert_refused("fields:\n", "mine.yaml:1:8: dssm: `fields` is empty; write [] for an empty list");
    assert_refused("batch_norm: 1\n", "mine.yaml:1:13: dssm: `batch_norm` must be true or false, not \"1\"");
    assert_refused(
        "act: rleu\n",
        "mine.yaml:1:6: dssm: `act` must be one of relu, tanh, prelu, not \"rleu\", did you mean \"relu\"?");
    assert_refused("act: sigmoid\n",
                   "mine.yaml:1:6: dssm: `act` must be one of relu, tanh, prelu, not \"sigmoid\"");
    assert_refused("[1]\n", "mine.yaml:1:1: dssm must be a map, not a list");
    assert_refused("text\n", "mine.yaml:1:1: dssm must be a map, not \"text\"");
    assert_refused("rows: 1\nrows: 2\n",
                   "mine.yaml:2:1: the key `rows` stands twice in this map, first on line 1; "
                   "keep one");
}

Test(opt, refuses_what_has_no_room) {
    struct str s = STR_INIT;
    str_add(&s, "hidden: [1");
    for (int i = 1; i < OPT_LIST_MAX; i++) str_add(&s, ",1");
    str_add(&s, "]");
    assert_reads(s.p);
    cr_assert_eq(t.hidden.n, OPT_LIST_MAX);
    s.len--;
    str_add(&s, ",1]");
    assert_refused(s.p, "mine.yaml:1:9: dssm: `hidden` must have at most 32 members, not 33");
    char text[600] = "note: ";
    memset(text + 6, 'x', 255);
    assert_reads(text);
    cr_assert_eq(strlen(t.note), 255);
    text[6 + 255] = 'x';
    cr_assert_eq(read_text(text), ERR_INPUT);
    cr_assert(strstr(e.msg, "`note` must be shorter than 256 bytes, not 256"), "%s", e.msg);
    memset(text, 0, sizeof text);
    strcpy(text, "fields: ");
    memset(text + 8, 'x', 63);
    assert_reads(text);
    text[8 + 63] = 'x';
    cr_assert_eq(read_text(text), ERR_INPUT);
    str_release(&s);
}

Test(opt, a_wrong_value_changes_nothing) {
    assert_reads("hidden: [1, 2]\n");
    struct conf *c;
    cr_assert_eq(conf_parse("m", "[5, x]", 6, &a, &c, &e), 0);
    cr_assert_eq(opt_set(table, &t, "hidden", c, "dssm", &e), ERR_INPUT);
    cr_assert(t.hidden.n == 2 && t.hidden.v[0] == 1);
}

Test(opt, a_default_outside_the_range_may_be_written_down) {
    assert_reads("threads: 0\n"); /* 0 = all, though the range begins at 1 */
    cr_assert_eq(t.threads, 0);
    cr_assert_eq(e.code, 0);
    assert_refused("threads: -1\n", "mine.yaml:1:10: dssm: `threads` must be between 1 and 256, not \"-1\"");
}

Test(opt, set_takes_one_field_and_needs_no_position) {
    struct conf c = {.type = CONF_SCALAR, .text = "0.25"};
    cr_assert_eq(opt_set(table, &t, "dropout", &c, "dssm", &e), 0);
    cr_assert_eq(t.dropout, 0.25);
    c.text = "2";
    cr_assert_eq(opt_set(table, &t, "dropout", &c, "dssm", &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "dssm: `dropout` must be between 0 and 0.95, not \"2\"");
    cr_assert_eq(opt_set(table, &t, "drop", &c, "dssm", NULL), ERR_INPUT);
    cr_assert_eq(opt_set(table, &t, "dropout", NULL, "dssm", &e), ERR_INPUT);
    cr_assert_str_eq(opt_find(table, "act")->name, "act");
    cr_assert_null(opt_find(table, "nothing"));
}

Test(opt, set_from_the_command_line_names_itself) {
    struct conf *c;
    cr_assert_eq(conf_parse("m", "", 0, &a, &c, &e), 0);
    cr_assert_eq(conf_set(c, "dropout", "7", &a, &e), 0);
    cr_assert_eq(opt_read(table, &t, c, "dssm", &e), ERR_INPUT);
    cr_assert_str_eq(e.msg, "--set dropout=7: dssm: `dropout` must be between 0 and 0.95, not \"7\"");
}

Test(opt, json_is_typed) {
    assert_reads("{dropout: 0.5, acts: [tanh]}");
    json_t *j = opt_json(table, &t);
    char *text = json_dumps(j, JSON_COMPACT);
    cr_assert_str_eq(
        text,
        "{\"hidden\":[128,64,32],\"dropout\":0.5,\"batch_norm\":false,\"act\":\"relu\",\"rows\":1000000,"
        "\"threads\":0,\"note\":\"\",\"rates\":[0.10000000000000001,0.001],"
        "\"fields\":[\"user_id\",\"item_id\"],\"acts\":[\"tanh\"]}");
    free(text);
    json_decref(j);
}

static void assert_comes_back(void) {
    struct tower back;
    opt_defaults(table, &back);
    json_t *j = opt_json(table, &t);
    char *text = json_dumps(j, 0);
    json_t *again = json_loads(text, 0, NULL); /* through text, as in a manifest */
    cr_assert_eq(opt_from_json(table, &back, again, "dssm", &e), 0, "%s", e.msg);
    json_t *k = opt_json(table, &back);
    cr_assert(json_equal(j, k), "%s", text);
    free(text);
    json_decref(j), json_decref(k), json_decref(again);
}

Test(opt, what_json_gave_it_takes_back) {
    assert_comes_back();
    assert_reads("hidden: [7, 1e3]\ndropout: 0.1234567890123456789\nbatch_norm: yes\nact: prelu\n"
                 "rows: 9223372036854775807\nthreads: 8\nnote: \"12 \\u00e4\"\nrates: [1e-300, 0.3]\n"
                 "fields: ['1', 'true', '']\nacts: [prelu, relu]\n");
    assert_comes_back();
    assert_reads("{hidden: [], fields: [], rates: []}");
    assert_comes_back();
}

Test(opt, a_nan_that_code_put_into_a_field_is_null_in_json_and_null_leaves_the_field) {
    t.dropout = NAN;
    json_t *j = opt_json(table, &t);
    cr_assert(json_is_null(json_object_get(j, "dropout")));
    t.dropout = 0.5;
    cr_assert_eq(opt_from_json(table, &t, j, "dssm", &e), 0, "%s", e.msg);
    cr_assert_eq(t.dropout, 0.5);
    json_decref(j);
}

Test(opt, json_of_the_wrong_type_is_refused) {
    static const char *const bad[] = {
        "{\"rows\": \"5\"}",
        "{\"rows\": true}",
        "{\"rows\": 1.5}",
        "{\"rows\": [5]}",
        "{\"rows\": {}}",
        "{\"dropout\": 5}",
        "{\"batch_norm\": 1}",
        "{\"act\": 0}",
        "{\"hidden\": [\"1\"]}",
        "{\"hidden\": [[1]]}",
        "{\"hiden\": 1}",
        "{\"hiden\": null}",
        "{\"hidden\": [1, null]}",
        "[]",
        "{\"hidden\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = json_loads(bad[i], 0, NULL);
        cr_expect_eq(opt_from_json(table, &t, j, "dssm", &e), ERR_INPUT, "%s", bad[i]);
        json_decref(j);
    }
    cr_expect(strstr(e.msg, "at most 32 members"), "%s", e.msg);
    cr_expect_eq(opt_from_json(table, &t, NULL, "dssm", &e), ERR_INPUT);
}

Test(opt, help_has_a_line_for_each_option) {
    struct str s = STR_INIT;
    opt_help(table, &s, 2);
    cr_assert_not(s.failed);
    int lines = 0;
    for (const char *p = s.p; (p = strchr(p, '\n')); p++) lines++;
    cr_assert_eq(lines, 10);
    cr_assert(
        strstr(s.p, "  hidden      list of whole numbers 1..65536, default 128,64,32  units of each layer\n"),
        "%s", s.p);
    cr_assert(strstr(s.p, "  rows        whole number >= 1, default 1M  rows to make\n"), "%s", s.p);
    cr_assert(strstr(s.p, "  act         one of relu|tanh|prelu, default relu  hidden activation\n"), "%s",
              s.p);
    cr_assert(strstr(s.p, "  acts        list of relu|tanh|prelu, default []  activations to try\n"), "%s",
              s.p);
    cr_assert(strstr(s.p, "  note        text, default \"\"  a remark\n"), "%s", s.p);
    str_release(&s);
}

/* One pass over conf, opt and str. */
static int whole_pass(const char *text, struct err *err) {
    struct arena arena = ARENA_INIT;
    struct conf *c;
    struct tower tower;
    struct str help = STR_INIT;
    opt_defaults(table, &tower);
    int rc = conf_parse("mine.yaml", text, strlen(text), &arena, &c, err);
    if (!rc) rc = conf_set(c, "hidden", "[1, 2, 3]", &arena, err);
    if (!rc) rc = opt_read(table, &tower, c, "dssm", err);
    if (!rc) {
        opt_help(table, &help, 0);
        if (help.failed) rc = err_nomem(err, help.len);
    }
    str_release(&help);
    arena_release(&arena);
    return rc;
}

Test(opt, every_failed_allocation_is_an_error_and_never_a_crash) {
    struct str s = STR_INIT; /* long enough to need several blocks, and a duplicate check that grows */
    str_add(&s, "{rows: 5, fields: [a, b, c, d, e, f, g, h, i, j], note: \"");
    for (int i = 0; i < 200; i++) str_add(&s, "x");
    str_add(&s, "\", act: tanh, threads: 3, dropout: 0.5, batch_norm: true, acts: [relu], rates: [0, 1]}");
    unsigned long long n = 1;
    for (;; n++) {
        struct err err = ERR_INIT;
        mem_fail_after(n);
        int rc = whole_pass(s.p, &err);
        mem_fail_after(0);
        cr_assert_eq(rc, err.code);
        if (!rc) break;
        cr_assert_eq(rc, ERR_INPUT);
        cr_assert(strstr(err.msg, "out of memory"), "n = %llu: %s", n, err.msg);
        cr_assert_lt(n, 1000);
    }
    cr_assert_gt(n, 5, "only %llu allocations", n);
    str_release(&s);
}

Test(opt, an_error_message_survives_the_lack_of_memory) {
    static const char *const wrong[] = {"hiden: 1\n", "act: rleu\n", "rows: x\n"};
    for (size_t i = 0; i < 3; i++)
        for (unsigned long long n = 1; n < 12; n++) {
            struct err err = ERR_INIT;
            mem_fail_after(n);
            int rc = whole_pass(wrong[i], &err);
            mem_fail_after(0);
            cr_assert_eq(rc, ERR_INPUT);
            cr_assert_gt(strlen(err.msg), 10);
        }
}
