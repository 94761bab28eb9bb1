/* The registry of select.h. */
#include "bench/select/select.h"

extern const struct selector selector_se, selector_permutation, selector_fscd, selector_lasso,
    selector_single, selector_random;

const struct selector *const selectors[SELECTORS + 1] = {
    &selector_se, &selector_permutation, &selector_fscd, &selector_lasso, &selector_single, &selector_random,
    NULL};
