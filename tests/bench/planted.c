#include "tests/bench/planted.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

const char planted_columns[] =
    "    u0: {side: user}\n    u1: {side: user}\n    nu0: {side: user}\n    nu1: {side: user}\n"
    "    i0: {side: item}\n    i1: {side: item}\n    ni0: {side: item}\n    ni1: {side: item}\n";

const char planted_small[] = "variants:\n  - cold: {dim: 4, hidden: [8]}\n  - dssm: {dim: 4, hidden: [8], "
                             "select: false}\nseeds: [1, 2]\n"
                             "train: {batch: 256, epochs: 2}\n"
                             "measure: {candidates: [20, 50], requests: 400, min_seconds: 0}\n"
                             "select: {rank_by: [permutation, single, random], top_k: [1, 2, 3, 7, 8]}\n";

void planted_write(struct scratch *s, const char *columns, const char *derive, const char *rest) {
    char text[4096];
    snprintf(text, sizeof text,
             "name: planted\ndata_dir: %s/data\n"
             "data:\n"
             "  synthetic: {rows: 24000, users: 200, items: 150, seed: 3, user_fields: [10, 6], item_fields: "
             "[10, 6],\n"
             "              pair_effects: 2, pair_strength: 1.2, noise_user_fields: 2, noise_item_fields: 2, "
             "vocab: 6}\n"
             "  user: user_id\n  item: item_id\n  time: ts\n  label: label\n"
             "  columns:\n%s%s"
             "  split: {by: time, valid: 0.15, test: 0.15}\n%s",
             s->dir, columns, derive, rest);
    scratch_write(s, "x.yaml", text);
}

void planted_status(struct ran r, int status) {
    cr_assert_eq(r.status, status, "exit %d: %s", r.status, r.err);
}

const char *planted_chosen(struct scratch *s, const char *out, const char *key) {
    char name[128];
    snprintf(name, sizeof name, "%s/chosen.json", out);
    json_error_t why;
    json_t *j = json_loads(scratch_read(s, name), 0, &why);
    cr_assert(j, "%s", why.text);
    const json_t *point = json_object_get(json_array_get(json_object_get(j, "choices"), 0), "chosen");
    const json_t *v = json_object_get(point, key);
    char text[64] = "";
    if (json_is_string(v)) snprintf(text, sizeof text, "%s", json_string_value(v));
    if (json_is_number(v)) snprintf(text, sizeof text, "%.9g", json_number_value(v));
    json_decref(j);
    return arena_strdup(&s->arena, text);
}
