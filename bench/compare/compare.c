#include "bench/compare/compare.h"
#include "bench/compare/side.h"
#include <stdio.h>

static void describe(const struct side *s, char *out, size_t cap) {
    snprintf(out, cap, "version %s, revision %s, %s, BLAS kernel %s", side_text(s, "version"),
             side_text(s, "revision"), side_text(s, "machine.cpu"), side_text(s, "machine.blas_kernel"));
}

static int compare_sides(struct side *base, struct side *new, struct comparison *c, struct err *e) {
    TRY(side_comparable(base, new, e));
    c->same_machine = side_same_machine(base, new);
    c->same_program = side_same_program(base, new);
    describe(base, c->about[0], sizeof c->about[0]);
    describe(new, c->about[1], sizeof c->about[1]);
    TRY(compare_quality(base, new, c, e));
    TRY(compare_costs(base, new, c, e));
    if (!c->models)
        return err_set(e, ERR_INPUT,
                       "nothing to compare: no model was trained with success in both %s and %s", base->dir,
                       new->dir);
    return comparison_judge(c, e);
}

int compare_folders(const char *base, const char *new, struct comparison *c, struct err *e) {
    struct side a = {.dir = NULL}, b = {.dir = NULL};
    c->base = arena_strdup(&c->arena, base);
    c->new = arena_strdup(&c->arena, new);
    if (!c->base || !c->new) return err_nomem(e, 0);
    int rc = side_open(&a, base, e);
    if (!rc) rc = side_open(&b, new, e);
    if (!rc) rc = compare_sides(&a, &b, c, e);
    side_close(&a);
    side_close(&b);
    return rc;
}
