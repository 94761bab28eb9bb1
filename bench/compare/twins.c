#include "bench/compare/twins.h"
#include <stdio.h>
#include <string.h>

struct point_name { /* "variant,features,precision,...": ids hold no commas */
    char variant[128], features[128];
    const char *rest; /* ",precision,..." */
};

static struct point_name split(const char *name) {
    struct point_name p;
    size_t n = strcspn(name, ","), m = name[n] ? strcspn(name + n + 1, ",") : 0;
    snprintf(p.variant, sizeof p.variant, "%.*s", (int)n, name);
    snprintf(p.features, sizeof p.features, "%.*s", (int)m, name[n] ? name + n + 1 : "");
    p.rest = name + n + (name[n] ? 1 + m : 0);
    return p;
}

enum chosen twins_chosen(const struct side *base, const struct side *new, const char *name) {
    const struct point_name p = split(name);
    return chosen_compare(base, new, p.variant, p.features);
}

static int find(const struct turns *t, const struct point_name *p, const char *features) {
    char name[2048];
    snprintf(name, sizeof name, "%s,%s%s", p->variant, features, p->rest);
    for (int i = 0; i < t->n_points; i++)
        if (!strcmp(t->name[i], name)) return i;
    return -1;
}

/* Why a point may be NEW's alone: the subset holds other fields, or OLD has trained it with one that does. */
static bool may_be_alone(const struct side *base, const struct side *new, const struct turns *a,
                         const char *name) {
    const struct point_name p = split(name);
    return chosen_compare(base, new, p.variant, p.features) != CHOSEN_ALIKE ||
           find(a, &p, subsets_trained_as(&base->subsets, p.variant, p.features)) >= 0;
}

bool twins_find(const struct side *base, const struct side *new, const struct turns *a, const struct turns *b,
                int *twin) {
    for (int i = 0; i < a->n_points; i++) {
        const struct point_name p = split(a->name[i]);
        bool alike = chosen_compare(base, new, p.variant, p.features) == CHOSEN_ALIKE;
        twin[i] = alike ? find(b, &p, subsets_trained_as(&new->subsets, p.variant, p.features)) : -1;
        if (alike && twin[i] < 0) return false;
    }
    for (int j = 0; j < b->n_points; j++) {
        int i = 0;
        while (i < a->n_points && twin[i] != j) i++;
        if (i == a->n_points && !may_be_alone(base, new, a, b->name[j])) return false;
    }
    return true;
}
