#include "bench/load/usable.h"
#include "base/progress.h"
#include "metrics/stats.h"
#include <math.h>

const double usable_share = 0.01;
static const double confidence =
    0.999; /* of each look; a wrong turn of the bisection costs more than a look */
enum { FIRST_LOOK = 512, BLOCKS = 32, LEAST = 100, MOST = 1000000, HALVINGS = 10, REPEATS = 6 };

struct search {
    const struct load_servers *servers;
    const struct usable_options *o;
    uint64_t *number;
    struct usable *u;
    struct err *e;
};

static double late_share(const struct open_loop *run, size_t skip, int64_t limit) {
    size_t late = 0;
    for (size_t i = skip; i < run->n; i++) late += run->latency[i] > limit;
    return (double)late / (double)(run->n - skip);
}

/* 1: too many are late; -1: few enough; 0: not to be told yet. */
static int decide(const struct usable *u, int64_t limit) {
    size_t n = u->run.n - u->skip;
    double inflation = samples_inflation(u->run.latency + u->skip, n, limit, BLOCKS);
    double alone = (double)n / inflation; /* as many independent requests would say as much */
    return stat_binomial_side(late_share(&u->run, u->skip, limit) * alone, alone, usable_share, confidence);
}

/* Of the time; not above 0: the queue grows without end. */
static double idle_share(const struct usable *u, double rate) {
    double work = 0;
    for (size_t i = 0; i < u->run.n; i++) work += (double)u->run.service[i] * 1e-9;
    return 1 - rate * work / (double)u->run.n / u->run.servers.n;
}

/* A queue that began empty forgets that within some 1 / (1 - utilisation)^2 requests (Odoni & Roth 1983, Operations Research 31,
 * 432-455): before it has done so many times over, few late responses say little. */
static bool settled(const struct usable *u, double rate) {
    double idle = idle_share(u, rate);
    return idle > 0 && (double)u->run.n * idle * idle >= 20;
}

/* Offers `rate`; leaves the run in u. *within: at most 1 % were late. */
static int probe(struct search *s, double rate, bool whole, bool *within) {
    struct usable *u = s->u;
    double want = rate * s->o->seconds;
    size_t most = want < LEAST ? LEAST : want > MOST ? MOST : (size_t)want, skip = most / 10;
    open_release(&u->run);
    arrivals_release(&u->schedule);
    TRY(arrivals_poisson(rate, most + skip, s->o->seed + (uint64_t)u->probes, &u->schedule, s->e));
    TRY(open_begin(&u->run, s->servers, &u->schedule, *s->number, s->e));
    u->probes++;
    /* a short probe fills the queue in the tenth of what it will have been: looks begin there */
    size_t look = FIRST_LOOK;
    for (int side = 0; u->run.n < u->schedule.n && (whole || !side); look += look / 2) {
        TRY(open_until(&u->run, look, s->e));
        u->skip = u->run.n / 10;
        if (!whole) side = decide(u, s->o->limit_ns);
        if (side < 0 && !settled(u, rate)) side = 0;
        if (interrupt_seen()) return err_set(s->e, ERR_INTERRUPTED, "interrupted");
    }
    *s->number += u->run.n;
    int side = decide(u, s->o->limit_ns);
    *within = (side ? side < 0 : late_share(&u->run, u->skip, s->o->limit_ns) <= usable_share) &&
              idle_share(u, rate) > 0; /* a short probe may end before the limit is reached */
    return 0;
}

/* A rate that passes and one that fails, a factor of two apart; *pass is 0 when none passes. */
static int bracket(struct search *s, double first, double *pass, double *fail) {
    bool within;
    *pass = *fail = 0;
    double rate = 2 * first;
    for (int i = 0; i < HALVINGS && !(*pass > 0); i++) {
        rate /= 2;
        if (i && rate * s->o->seconds < LEAST) break; /* too few requests to tell 1 % */
        TRY(probe(s, rate, false, &within));
        if (within)
            *pass = rate;
        else
            *fail = rate;
    }
    while (*pass > 0 && !(*fail > 0)) { /* ends: no server answers faster than it works */
        TRY(probe(s, 2 * *pass, false, &within));
        if (within)
            *pass *= 2;
        else
            *fail = 2 * *pass;
    }
    return 0;
}

static int bisect(struct search *s, double *pass, double *fail) {
    while (*fail > *pass * (1 + s->o->tolerance)) {
        double middle = (*pass + *fail) / 2;
        bool within;
        TRY(probe(s, middle, false, &within));
        *(within ? pass : fail) = middle;
    }
    return 0;
}

/* Both ends once more, each for the whole time. The failing rate must not be clearly below 1 % now, and the passing one not
 * above it at all; where one does not hold, the bracket moves over it, in growing steps. */
static int confirm(struct search *s, double *pass, double *fail) {
    const double near = 1 + 1.001 * s->o->tolerance;
    double step = s->o->tolerance / 2;
    bool within;
    for (int i = 0; i < REPEATS; i++) {
        step *= 2;
        TRY(probe(s, *fail, true, &within));
        if (within && decide(s->u, s->o->limit_ns) < 0) {
            *pass = *fail;
            *fail *= 1 + step;
            continue;
        }
        TRY(probe(s, *pass, true, &within));
        s->u->confirmed = within && *fail <= *pass * near;
        if (s->u->confirmed) break;
        if (within) {
            *pass = (*pass + *fail) / 2; /* the steps have left it too wide */
        } else {
            *fail = *pass;
            *pass /= 1 + step;
        }
    }
    return 0;
}

static int find(struct search *s, double service_ns) {
    struct usable *u = s->u;
    double pass, fail;
    TRY(bracket(s, 0.5e9 * s->servers->n / service_ns, &pass, &fail));
    if (pass > 0) {
        TRY(bisect(s, &pass, &fail));
        TRY(confirm(s, &pass, &fail));
    }
    u->qps = pass;
    u->over_qps = fail;
    u->late_share = late_share(&u->run, u->skip, s->o->limit_ns);
    TRY(open_summarise(&u->run, u->skip, &u->summary, s->e));
    u->verdict = !(pass > 0) ? VERDICT_OVERLOADED : !u->confirmed ? VERDICT_UNSTABLE : u->summary.verdict;
    return 0;
}

int usable_find(const struct load_servers *s, const struct usable_options *o, double service_ns,
                uint64_t *number, struct usable *out, struct err *e) {
    *out = (struct usable){.qps = 0};
    struct search search = {s, o, number, out, e};
    int rc = find(&search, fmax(service_ns, 1));
    if (rc) usable_release(out);
    return rc;
}

void usable_release(struct usable *u) {
    open_release(&u->run);
    arrivals_release(&u->schedule);
}
