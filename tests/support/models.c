#include "tests/support/models.h"
#include "variants/variant.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

const struct toy_variant toy_variants[] = {
    {"dssm", "{dim: 4, hidden: [6, 5]}", true},
    {"dssm", "{dim: 8, hidden: [24, 16, 12], batch_norm: true}", true},
    {"dssm", "{dim: 4, hidden: [6, 5], normalize: true, temperature: 0.2}", true},
    {"senet", "{dim: 8, hidden: [24, 12]}", true},
    {"senet", "{dim: 4, hidden: [6, 5], reduction: 1, gate: sigmoid}", true},
    {"senet", "{dim: 4, hidden: [6, 5], reduction: 1, skip: true, batch_norm: true}", true},
    {"parallel", "{dim: 8, hidden: [24], d: 12, cin: [5, 3], cross_layers: 2}", true},
    {"parallel", "{dim: 4, hidden: [6], d: 5, channels: [mlp], batch_norm: true}", true},
    {"parallel", "{dim: 4, d: 5, channels: [dcn], cross_layers: 2}", true},
    {"parallel", "{dim: 4, channels: [fm]}", true},
    {"parallel", "{dim: 4, channels: [ffm]}", true},
    {"parallel", "{dim: 4, d: 5, channels: [cin], cin: [3, 2]}", true},
    /* differences see through a stopped gradient: the mimic losses have a test of their own */
    {"dat", "{dim: 4, hidden: [6, 5], category: item_id, mimic_user: 0, mimic_item: 0}", true},
    {"dat", "{dim: 8, hidden: [24, 12], batch_norm: true, mimic_user: 0, mimic_item: 0}", true},
    {"inttower", "{dim: 8, hidden: [24, 16], heads: 3, head_dim: 8}", false},
    {"inttower", "{dim: 4, hidden: [6, 5], heads: 3, head_dim: 2, batch_norm: true}", false},
    {"mlp", "{dim: 8, hidden: [32, 16]}", false},
    {"mlp", "{dim: 4, hidden: [6, 5], batch_norm: true, batch_norm_uniform: true}", false},
    {"dcn", "{dim: 4, hidden: [6], cross_layers: 2}", false},
    {"din", "{dim: 4, hidden: [6], length: 2, attention: 3}", false},
    {"din", "{dim: 8, hidden: [24], history: recent, batch_norm: true}", false},
    {"cold", "{dim: 8, hidden: [24, 12]}", false},
    {"cold", "{dim: 4, hidden: [6], linear_log: true, batch_norm: true}", false},
    {"cold", "{dim: 4, hidden: [6], importance: se}", false},
    {NULL, NULL, false},
};

void toy_variants_are_all(void) {
    for (const struct variant *const *v = variant_all(); *v; v++) {
        bool listed = false;
        for (const struct toy_variant *m = toy_variants; m->variant; m++)
            listed |= !strcmp(m->variant, (*v)->name);
        cr_expect(listed, "variant %s is not in tests/support/models.c", (*v)->name);
    }
}

void toy_channels(int mask, bool reversed, char out[128]) {
    static const char *const name[] = {"mlp", "dcn", "fm", "ffm", "cin"};
    int n = snprintf(out, 128,
                     "{dim: 4, hidden: [6], d: 5, cin: [3, 2], ffm_dim: 2, cross_layers: 2, channels: ["),
        any = 0;
    for (int i = 0; i < 5; i++) {
        int c = reversed ? 4 - i : i;
        if (mask >> c & 1) n += snprintf(out + n, 128 - (size_t)n, "%s%s", any++ ? ", " : "", name[c]);
    }
    snprintf(out + n, 128 - (size_t)n, "]}");
}
