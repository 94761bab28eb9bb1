#include "data/synth.h"
#include "base/mem.h"
#include "base/rng.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const struct opt synth_opts[] = {
    OPT_INT(struct synth_options, rows, "1M", 1, 1e12, "rows of the log"),
    OPT_INT(struct synth_options, first, "0", 0, 1e12, "number of the first row: any part of a longer log"),
    OPT_INT(struct synth_options, users, "10000", 1, 4e9, "drawn uniformly"),
    OPT_INT(struct synth_options, items, "2000", 1, 4e9,
            "drawn by popularity, see zipf; item 1 is the most popular"),
    OPT_INT(struct synth_options, seed, "1", 0, 9e18, "fixes everything"),
    OPT_DOUBLES(struct synth_options, user_fields, "8,4,2", 0, 1000,
                "strength of each planted user field u0.., in tenths of a logit"),
    OPT_DOUBLES(struct synth_options, item_fields, "8,4,2", 0, 1000,
                "strength of each planted item field i0.., in tenths of a logit"),
    OPT_INT(struct synth_options, pair_effects, "2", 0, 1024,
            "planted user x item effects, at most one for each pair of fields"),
    OPT_DOUBLE(struct synth_options, pair_strength, "1", 0, 100, "strength of each pair effect, in logits"),
    OPT_INT(struct synth_options, noise_user_fields, "2", 0, 32, "user fields nu0.. without any effect"),
    OPT_INT(struct synth_options, noise_item_fields, "2", 0, 32, "item fields ni0.. without any effect"),
    OPT_INT(struct synth_options, vocab, "50", 2, 100000, "values of each field"),
    OPT_DOUBLE(struct synth_options, zipf, "1", 0, 4, "exponent of the items' popularity; 0: all alike"),
    OPT_DOUBLE(struct synth_options, positive_rate, "0.3", 0.001, 0.999, "mean label, at the log's start"),
    OPT_DOUBLE(struct synth_options, drift, "0", 0, 100,
               "how far the effects of i0 move in a million rows, in logits"),
    OPT_DOUBLE(struct synth_options, history_strength, "0", 0, 100,
               "added, in logits, where one of the user's last positive items has the item's value of i0"),
    OPT_INT(struct synth_options, history_length, "10", 1, 1000, "how many last positive items those are"),
    OPT_END};

enum { FIELDS_MAX = 2 * OPT_LIST_MAX + 64, CELLS_MAX = FIELDS_MAX + 5, CELL = 24, CALIBRATION = 1 << 16 };
enum { FIRST_TIME = 1600000000 };
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* Draws of one row: splitmix64 from a key that depends on the seed and the row only. */
struct draws {
    uint64_t at;
};

static uint64_t draw(struct draws *d) { return rng_hash(d->at += GOLDEN); }

static double draw_uniform(struct draws *d) { return (double)(draw(d) >> 11) * 0x1p-53; }

/* 0..n-1 from 32 bits; n < 2^32, so the bias is below 2^-32 n. */
static uint32_t scaled(uint64_t bits, uint64_t n) { return (uint32_t)((bits >> 32) * n >> 32); }

/* Zipf's law by rejection-inversion: W. Hoermann, G. Derflinger, "Rejection-inversion to generate variates
 * from monotone discrete distributions", ACM TOMACS 6 (1996). P(k) ~ k^-s for k = 1..n, in constant memory.
 */
struct zipf {
    double n, s, h_first, h_last, shortcut;
};

/* The integral of x^-s, up to a constant. */
static double zipf_h(const struct zipf *z, double x) {
    return z->s == 1 ? log(x) : expm1((1 - z->s) * log(x)) / (1 - z->s);
}

static double zipf_h_inverse(const struct zipf *z, double y) {
    return z->s == 1 ? exp(y) : exp(log1p(y * (1 - z->s)) / (1 - z->s));
}

