/* scratch.h: large temporary arrays in mapped files that are gone when they are unmapped, whatever happens.
 *
 *     struct file_map m;
 *     TRY(scratch_map("out.tmp-17/work", n * sizeof(double), &m, e));     zeroed
 *     double *v = m.p;
 *     file_unmap(&m);
 */
#ifndef PRERANK_DATA_SCRATCH_H
#define PRERANK_DATA_SCRATCH_H
#include "base/file.h"

int scratch_map(const char *work, size_t bytes, struct file_map *m, struct err *e);

#endif
