/* peak.h: how fast the fused engine's products can be: the denominator of a floor.
 *
 *     TRY(fused_peak(PRECISION_INT8, ISA_BEST, &isa, &gflops, e));       some milliseconds
 *
 * The best of many products of a whole group with weights that stay in the first-level cache, on the calling thread and
 * by its processor time. A multiply-add counts as 2, of whatever precision. */
#ifndef PRERANK_NN_FUSED_PEAK_H
#define PRERANK_NN_FUSED_PEAK_H
#include "nn/fused/fused.h"

int fused_peak(enum precision p, enum isa limit, enum isa *used, double *gflops, struct err *e);

#endif
