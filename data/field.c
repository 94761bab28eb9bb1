#include "data/field.h"

const char *side_name(side_t s) {
    static const char *const names[] = {"none", "user", "item", "pair"};
    return names[s & SIDE_PAIR];
}
