#include "nn/optim.h"
#include <math.h>

static const char *const schedule_names[] = {"constant", "plateau", "cosine", NULL};
const struct opt schedule_opts[] = {
    OPT_ENUM(struct schedule_options, schedule, "constant", schedule_names, "how the learning rate changes"),
    OPT_DOUBLE(struct schedule_options, learning_rate, "0.001", 0, 1e30, "learning rate after warm-up"),
    OPT_INT(struct schedule_options, warmup_steps, "0", 0, 1e9,
            "steps over which the rate rises linearly from 0"),
    OPT_DOUBLE(struct schedule_options, plateau_factor, "0.1", 1e-6, 1,
               "plateau: the rate is multiplied by this"),
    OPT_INT(struct schedule_options, plateau_patience, "1", 1, 1000,
            "plateau: epochs without a better validation metric"),
    OPT_END};

void schedule_init(struct schedule *s, const struct schedule_options *o, int64_t total_steps) {
    *s = (struct schedule){.o = *o, .total_steps = total_steps, .factor = 1, .best = -INFINITY};
}

double schedule_rate(const struct schedule *s, int64_t step) {
    double rate = s->o.learning_rate * s->factor;
    if (step < s->o.warmup_steps) return rate * (double)(step + 1) / (double)s->o.warmup_steps;
    if (s->o.schedule != SCHEDULE_COSINE) return rate;
    double span = (double)(s->total_steps - s->o.warmup_steps), at = (double)(step - s->o.warmup_steps);
    if (span <= 0 || at >= span) return span <= 0 ? rate : 0;
    return rate * 0.5 * (1 + cos(acos(-1.0) * at / span));
}

void schedule_epoch(struct schedule *s, double metric) {
    if (s->o.schedule != SCHEDULE_PLATEAU) return;
    if (metric > s->best) {
        s->best = metric;
        s->bad_epochs = 0;
    } else if (++s->bad_epochs >= s->o.plateau_patience) {
        s->factor *= s->o.plateau_factor;
        s->bad_epochs = 0;
    }
}
