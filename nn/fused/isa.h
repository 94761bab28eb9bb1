/* isa.h: which instructions the fused kernels may use, found out when the program runs.
 *
 *     enum isa best = isa_best();                  what this processor and system have
 *     enum isa used = isa_limit(best, ISA_AVX2);   no more than that: tests force the others
 *
 * Each level has what the ones below it have. AMX must be asked of the system once a process; isa_best() does.
 */
#ifndef PRERANK_NN_FUSED_ISA_H
#define PRERANK_NN_FUSED_ISA_H

enum isa {
    ISA_BEST, /* as an option: whatever there is */
    ISA_PORTABLE,
    ISA_AVX2,   /* with FMA and F16C */
    ISA_AVX512, /* F, BW, DQ, VL */
    ISA_DOT,    /* AVX512_BF16 and AVX512_VNNI: products of 16 and 8 bits, added up in 32 */
    ISA_AMX     /* the same on tiles of 16 rows x 64 bytes */
};
extern const char *const isa_names[]; /* NULL-ended */
enum isa isa_best(void);
enum isa isa_limit(enum isa best, enum isa option);

#endif
