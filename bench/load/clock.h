/* clock.h: the time that a load runs by: the machine's, or one that only moves when somebody waits.
 *
 *     struct load_clock c = clock_real();
 *     c.wait_until(c.self, c.now(c.self) + 250000);          a quarter of a millisecond later
 *
 * clock_real() sleeps to about 1 ms before the deadline and spins the rest: a sleeping thread wakes some 0.1
 * ms late, sometimes 1 ms, and that would be counted against the model.
 * clock_virtual() makes a queue of known service times exact: waiting sets the time, and nothing else takes
 * any.
 */
#ifndef PRERANK_BENCH_LOAD_CLOCK_H
#define PRERANK_BENCH_LOAD_CLOCK_H
#include <stdint.h>

struct load_clock {
    void *self;
    int64_t (*now)(void *self); /* ns since whenever */
    /* Returns at `at` or later; at once when that is past. */
    void (*wait_until)(void *self, int64_t at);
};
struct virtual_time {
    int64_t now_ns;
};
struct load_clock clock_real(void);
struct load_clock clock_virtual(struct virtual_time *t); /* *t belongs to the caller and outlives the clock */

#endif
