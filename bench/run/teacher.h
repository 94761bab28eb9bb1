/* teacher.h: what a trained model says of every training row, for its students: computed once and kept as columns.
 *
 *     struct teacher t;
 *     TRY(teacher_open(&(struct teacher_task){...}, &t, e));      t.logit[row - t.first]
 *     teacher_close(&t);
 *
 * The files are <stem>.logit.npy, and <stem>.hidden.npy when its last hidden layer is asked for (rows x width, one row
 * after the other). They are made from the teacher's checkpoint when they are not there, and appear whole or not
 * at all; the stem carries the hash of what decides them.
 */
#ifndef PRERANK_BENCH_TEACHER_H
#define PRERANK_BENCH_TEACHER_H
#include "base/pool.h"
#include "data/dataset.h"
#include "variants/variant.h"

struct teacher {
    uint64_t first, rows; /* of the training split */
    const float *logit;   /* [rows] */
    const float *hidden;  /* [rows][width] */
    int width;            /* 0: not asked for */
    struct npy logit_file, hidden_file;
};
struct teacher_task {
    const struct dataset *ds;
    const struct variant *variant;
    const void *options;
    const struct features *features;
    const char *checkpoint, *stem;
    bool hidden; /* its last hidden layer, too */
    struct pool *pool;
};
int teacher_open(const struct teacher_task *t, struct teacher *out, struct err *e);
void teacher_close(struct teacher *t); /* a zeroed struct is fine */
/* Width of the last hidden layer of a model, which is built and given up; 0 with the reason in e when there is none. */
int teacher_width(const struct variant *v, const void *options, const struct features *f, struct err *e);

#endif
