#include "bench/run/teacher.h"
#include "base/progress.h"
#include "bench/run/feed.h"
#include "nn/checkpoint.h"
#include "nn/vec.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 4096, SLICE = 256 };

/* A column under a temporary name, until it is complete. */
struct column_out {
    char path[1024], tmp[1040];
    struct npy npy;
};

static int column_begin(struct column_out *c, const char *stem, const char *ending, size_t n, struct err *e) {
    if (snprintf(c->path, sizeof c->path, "%s%s", stem, ending) >= (int)sizeof c->path)
        return err_set(e, ERR_INPUT, "%.80s...: the path is too long", stem);
    snprintf(c->tmp, sizeof c->tmp, "%s.tmp-%d", c->path, (int)getpid());
    return npy_create(c->tmp, NPY_F32, n, &c->npy, e);
}

static int column_commit(struct column_out *c, struct err *e) {
    npy_close(&c->npy);
    int file = open(c->tmp, O_RDONLY), bad = file < 0 || fsync(file);
    if (file >= 0) close(file);
    return bad || rename(c->tmp, c->path) ? err_errno(e, c->path, "write") : 0;
}

static void column_abort(struct column_out *c) {
    npy_close(&c->npy);
    if (*c->tmp) unlink(c->tmp);
}

/* ---- scoring the training rows ---- */

struct scoring {
    const struct teacher_task *t;
    struct graph graph;
    struct exec *x;
    struct feed feed;
    int hidden; /* node, or -1 */
    uint64_t *rows;
    struct column_out logit, vector;
    struct err *e;
};

static int build(struct scoring *s) {
    const struct teacher_task *t = s->t;
    const struct exec_options xo = {.max_rows = BATCH, .slice_rows = SLICE, .pool = t->pool};
    TRY(variant_build(t->variant, t->options, t->features, &s->graph, s->e));
    if (t->hidden && (s->hidden = loss_hidden(&s->graph, s->e)) < 0) return ERR_INPUT;
    TRY(graph_alloc_params(&s->graph, 0, s->e));
    TRY(checkpoint_load(&s->graph, t->checkpoint, s->e));
    TRY(exec_create(&s->graph, &xo, &s->x, s->e));
    const struct feed_task ft = {
        .ds = t->ds, .graph = &s->graph, .max_rows = BATCH, .slice_rows = SLICE, .pool = t->pool};
    TRY(feed_init(&s->feed, &ft, s->e));
    s->rows = mem_alloc(BATCH * sizeof *s->rows);
    return s->rows ? 0 : err_nomem(s->e, BATCH * sizeof *s->rows);
}

static void copy_rows(struct scoring *s, uint64_t at, size_t n) {
    struct mat z = exec_value(s->x, s->graph.output);
    float *logit = s->logit.npy.data;
    for (size_t r = 0; r < n; r++) logit[at + r] = z.p[r * z.ld];
    if (s->hidden < 0) return;
    size_t width = (size_t)s->graph.node[s->hidden]->width;
    struct mat to = {(float *)s->vector.npy.data + at * width, width};
    vec_copy(n, width, to, exec_value(s->x, s->hidden), 1, false);
}

static int score(struct scoring *s) {
    uint64_t first = s->t->ds->split[SPLIT_TRAIN].begin, rows = s->t->ds->split[SPLIT_TRAIN].end - first;
    for (uint64_t at = 0; at < rows; at += BATCH) {
        size_t n = rows - at < BATCH ? (size_t)(rows - at) : BATCH;
        for (size_t r = 0; r < n; r++) s->rows[r] = first + at + r;
        TRY(feed_rows(&s->feed, s->rows, n, s->e));
        exec_forward(s->x, s->feed.slice, s->feed.n_slices);
        copy_rows(s, at, n);
        if (interrupt_seen()) return err_set(s->e, ERR_INTERRUPTED, "interrupted");
    }
    return 0;
}

static int make_columns(const struct teacher_task *t, struct err *e) {
    struct scoring s = {.t = t, .hidden = -1, .e = e};
    size_t rows = (size_t)(t->ds->split[SPLIT_TRAIN].end - t->ds->split[SPLIT_TRAIN].begin);
    graph_init(&s.graph);
    gemm_single_threaded();
    int rc = build(&s);
    if (!rc) rc = column_begin(&s.logit, t->stem, ".logit.npy", rows, e);
    if (!rc && t->hidden)
        rc = column_begin(&s.vector, t->stem, ".hidden.npy", rows * (size_t)s.graph.node[s.hidden]->width, e);
    if (!rc) rc = score(&s);
    if (!rc && t->hidden) rc = column_commit(&s.vector, e);
    if (!rc) rc = column_commit(&s.logit, e);
    if (rc) {
        column_abort(&s.logit);
        column_abort(&s.vector);
    }
    mem_free(s.rows);
    feed_release(&s.feed);
    exec_free(s.x);
    graph_release(&s.graph);
    return rc;
}

/* ---- the columns ---- */

/* ERR_INPUT, without a message, when they are not there or of another length. */
static int open_columns(const struct teacher_task *t, struct teacher *out) {
    char path[1040];
    *out = (struct teacher){.first = t->ds->split[SPLIT_TRAIN].begin};
    out->rows = t->ds->split[SPLIT_TRAIN].end - out->first;
    snprintf(path, sizeof path, "%s.logit.npy", t->stem);
    int rc = npy_open(path, NPY_F32, &out->logit_file, NULL);
    snprintf(path, sizeof path, "%s.hidden.npy", t->stem);
    if (!rc && t->hidden) rc = npy_open(path, NPY_F32, &out->hidden_file, NULL);
    if (!rc && (out->logit_file.n != out->rows || out->hidden_file.n % (out->rows ? out->rows : 1)))
        rc = ERR_INPUT;
    if (rc) {
        teacher_close(out);
        return rc;
    }
    out->logit = out->logit_file.data;
    out->hidden = out->hidden_file.data;
    out->width = out->rows ? (int)(out->hidden_file.n / out->rows) : 0;
    return 0;
}

int teacher_open(const struct teacher_task *t, struct teacher *out, struct err *e) {
    if (!open_columns(t, out)) return 0;
    TRY(make_columns(t, e));
    return open_columns(t, out) ? err_set(e, ERR_INPUT, "%s: cannot read what was just written", t->stem) : 0;
}

void teacher_close(struct teacher *t) {
    npy_close(&t->logit_file);
    npy_close(&t->hidden_file);
    memset(t, 0, sizeof *t);
}

int teacher_width(const struct variant *v, const void *options, const struct features *f, struct err *e) {
    struct graph g;
    int hidden = -1, width = 0;
    graph_init(&g);
    if (!variant_build(v, options, f, &g, e)) hidden = loss_hidden(&g, e);
    if (hidden >= 0) width = g.node[hidden]->width;
    graph_release(&g);
    return width;
}
