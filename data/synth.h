/* synth.h: a synthetic log with planted truth, as a source of rows.
 *
 *     synthetic: {rows: 1M, users: 10000, items: 2000, seed: 1,
 *                 user_fields: [8, 4, 2], item_fields: [8, 4, 2],      planted strength of each field (logit scale /10), >= 0
 *                 pair_effects: 2, pair_strength: 1.0,                 number of planted user x item value-pair effects
 *                 noise_user_fields: 2, noise_item_fields: 2, vocab: 50, zipf: 1.0, positive_rate: 0.3, drift: 0,
 *                 history_strength: 0, history_length: 10}
 *
 * (`prerank help synthetic` prints them all, from synth_opts.)
 *
 * Columns: user_id, item_id, ts (strictly rising), u0..uN, i0..iN (planted), nu0.., ni0.. (noise), label, bayes_p.
 * logit p = b + sum_f strength_f * w_f[value] + sum_pairs pair_strength * W_k[user value, item value] (+ drift * t * w'),
 * w ~ N(0,1) fixed by the seed, then scaled to mean 0 and variance 1 over the rows; a user's or item's field values are fixed; items are drawn Zipf(zipf), users uniformly.
 * Pair effect k is on user field u = k mod U and item field (u + k / U) mod I, of U and I planted ones. t counts millions of
 * rows, w' belongs to the values of i0. With `history_strength`, that much is added where one of the user's last
 * `history_length` positive rows has the same value of i0: what a `recent` of i0 with that n shows. b is set by a Monte Carlo of 65,536 drawn rows so that the mean p is positive_rate.
 * label ~ Bernoulli(p), bayes_p = p: no model can have a higher expected AUC than bayes_p itself.
 * Row r depends only on (seed, r): any range can be made again. 100 M rows stream in constant memory. (A history effect
 * needs users x history_length values, and a range that does not begin at 0 makes the rows before it again.)
 */
#ifndef PRERANK_DATA_SYNTH_H
#define PRERANK_DATA_SYNTH_H
#include "base/conf.h"
#include "base/err.h"
#include "base/opt.h"
#include "data/source.h"

struct synth_options {
    int64_t rows, first, users, items, seed, vocab, noise_user_fields, noise_item_fields, pair_effects;
    struct opt_doubles user_fields, item_fields;
    int64_t history_length;
    double pair_strength, zipf, positive_rate, drift, history_strength;
};
extern const struct opt synth_opts[];
/* `map` may be NULL (all defaults). */
int synth_open(const struct conf *map, struct source **out, struct err *e);

#endif
