#include "bench/report/retrieval.h"
#include "bench/report/section.h"
#include <string.h>

struct column {
    const char *name;
    size_t offset;
};
#define COLUMN(field)                                                                                        \
    { #field, offsetof(struct retrieval_line, field) }
static const struct column numbers[] = {COLUMN(value),
                                        COLUMN(topk),
                                        COLUMN(users),
                                        COLUMN(items),
                                        COLUMN(recall),
                                        COLUMN(hr),
                                        COLUMN(ndcg),
                                        COLUMN(click_recall),
                                        COLUMN(exact_hr),
                                        COLUMN(exact_ndcg),
                                        COLUMN(exact_click_recall),
                                        COLUMN(qps),
                                        COLUMN(p50_us),
                                        COLUMN(p99_us),
                                        COLUMN(build_seconds),
                                        COLUMN(index_bytes),
                                        COLUMN(recall_lo),
                                        COLUMN(recall_hi),
                                        COLUMN(hr_lo),
                                        COLUMN(hr_hi),
                                        COLUMN(ndcg_lo),
                                        COLUMN(ndcg_hi),
                                        COLUMN(recall_seeds_lo),
                                        COLUMN(recall_seeds_hi),
                                        COLUMN(hr_seeds_lo),
                                        COLUMN(hr_seeds_hi),
                                        COLUMN(ndcg_seeds_lo),
                                        COLUMN(ndcg_seeds_hi),
                                        COLUMN(qps_seeds_lo),
                                        COLUMN(qps_seeds_hi)};
static const struct column texts[] = {COLUMN(variant),   COLUMN(features), COLUMN(seed),   COLUMN(index),
                                      COLUMN(parameter), COLUMN(exclude),  COLUMN(verdict)};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static int fill(struct retrieval *r, struct err *e) {
    struct table *t = &r->table;
    r->line = arena_alloc(&t->arena, (t->rows + 1) * sizeof *r->line);
    if (!r->line) return err_nomem(e, t->rows * sizeof *r->line);
    for (size_t c = 0; c < COUNT(texts); c++) {
        int column;
        TRY(table_need(t, texts[c].name, &column, e));
        for (size_t i = 0; i < t->rows; i++) {
            const char *text = table_text(t, i, column);
            memcpy((char *)&r->line[i] + texts[c].offset, &text, sizeof text);
        }
    }
    for (size_t c = 0; c < COUNT(numbers); c++) {
        double *v;
        TRY(table_numbers(t, numbers[c].name, &v, e));
        for (size_t i = 0; i < t->rows; i++)
            memcpy((char *)&r->line[i] + numbers[c].offset, &v[i], sizeof v[i]);
    }
    r->n = t->rows;
    return 0;
}

static bool same_model(const struct retrieval_line *a, const struct retrieval_line *b) {
    return !strcmp(a->variant, b->variant) && !strcmp(a->features, b->features);
}

/* Of a model with rows of the seed `mean`, those alone. */
static void keep_means(struct retrieval *r) {
    size_t kept = 0, n = r->n;
    for (size_t i = 0; i < n; i++) {
        bool mean = false;
        for (size_t k = i; k < n && !mean; k++)
            mean = same_model(&r->line[i], &r->line[k]) && !strcmp(r->line[k].seed, "mean");
        if (!mean || !strcmp(r->line[i].seed, "mean")) r->line[kept++] = r->line[i];
    }
    r->n = kept;
}

static void number_models(struct retrieval *r) {
    for (size_t i = 0; i < r->n; i++) {
        struct retrieval_line *l = &r->line[i];
        l->model = -1;
        for (size_t k = 0; k < i && l->model < 0; k++)
            if (same_model(l, &r->line[k])) l->model = r->line[k].model;
        if (l->model < 0) l->model = r->models++;
    }
}

int retrieval_load(const struct study *s, struct retrieval *r, struct err *e) {
    bool there;
    *r = (struct retrieval){.n = 0};
    TRY(section_table(s, "retrieval.csv", &r->table, &there, e));
    int rc = there ? fill(r, e) : 0;
    if (rc) retrieval_release(r);
    keep_means(r);
    number_models(r);
    return rc;
}

void retrieval_release(struct retrieval *r) {
    table_release(&r->table);
    *r = (struct retrieval){.n = 0};
}
