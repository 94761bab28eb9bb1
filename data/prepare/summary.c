#include "data/prepare/summary.h"
#include "base/str.h"
#include "data/prepare.h"
#include <stdio.h>
#include <string.h>

/* --- counting --- */

/* Bits of a user or an item: 2 s: has a negative in split s, 2 s + 1: a positive. */
static unsigned bits_of(uint8_t seen, int split) { return seen >> 2 * split & 3; }

struct counts {
    uint64_t rows, positives, users, users_both, users_new, items, items_new;
};

static void mark(const struct dataset *d, uint8_t *user, uint8_t *item, struct counts count[SPLIT_COUNT]) {
    for (int s = 0; s < SPLIT_COUNT; s++)
        for (uint64_t k = d->split[s].begin; k < d->split[s].end; k++) {
            uint8_t bit = (uint8_t)(1u << (2 * s + d->label[k]));
            user[d->user[k]] |= bit;
            item[d->item[k]] |= bit;
            count[s].rows++;
            count[s].positives += d->label[k];
        }
}

static void count_entities(const struct dataset *d, const uint8_t *user, const uint8_t *item,
                           struct counts count[SPLIT_COUNT]) {
    for (int s = 0; s < SPLIT_COUNT; s++) {
        for (uint32_t i = 1; i < d->n_users; i++) {
            if (!bits_of(user[i], s)) continue;
            count[s].users++;
            count[s].users_both += bits_of(user[i], s) == 3;
            count[s].users_new += !bits_of(user[i], SPLIT_TRAIN);
        }
        for (uint32_t i = 1; i < d->n_items; i++) {
            if (!bits_of(item[i], s)) continue;
            count[s].items++;
            count[s].items_new += !bits_of(item[i], SPLIT_TRAIN);
        }
    }
}

static int count_splits(const struct dataset *d, struct counts count[SPLIT_COUNT], struct err *e) {
    uint8_t *user = mem_calloc(d->n_users, 1), *item = mem_calloc(d->n_items, 1);
    memset(count, 0, SPLIT_COUNT * sizeof *count);
    if (user && item) {
        mark(d, user, item, count);
        count_entities(d, user, item, count);
    }
    int rc = user && item ? 0 : err_nomem(e, d->n_users);
    mem_free(user);
    mem_free(item);
    return rc;
}

static json_t *unknown_shares(const struct dataset *d, const struct field *f) {
    json_t *shares = json_array();
    int bad = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        uint64_t begin = d->split[s].begin, end = d->split[s].end, unknown = 0;
        if (f->rows.offsets) {
            begin = f->rows.offsets[begin];
            end = f->rows.offsets[end];
        }
        for (uint64_t i = begin; i < end; i++) unknown += !f->rows.ids[i];
        bad |= json_array_append_new(shares,
                                     json_real(end > begin ? (double)unknown / (double)(end - begin) : 0));
    }
    if (!bad) return shares;
    json_decref(shares);
    return NULL;
}

int summary_count(const struct dataset *d, json_t **out, struct err *e) {
    struct counts count[SPLIT_COUNT];
    *out = NULL;
    TRY(count_splits(d, count, e));
    json_t *all = json_object(), *unknown = json_object();
    int bad = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const struct counts *c = &count[s];
        bad |= json_object_set_new(
            all, split_name((enum split)s),
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)c->rows, "positives",
                      (json_int_t)c->positives, "users", (json_int_t)c->users, "users_both",
                      (json_int_t)c->users_both, "users_new", (json_int_t)c->users_new, "items",
                      (json_int_t)c->items, "items_new", (json_int_t)c->items_new));
    }
    for (int i = 0; i < d->n_fields; i++)
        if (d->field[i].type != VALUE_NUMBER)
            bad |= json_object_set_new(unknown, d->field[i].name, unknown_shares(d, &d->field[i]));
    bad |= json_object_set_new(all, "unknown", unknown);
    if (!bad) {
        *out = all;
        return 0;
    }
    json_decref(all);
    return err_nomem(e, 0);
}

/* --- printing --- */

static const char *number(char out[32], const json_t *split, const char *key) {
    str_count(out, (uint64_t)json_integer_value(json_object_get(split, key)));
    return out;
}

static void print_splits(const json_t *summary, FILE *f) {
    fprintf(f, "%-6s %12s %9s %10s %13s %11s %10s %11s\n", "split", "rows", "positive", "users",
            "both classes", "new users", "items", "new items");
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const json_t *c = json_object_get(summary, split_name((enum split)s));
        char rows[32], users[32], both[32], new_users[32], items[32], new_items[32];
        double n = json_number_value(json_object_get(c, "rows"));
        fprintf(f, "%-6s %12s %7.1f %% %10s %13s %11s %10s %11s\n", split_name((enum split)s),
                number(rows, c, "rows"),
                n > 0 ? 100 * json_number_value(json_object_get(c, "positives")) / n : 0,
                number(users, c, "users"), number(both, c, "users_both"), number(new_users, c, "users_new"),
                number(items, c, "items"), number(new_items, c, "items_new"));
    }
    fprintf(f, "\"both classes\": users with a positive and a negative row in the split; \"new\": not in "
               "training\n");
}

static void print_fields(const struct dataset *d, const json_t *unknown, FILE *f) {
    fprintf(f, "%-20s %-5s %-9s %12s %10s %16s\n", "field", "side", "kind", "vocabulary", "ids a row",
            "unknown in test");
    for (int i = 0; i < d->n_fields; i++) {
        const struct field *x = &d->field[i];
        char vocab[32] = "-", length[32] = "-", share[32] = "-";
        if (x->type != VALUE_NUMBER) {
            const json_t *test = json_array_get(json_object_get(unknown, x->name), SPLIT_TEST);
            str_count(vocab, x->vocab);
            snprintf(length, sizeof length, "%.4g", x->mean_length);
            if (test) snprintf(share, sizeof share, "%.2f %%", 100 * json_number_value(test));
        }
        fprintf(f, "%-20s %-5s %-9s %12s %10s %16s\n", x->name, side_name(x->side), x->kind, vocab, length,
                share);
    }
}

int dataset_summary(const struct dataset *d, FILE *f, struct err *e) {
    json_t *counted = NULL, *summary = json_object_get(d->json, "summary");
    if (!summary) { /* made by another program */
        TRY(summary_count(d, &counted, e));
        summary = counted;
    }
    char rows[32], users[32], items[32];
    str_count(rows, d->n_rows);
    str_count(users, d->n_users - 1);
    str_count(items, d->n_items - 1);
    fprintf(f, "%s: %s rows, %s users, %s items, hash %s\n\n", d->name, rows, users, items, d->hash);
    print_splits(summary, f);
    fputc('\n', f);
    print_fields(d, json_object_get(summary, "unknown"), f);
    json_decref(counted);
    return ferror(f) ? err_set(e, ERR_INPUT, "cannot write the summary") : 0;
}