static struct zipf zipf_init(uint64_t n, double s) {
    struct zipf z = {.n = (double)n, .s = s};
    z.h_first = zipf_h(&z, 1.5) - 1;
    z.h_last = zipf_h(&z, z.n + 0.5);
    z.shortcut = 2 - zipf_h_inverse(&z, zipf_h(&z, 2.5) - pow(2, -s));
    return z;
}

static uint32_t zipf_draw(const struct zipf *z, struct draws *d) {
    if (z->s == 0) return 1 + scaled(draw(d), (uint64_t)z->n);
    for (;;) {
        double u = z->h_last + draw_uniform(d) * (z->h_first - z->h_last);
        double x = zipf_h_inverse(z, u), k = floor(x + 0.5);
        if (k < 1) k = 1;
        if (k > z->n) k = z->n;
        if (k - x <= z->shortcut || u >= zipf_h(z, k + 0.5) - exp(-z->s * log(k))) return (uint32_t)k;
    }
}

struct side { /* the user fields, or the item fields */
    int n, n_planted;
    uint64_t key[OPT_LIST_MAX + 32]; /* of each field's values */
    double *effect;                  /* [n_planted][vocab], strength included after scale_sides() */
};

/* What the planted history effect remembers: the values of i0 in each user's last positive rows. */
struct history {
    uint32_t *value; /* [users][history_length], a ring; NULL without the effect */
    uint32_t *seen;  /* [users] positive rows so far */
};

struct synth {
    struct synth_options o;
    struct arena arena;
    struct side user, item;
    uint64_t row_key, pair_key;
    double *drift; /* [vocab] */
    struct history history;
    double intercept;
    struct zipf zipf;
    uint64_t row; /* the next one */
    struct cell cell[CELLS_MAX];
    char text[CELLS_MAX][CELL];
    char where[48];
};

struct truth {           /* of one row */
    uint32_t user, item; /* from 1 */
    uint32_t user_value[OPT_LIST_MAX + 32], item_value[OPT_LIST_MAX + 32];
    double p;
};

static void fill_values(const struct synth *s, const struct side *side, uint32_t id, uint32_t *value) {
    for (int f = 0; f < side->n; f++)
        value[f] = scaled(rng_hash(side->key[f] + id * GOLDEN), (uint64_t)s->o.vocab);
}

static double planted(const struct synth *s, const struct side *side, const uint32_t *value) {
    double z = 0;
    for (int f = 0; f < side->n_planted; f++) z += side->effect[(int64_t)f * s->o.vocab + value[f]];
    return z;
}

/* N(0,1) from (pair effect, user value, item value): Box-Muller on two hashes, as a table would be vocab^2
 * large. */
static double pair_effect(const struct synth *s, uint64_t k, uint32_t user_value, uint32_t item_value) {
    struct draws d = {rng_hash(s->pair_key + k * GOLDEN) ^ ((uint64_t)user_value << 32 | item_value)};
    d.at = rng_hash(d.at);
    double radius = sqrt(-2 * log(1 - draw_uniform(&d)));
    return radius * cos(6.283185307179586 * draw_uniform(&d));
}

static double logit(const struct synth *s, const struct truth *t, double millions) {
    double z = s->intercept + planted(s, &s->user, t->user_value) + planted(s, &s->item, t->item_value);
    int users = s->user.n_planted, items = s->item.n_planted;
    for (int k = 0; k < (int)s->o.pair_effects; k++) { /* (u0,i0), (u1,i1), ...: then (u0,i1), (u1,i2), ... */
        int u = k % users, i = (k % users + k / users) % items;
        z += s->o.pair_strength * pair_effect(s, (uint64_t)k, t->user_value[u], t->item_value[i]);
    }
    if (s->o.drift > 0) z += s->o.drift * millions * s->drift[t->item_value[0]];
    return z;
}

static bool history_matches(const struct synth *s, const struct truth *t) {
    size_t length = (size_t)s->o.history_length, user = t->user - 1, seen = s->history.seen[user];
    const uint32_t *value = s->history.value + user * length;
    for (size_t i = 0; i < seen && i < length; i++)
        if (value[i] == t->item_value[0]) return true;
    return false;
}

