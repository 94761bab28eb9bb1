/* gnuplot.h: runs the program gnuplot on a script: no shell, no start-up files, in a folder of our choice.
 *
 *     TRY(gnuplot_run(script.p, script.len, "/tmp/x", e));   `set output 'a.svg'` lands in /tmp/x
 *
 * Anything that gnuplot says on stderr while it fails becomes the error. gnuplot 5.2 or later, with the
 * terminals svg and pngcairo (Debian: gnuplot-nox).
 */
#ifndef PRERANK_BENCH_GNUPLOT_H
#define PRERANK_BENCH_GNUPLOT_H
#include "base/err.h"
#include <stddef.h>

int gnuplot_run(const char *script, size_t n, const char *folder, struct err *e);

#endif
