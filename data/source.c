#include "data/source.h"
#include "base/mem.h"
#include <string.h>

struct source {
    struct source_ops ops;
    void *self;
    int columns;
    const char **name;
    struct arena names;
};

static int copy_names(struct source *s, const char *const *names, struct err *e) {
    size_t bytes = (size_t)s->columns * sizeof *s->name;
    s->name = arena_alloc(&s->names, bytes);
    if (!s->name) return err_nomem(e, bytes);
    for (int i = 0; i < s->columns; i++) {
        s->name[i] = arena_strdup(&s->names, names[i]);
        if (!s->name[i]) return err_nomem(e, strlen(names[i]));
    }
    return 0;
}

int source_new(const struct source_ops *ops, void *self, int columns, const char *const *names,
               struct source **out, struct err *e) {
    *out = NULL;
    struct source *s = mem_calloc(1, sizeof *s);
    if (!s) {
        ops->close(self);
        return err_nomem(e, sizeof *s);
    }
    s->ops = *ops;
    s->self = self;
    s->columns = columns;
    int rc = copy_names(s, names, e);
    if (rc)
        source_close(s);
    else
        *out = s;
    return rc;
}

void source_close(struct source *s) {
    if (!s) return;
    s->ops.close(s->self);
    arena_release(&s->names);
    mem_free(s);
}

int source_columns(const struct source *s) { return s->columns; }

const char *source_name(const struct source *s, int column) { return s->name[column]; }

int source_column(const struct source *s, const char *name) {
    for (int i = 0; i < s->columns; i++)
        if (!strcmp(s->name[i], name)) return i;
    return -1;
}

int source_next(struct source *s, const struct cell **row, int *got, struct err *e) {
    return s->ops.next(s->self, row, got, e);
}

const char *source_where(const struct source *s) { return s->ops.where ? s->ops.where(s->self) : "row"; }

void source_progress(const struct source *s, uint64_t *done, uint64_t *total) {
    *done = *total = 0;
    if (s->ops.progress) s->ops.progress(s->self, done, total);
}