static void history_add(struct history *h, size_t length, const struct truth *t) {
    size_t user = t->user - 1;
    h->value[user * length + h->seen[user] % length] = t->item_value[0];
    h->seen[user]++;
}

static void make_row(const struct synth *s, struct draws *d, double millions, struct truth *t) {
    t->user = 1 + scaled(draw(d), (uint64_t)s->o.users);
    t->item = zipf_draw(&s->zipf, d);
    fill_values(s, &s->user, t->user, t->user_value);
    fill_values(s, &s->item, t->item, t->item_value);
    double z = logit(s, t, millions);
    if (s->history.value && history_matches(s, t)) z += s->o.history_strength;
    t->p = 1 / (1 + exp(-z));
}

/* ---- text ---- */

static size_t put_uint(char *out, uint64_t v) {
    char digits[20];
    size_t n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    out[n] = '\0';
    return n;
}

static void put(struct synth *s, int cell, uint64_t v) { s->cell[cell].n = put_uint(s->text[cell], v); }

/* 9 decimals. */
static void put_probability(struct synth *s, int cell, double p) {
    char *out = s->text[cell];
    uint64_t v = (uint64_t)(p * 1e9 + 0.5);
    out[0] = (char)('0' + v / 1000000000);
    out[1] = '.';
    for (int i = 10; i > 1; i--, v /= 10) out[i] = (char)('0' + v % 10);
    out[11] = '\0';
    s->cell[cell].n = 11;
}

/* Row s->row, with its label; the next call makes the next one. */
static bool step(struct synth *s, struct truth *t) {
    struct draws d = {rng_hash(s->row_key + s->row * GOLDEN)};
    double u = draw_uniform(&d);
    *t = (struct truth){.user = 0};
    make_row(s, &d, (double)s->row * 1e-6, t);
    bool label = u < t->p;
    if (label && s->history.value) history_add(&s->history, (size_t)s->o.history_length, t);
    s->row++;
    return label;
}

static int next(void *self, const struct cell **row, int *got, struct err *e) {
    (void)e;
    struct synth *s = self;
    *row = s->cell;
    *got = s->row < (uint64_t)s->o.first + (uint64_t)s->o.rows;
    if (!*got) return 0;
    struct truth t;
    uint64_t time = FIRST_TIME + s->row;
    bool label = step(s, &t);
    int c = 0;
    put(s, c++, t.user);
    put(s, c++, t.item);
    put(s, c++, time);
    for (int f = 0; f < s->user.n; f++) put(s, c++, t.user_value[f]);
    for (int f = 0; f < s->item.n; f++) put(s, c++, t.item_value[f]);
    put(s, c++, label);
    put_probability(s, c, t.p);
    return 0;
}

static void close_synth(void *self) {
    struct synth *s = self;
    mem_free(s->history.value);
    mem_free(s->history.seen);
    arena_release(&s->arena);
    mem_free(s);
}

static const char *where(void *self) {
    struct synth *s = self;
    snprintf(s->where, sizeof s->where, "synthetic row %" PRIu64, s->row ? s->row - 1 : 0);
    return s->where;
}

static void progress(const void *self, uint64_t *done, uint64_t *total) {
    const struct synth *s = self;
    *done = s->row - (uint64_t)s->o.first;
    *total = (uint64_t)s->o.rows;
}

/* ---- opening ---- */

static int plant(struct synth *s, struct side *side, const char *name, const struct opt_doubles *strength,
                 int64_t noise, struct err *e) {
    uint64_t seed = (uint64_t)s->o.seed;
    size_t vocab = (size_t)s->o.vocab;
    side->n_planted = strength->n;
    side->n = strength->n + (int)noise;
    struct rng keys = rng_init(seed, rng_stream(name));
    for (int f = 0; f < side->n; f++) side->key[f] = rng_next(&keys);
    side->effect = arena_alloc(&s->arena, ((size_t)strength->n * vocab + 1) * sizeof *side->effect);
    if (!side->effect) return err_nomem(e, (size_t)strength->n * vocab * sizeof *side->effect);
    for (int f = 0; f < strength->n; f++) {
        struct rng r = rng_init(seed, rng_stream(name) + 1 + (uint64_t)f);
        for (size_t v = 0; v < vocab; v++) side->effect[(size_t)f * vocab + v] = rng_normal(&r);
    }
    return 0;
}

