#include "tests/bench/results.h"
#include "base/file.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

void results_fixture(struct scratch *s) {
    static const char *const name[] = {"effect.csv", "compute.csv", "curves.csv", "latency.csv",
                                       "manifest.json"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char path[256], *text;
        size_t n;
        struct err e = ERR_INIT;
        snprintf(path, sizeof path, "tests/fixtures/tradeoff/%s", name[i]);
        cr_assert_eq(file_read_text(path, &text, &n, &e), 0, "%s; run the tests from the repository root",
                     e.msg);
        scratch_write(s, name[i], text);
        mem_free(text);
    }
}

static void with_header(struct scratch *s, const char *name, const char *header, const char *rows) {
    size_t n = strlen(header) + strlen(rows) + 2;
    char *text = arena_alloc(&s->arena, n);
    snprintf(text, n, "%s\n%s", header, rows);
    scratch_write(s, name, text);
}

void results_minimal(struct scratch *s, const char *effect, const char *compute) {
    with_header(s, "effect.csv", "variant,features,seed,split,gauc,gauc_lo,gauc_hi,status", effect);
    with_header(s, "compute.csv", "variant,features,candidates,p50_us,p99_us", compute);
    with_header(s, "curves.csv", "variant,features,seed,epoch,train_loss,valid_gauc", "");
    with_header(s, "latency.csv", "variant,features,candidates,percentile,rt_us", "");
}
