/* assets.h: the files of bench/report/assets/, part of the program; each ends in a NUL.
 */
#ifndef PRERANK_BENCH_ASSETS_H
#define PRERANK_BENCH_ASSETS_H

extern const char asset_style_gp[], asset_report_css[], asset_report_js[];

#endif
