#include "bench/load/clock.h"
#include "base/progress.h"
#include <time.h>
#if defined __x86_64__ || defined __i386__
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() ((void)0)
#endif

enum { SPIN_NS = 1000000 };

static int64_t real_now(void *self) {
    (void)self;
    return clock_ns();
}

static void real_wait(void *self, int64_t at) {
    (void)self;
    int64_t wake = at - SPIN_NS;
    if (wake > clock_ns()) {
        const struct timespec t = {(time_t)(wake / 1000000000), (long)(wake % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL); /* a signal may end it early */
    }
    while (clock_ns() < at) RELAX();
}

struct load_clock clock_real(void) {
    return (struct load_clock){NULL, real_now, real_wait};
}

static int64_t virtual_now(void *self) { return ((const struct virtual_time *)self)->now_ns; }

static void virtual_wait(void *self, int64_t at) {
    struct virtual_time *t = self;
    if (at > t->now_ns) t->now_ns = at;
}

struct load_clock clock_virtual(struct virtual_time *t) {
    return (struct load_clock){t, virtual_now, virtual_wait};
}
