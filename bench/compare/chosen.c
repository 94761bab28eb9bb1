#include "bench/compare/chosen.h"
#include "bench/select/select.h"
#include <string.h>

static size_t count_words(const char *text) {
    size_t n = 0;
    for (const char *p = text; *p; p += strspn(p, " ")) {
        p += strcspn(p, " ");
        n++;
    }
    return n;
}

static bool has_word(const char *text, const char *word, size_t n) {
    for (const char *p = text; *p; p += strspn(p, " ")) {
        size_t here = strcspn(p, " ");
        if (here == n && !strncmp(p, word, n)) return true;
        p += here;
    }
    return false;
}

/* Fields stand in the order of their worth, which does not matter to a model of them. */
static bool same_fields(const char *a, const char *b) {
    if (count_words(a) != count_words(b)) return false;
    for (const char *p = a; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        if (!has_word(b, p, n)) return false;
        p += n;
    }
    return true;
}

static bool knows_costs(const char *selector) {
    for (const struct selector *const *s = selectors; *s; s++)
        if (!strcmp((*s)->name, selector)) return (*s)->cost != NULL;
    return false;
}

enum chosen chosen_compare(const struct side *base, const struct side *new, const char *variant,
                           const char *features) {
    const struct table *a = &base->subsets, *b = &new->subsets;
    size_t i = subsets_find(a, variant, features), j = subsets_find(b, variant, features);
    if (i == a->rows && j == b->rows) return CHOSEN_ALIKE;
    if (i < a->rows && j < b->rows &&
        same_fields(table_text(a, i, table_column(a, "fields")), table_text(b, j, table_column(b, "fields"))))
        return CHOSEN_ALIKE;
    const char *selector = i < a->rows ? table_text(a, i, table_column(a, "selector"))
                                       : table_text(b, j, table_column(b, "selector"));
    bool same_costs = !strcmp(side_costs(base, variant), side_costs(new, variant));
    return knows_costs(selector) && !same_costs ? CHOSEN_BY_OTHER_COSTS : CHOSEN_OTHERWISE;
}

const char *chosen_note(enum chosen c) {
    static const char *const note[] = {
        [CHOSEN_OTHERWISE] = "other fields were chosen",
        [CHOSEN_BY_OTHER_COSTS] = "other fields were chosen, by costs of fields that another run measured; "
                                  "`prerank run --costs-of BASE` ranks alike"};
    return c == CHOSEN_ALIKE ? NULL : note[c];
}
