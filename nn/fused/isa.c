#include "nn/fused/isa.h"
#include <stddef.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

const char *const isa_names[] = {"best", "portable", "avx2", "avx512", "dot", "amx", NULL};

#if defined(__x86_64__) && !defined(PRERANK_PORTABLE)

/* CPUID leaf 7: tiles and their two products; Linux hands out the tiles' state (component 18) on request. */
static int has_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const unsigned want = 1U << 22 | 1U << 24 | 1U << 25;
    return (d & want) == want && !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

static int has_f16c(void) { /* a name that not every compiler knows */
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

enum isa isa_best(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return ISA_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return ISA_AVX2;
    if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni")) return ISA_AVX512;
    return has_amx() ? ISA_AMX : ISA_DOT;
}

#else
enum isa isa_best(void) { return ISA_PORTABLE; }
#endif

enum isa isa_limit(enum isa best, enum isa option) {
    return option == ISA_BEST || option > best ? best : option;
}
