#include "bench/select/passage.h"
#include "base/mem.h"
#include "base/progress.h"
#include "nn/vec.h"
#include <math.h>
#include <string.h>

int passage_open(const struct dataset *ds, const struct graph *g, size_t batch, size_t slice,
                 struct pool *pool, struct passage *out, struct err *e) {
    *out = (struct passage){.ds = ds, .g = g, .batch = batch};
    out->n = (size_t)(ds->split[SPLIT_VALID].end - ds->split[SPLIT_VALID].begin);
    if (!out->n)
        return err_set(e, ERR_INPUT, "%s: choosing fields takes validation rows, and there are none",
                       ds->dir);
    struct exec_options xo = {.max_rows = batch, .slice_rows = slice, .pool = pool};
    gemm_single_threaded();
    int rc = exec_create(g, &xo, &out->x, e);
    const struct feed_task ft = {.ds = ds, .graph = g, .max_rows = batch, .slice_rows = slice, .pool = pool};
    if (!rc) rc = feed_init(&out->feed, &ft, e);
    if (!rc) rc = feed_init(&out->other, &ft, e);
    out->rows = mem_alloc(batch * sizeof *out->rows);
    out->score = mem_alloc(batch * sizeof *out->score);
    if (!rc && (!out->rows || !out->score)) rc = err_nomem(e, batch * sizeof *out->rows);
    if (rc) passage_close(out);
    return rc;
}

void passage_close(struct passage *p) {
    exec_free(p->x);
    feed_release(&p->feed);
    feed_release(&p->other);
    mem_free(p->rows);
    mem_free(p->score);
    *p = (struct passage){.n = 0};
}

/* Rows [at, at + n) of the split, in that order or in another. */
static int fill(struct passage *p, struct feed *f, size_t at, size_t n, const struct shuffle *order,
                struct err *e) {
    for (size_t i = 0; i < n; i++)
        p->rows[i] = p->ds->split[SPLIT_VALID].begin + (order ? shuffle_at(order, at + i) : at + i);
    if (interrupt_seen()) return err_set(e, ERR_INTERRUPTED, "interrupted");
    return feed_rows(f, p->rows, n, e);
}

int passage_score(struct passage *p, const struct shuffle *order, int column, float *score, struct err *e) {
    for (size_t at = 0; at < p->n; at += p->batch) {
        size_t n = p->n - at < p->batch ? p->n - at : p->batch;
        TRY(fill(p, &p->feed, at, n, NULL, e));
        if (order) {
            TRY(fill(p, &p->other, at, n, order, e));
            for (int s = 0; s < p->feed.n_slices; s++) {
                size_t k = (size_t)s * (size_t)p->feed.n_columns + (size_t)column;
                p->feed.col[k] = p->other.col[k];
            }
        }
        exec_score(p->x, p->feed.slice, p->feed.n_slices, score + at);
    }
    return 0;
}

int passage_means(struct passage *p, int node, double *mean, struct err *e) {
    size_t width = (size_t)p->g->node[node]->width;
    memset(mean, 0, width * sizeof *mean);
    for (size_t at = 0; at < p->n; at += p->batch) {
        size_t n = p->n - at < p->batch ? p->n - at : p->batch;
        TRY(fill(p, &p->feed, at, n, NULL, e));
        exec_score(p->x, p->feed.slice, p->feed.n_slices, p->score); /* losses have no columns here */
        struct mat v = exec_value(p->x, node);
        for (size_t r = 0; r < n; r++)
            for (size_t k = 0; k < width; k++) mean[k] += (double)v.p[r * v.ld + k];
    }
    for (size_t k = 0; k < width; k++) mean[k] /= (double)p->n;
    return 0;
}

int passage_quality(const struct passage *p, const float *score, enum gauc_weight by, double *out,
                    struct err *e) {
    struct quality q;
    uint64_t begin = p->ds->split[SPLIT_VALID].begin;
    TRY(evaluate_quick(score, p->ds->label + begin, p->ds->user + begin, p->n, by, &q, e));
    *out = isnan(q.gauc) ? q.auc : q.gauc;
    if (!isnan(*out)) return 0;
    return err_set(e, ERR_INPUT, "%s: the validation rows are all of one class, so no field can be judged",
                   p->ds->dir);
}