/* The i-th row for calibration: a row of another stream, so that the intercept, and with it row r, does not depend on how
 * many rows are asked for. */
static void calibration_row(const struct synth *s, int i, struct truth *t) {
    struct draws d = {rng_hash(rng_hash(s->row_key ^ GOLDEN) + (uint64_t)i * GOLDEN)};
    make_row(s, &d, 0, t);
}

/* Scales the effects of one field to mean 0 and standard deviation `strength` over rows in which value v comes count[v] times:
 * with few popular items, what was drawn can be far from that. */
static void scale_effects(double *effect, const double *count, int64_t vocab, double strength) {
    double mean = 0, variance = 0;
    for (int64_t v = 0; v < vocab; v++) mean += effect[v] * count[v] / CALIBRATION;
    for (int64_t v = 0; v < vocab; v++)
        variance += (effect[v] - mean) * (effect[v] - mean) * count[v] / CALIBRATION;
    double scale = variance > 1e-12 ? strength / sqrt(variance) : strength;
    for (int64_t v = 0; v < vocab; v++) effect[v] = (effect[v] - mean) * scale;
}

static int scale_sides(struct synth *s, struct err *e) {
    int64_t vocab = s->o.vocab;
    size_t users = (size_t)s->user.n_planted, items = (size_t)s->item.n_planted;
    double *count = mem_calloc((users + items) * (size_t)vocab + 1, sizeof *count);
    if (!count) return err_nomem(e, (users + items) * (size_t)vocab * sizeof *count);
    double *item_count = count + users * (size_t)vocab;
    for (int i = 0; i < CALIBRATION; i++) {
        struct truth t = {.user = 0};
        calibration_row(s, i, &t);
        for (size_t f = 0; f < users; f++) count[f * (size_t)vocab + t.user_value[f]]++;
        for (size_t f = 0; f < items; f++) item_count[f * (size_t)vocab + t.item_value[f]]++;
    }
    for (int64_t f = 0; f < s->user.n_planted; f++)
        scale_effects(s->user.effect + f * vocab, count + f * vocab, vocab, s->o.user_fields.v[f] / 10);
    for (int64_t f = 0; f < s->item.n_planted; f++)
        scale_effects(s->item.effect + f * vocab, item_count + f * vocab, vocab, s->o.item_fields.v[f] / 10);
    mem_free(count);
    return 0;
}

/* The intercept at which the mean of p over drawn rows is the wanted rate. */
static int find_intercept(struct synth *s, struct err *e) {
    double *z = mem_alloc(CALIBRATION * sizeof *z), want = log(s->o.positive_rate / (1 - s->o.positive_rate));
    if (!z) return err_nomem(e, CALIBRATION * sizeof *z);
    s->intercept = 0;
    for (int i = 0; i < CALIBRATION; i++) {
        struct truth t = {.user = 0};
        calibration_row(s, i, &t);
        z[i] = logit(s, &t, 0);
    }
    double b = want, step = 1;
    for (int i = 0; i < 200 && fabs(step) > 1e-9; i++) {
        double mean = 0;
        for (int k = 0; k < CALIBRATION; k++) mean += 1 / (1 + exp(-z[k] - b)) / CALIBRATION;
        step = want - log(mean / (1 - mean));
        b += step;
    }
    s->intercept = b;
    mem_free(z);
    return 0;
}

