#include "bench/report/assets.h"

/* The assembler reads the files; the Makefile says that this object depends on them. */
#define ASSET(name, path)                                                                                    \
    __asm__(".section .rodata\n"                                                                             \
            ".global " #name "\n" #name ":\n"                                                                \
            ".incbin \"" path "\"\n"                                                                         \
            ".byte 0\n"                                                                                      \
            ".text\n")

ASSET(asset_style_gp, "bench/report/assets/style.gp");
ASSET(asset_report_css, "bench/report/assets/report.css");
ASSET(asset_report_js, "bench/report/assets/report.js");
