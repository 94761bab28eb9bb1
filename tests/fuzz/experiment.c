/* An experiment as `prerank check` reads it; what follows a NUL byte is a --set. */
#include "bench/run/experiment.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void use(struct experiment *x, struct problems *p) {
    experiment_check_models(x, p);
    json_decref(experiment_json(x));
    json_decref(experiment_train_json(x));
    experiment_release(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    char set[200] = "";
    const char *settings[] = {set};
    if (zero) {
        size_t rest = n - (size_t)(zero - data) - 1;
        memcpy(set, zero + 1, rest < sizeof set ? rest : sizeof set - 1);
        n = (size_t)(zero - data);
    }
    struct experiment x;
    struct problems p = PROBLEMS_INIT;
    int rc = experiment_load(fuzz_file(data, n), settings, zero != NULL, &x, &p);
    if (!rc) use(&x, &p);
    struct err e = ERR_INIT;
    if (p.n) err_set(&e, ERR_INPUT, "%s", p.text.p);
    fuzz_expect(rc, &e);
    problems_release(&p);
    return 0;
}