/* What users remember at row `first` follows from the rows before it, which are made again. */
static int start_history(struct synth *s, struct err *e) {
    size_t users = (size_t)s->o.users, values = users * (size_t)s->o.history_length;
    if (!(s->o.history_strength > 0)) return 0;
    s->history.seen = mem_calloc(users, sizeof *s->history.seen);
    s->history.value = mem_calloc(values, sizeof *s->history.value);
    if (!s->history.seen || !s->history.value) return err_nomem(e, values * sizeof *s->history.value);
    struct truth t;
    for (s->row = 0; s->row < (uint64_t)s->o.first;) step(s, &t);
    return 0;
}

static int start(struct synth *s, const struct conf *map, struct err *e) {
    struct synth_options *o = &s->o;
    opt_defaults(synth_opts, o);
    TRY(opt_read(synth_opts, o, map, "`synthetic`", e));
    int64_t pairs = (int64_t)o->user_fields.n * o->item_fields.n;
    const struct conf *at = conf_get(map, "pair_effects") ? conf_get(map, "pair_effects") : map;
    if (o->pair_effects > pairs)
        return conf_err(at, e,
                        "`synthetic`: `pair_effects` must be at most %" PRId64
                        ", the number of pairs of a user field and an item field, not %" PRId64,
                        pairs, o->pair_effects);
    if (o->drift > 0 && !o->item_fields.n)
        return conf_err(map, e, "`synthetic`: `drift` needs at least one of `item_fields`");
    if (o->history_strength > 0 && !o->item_fields.n)
        return conf_err(map, e, "`synthetic`: `history_strength` needs at least one of `item_fields`");
    uint64_t seed = (uint64_t)o->seed;
    TRY(plant(s, &s->user, "synthetic users", &o->user_fields, o->noise_user_fields, e));
    TRY(plant(s, &s->item, "synthetic items", &o->item_fields, o->noise_item_fields, e));
    struct rng r = rng_init(seed, rng_stream("synthetic rows"));
    s->row_key = rng_next(&r);
    s->pair_key = rng_next(&r);
    s->drift = arena_alloc(&s->arena, (size_t)o->vocab * sizeof *s->drift);
    if (!s->drift) return err_nomem(e, (size_t)o->vocab * sizeof *s->drift);
    for (int64_t v = 0; v < o->vocab; v++) s->drift[v] = rng_normal(&r);
    s->zipf = zipf_init((uint64_t)o->items, o->zipf);
    s->row = (uint64_t)o->first;
    for (int c = 0; c < CELLS_MAX; c++) s->cell[c].p = s->text[c];
    TRY(scale_sides(s, e));
    TRY(find_intercept(s, e));
    return start_history(s, e);
}

/* Noise fields follow the planted ones of their side, in the order of fill_values(). */
static int name_columns(const struct synth *s, char name[CELLS_MAX][16]) {
    const struct side *sides[] = {&s->user, &s->item};
    int c = 0;
    for (const char *const *p = (const char *const[]){"user_id", "item_id", "ts", NULL}; *p; p++)
        snprintf(name[c++], 16, "%s", *p);
    for (int k = 0; k < 2; k++)
        for (int f = 0; f < sides[k]->n; f++) {
            bool noise = f >= sides[k]->n_planted;
            snprintf(name[c++], 16, "%s%c%d", noise ? "n" : "", k ? 'i' : 'u',
                     noise ? f - sides[k]->n_planted : f);
        }
    snprintf(name[c++], 16, "label");
    snprintf(name[c++], 16, "bayes_p");
    return c;
}

int synth_open(const struct conf *map, struct source **out, struct err *e) {
    static const struct source_ops ops = {next, close_synth, where, progress};
    *out = NULL;
    struct synth *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s);
    int rc = start(s, map, e);
    if (rc) {
        close_synth(s);
        return rc;
    }
    char name[CELLS_MAX][16];
    const char *names[CELLS_MAX];
    int columns = name_columns(s, name);
    for (int c = 0; c < columns; c++) names[c] = name[c];
    return source_new(&ops, s, columns, names, out, e);
}
