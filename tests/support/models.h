/* models.h: every variant with its options, for tests that say "for every variant": small models for the features of toy.h.
 *
 *     for (const struct toy_variant *m = toy_variants; m->variant; m++) toy_model(m->variant, m->options, &g);
 *     toy_variants_are_all();                 fails the test when the registry has a variant that is not listed
 */
#ifndef PRERANK_TESTS_SUPPORT_MODELS_H
#define PRERANK_TESTS_SUPPORT_MODELS_H
#include <stdbool.h>

struct toy_variant {
    const char *variant, *options;
    bool towers; /* one inner product at serving */
};
extern const struct toy_variant toy_variants[]; /* ends with a NULL variant */
void toy_variants_are_all(void);

/* The channels of `parallel` in the bits of mask (1 .. 31), "{channels: [fm, cin], ...}"; reversed: in the other order. */
enum { TOY_CHANNEL_SETS = 32 };
void toy_channels(int mask, bool reversed, char out[128]);

#endif
