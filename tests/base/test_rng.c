#include "base/rng.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* Published: Rosetta Code "Pseudo-random numbers/Splitmix64", seed 1234567 */
static const uint64_t splitmix[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                    UINT64_C(16408922859458223821)};

Test(rng, hash_is_the_finaliser_of_splitmix64) {
    for (uint64_t i = 0; i < 5; i++) cr_assert_eq(rng_hash(1234567 + (i + 1) * GOLDEN), splitmix[i]);
}

Test(rng, stream_0_is_seeded_with_splitmix64_itself) {
    struct rng r = rng_init(1234567, 0);
    for (int i = 0; i < 4; i++) cr_assert_eq(r.s[i], splitmix[i]);
}

Test(rng, next_is_xoshiro256starstar) {
    /* the vector of rand_xoshiro's tests, made with Vigna's C code from the state 1, 2, 3, 4 */
    static const uint64_t expected[] = {UINT64_C(11520),
                                        UINT64_C(0),
                                        UINT64_C(1509978240),
                                        UINT64_C(1215971899390074240),
                                        UINT64_C(1216172134540287360),
                                        UINT64_C(607988272756665600),
                                        UINT64_C(16172922978634559625),
                                        UINT64_C(8476171486693032832),
                                        UINT64_C(10595114339597558777),
                                        UINT64_C(2904607092377533576)};
    struct rng r = {.s = {1, 2, 3, 4}};
    for (int i = 0; i < 10; i++) cr_assert_eq(rng_next(&r), expected[i], "draw %d", i);
}

Test(rng, seeds_and_streams_give_different_numbers_and_the_same_ones_again) {
    struct rng a = rng_init(1, rng_stream("dropout")), b = rng_init(1, rng_stream("dropout"));
    struct rng c = rng_init(2, rng_stream("dropout")), d = rng_init(1, rng_stream("init"));
    struct rng n = rng_init(1, rng_stream("dropout") + 1);
    uint64_t x = rng_next(&a);
    cr_assert_eq(x, rng_next(&b));
    cr_assert_neq(x, rng_next(&c));
    cr_assert_neq(x, rng_next(&d));
    cr_assert_neq(x, rng_next(&n));
}

Test(rng, uniform_passes_a_chi_square_test_and_stays_below_1) {
    struct rng r = rng_init(42, 0);
    enum { BINS = 100, DRAWS = 1000000 };
    double sum = 0, chi = 0;
    int bin[BINS] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double u = rng_uniform(&r);
        cr_assert(u >= 0 && u < 1);
        sum += u;
        bin[(int)(u * BINS)]++;
    }
    for (int i = 0; i < BINS; i++) chi += pow(bin[i] - DRAWS / BINS, 2) / (DRAWS / BINS);
    cr_assert(fabs(sum / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS), "mean %g", sum / DRAWS);
    cr_assert(chi > 45 && chi < 170, "chi2 %g with 99 degrees of freedom", chi); /* both tails beyond 1e-5 */
}

Test(rng, normal_has_the_moments_and_tails_of_n01) {
    struct rng r = rng_init(7, 1);
    enum { DRAWS = 1000000 };
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag = 0, last = 0;
    int beyond = 0;
    for (int i = 0; i < DRAWS; i++) {
        double z = rng_normal(&r);
        m1 += z, m2 += z * z, m3 += z * z * z, m4 += z * z * z * z;
        lag += z * last;
        last = z;
        beyond += fabs(z) > 1.959963984540054;
    }
    cr_assert(fabs(m1 / DRAWS) < 5e-3);
    cr_assert(fabs(m2 / DRAWS - 1) < 7.1e-3); /* 5 standard errors each */
    cr_assert(fabs(m3 / DRAWS) < 2e-2);
    cr_assert(fabs(m4 / DRAWS - 3) < 5e-2);
    cr_assert(fabs(lag / DRAWS) < 5e-3, "the two of a pair are independent");
    cr_assert(fabs(beyond / (double)DRAWS - 0.05) < 1.1e-3);
}

Test(rng, below_is_in_range_and_unbiased) {
    struct rng r = rng_init(3, 0);
    int count[6] = {0};
    for (int i = 0; i < 600000; i++) {
        uint64_t v = rng_below(&r, 6);
        cr_assert_lt(v, 6);
        count[v]++;
    }
    for (int i = 0; i < 6; i++) cr_assert(abs(count[i] - 100000) < 1500, "%d", count[i]);
    for (int i = 0; i < 100; i++) cr_assert_eq(rng_below(&r, 1), 0);
    /* 3/4 of 2^64: plain 128-bit scaling without rejection would favour some thirds by 1:2 */
    uint64_t big = UINT64_C(3) << 62, third[3] = {0};
    for (int i = 0; i < 300000; i++) {
        uint64_t v = rng_below(&r, big);
        cr_assert_lt(v, big);
        third[v % 3]++;
    }
    for (int i = 0; i < 3; i++) cr_assert(llabs((long long)third[i] - 100000) < 1400);
}

static void assert_permutation(uint64_t n, uint64_t key) {
    struct shuffle s = shuffle_init(n, key);
    unsigned char *seen = calloc(n + 1, 1);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t v = shuffle_at(&s, i);
        cr_assert_lt(v, n);
        cr_assert_not(seen[v], "%llu twice for n = %llu", (unsigned long long)v, (unsigned long long)n);
        seen[v] = 1;
    }
    free(seen);
}

Test(shuffle, is_a_permutation_for_every_size) {
    for (uint64_t n = 1; n <= 300; n++)
        for (uint64_t key = 0; key < 3; key++) assert_permutation(n, key);
    static const uint64_t sizes[] = {1023, 1024, 1025, 4095, 4096, 4097, 65536, 65537, 1000003};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) assert_permutation(sizes[i], 11);
}

Test(shuffle, works_up_to_the_largest_sizes) {
    static const uint64_t sizes[] = {UINT64_C(1) << 32, (UINT64_C(1) << 62) + 1, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct shuffle s = shuffle_init(sizes[i], 5);
        cr_assert_lt(shuffle_at(&s, 0), sizes[i]);
        cr_assert_lt(shuffle_at(&s, sizes[i] - 1), sizes[i]);
        cr_assert_neq(shuffle_at(&s, 0), shuffle_at(&s, 1));
    }
}

Test(shuffle, depends_on_the_key_and_leaves_no_order) {
    enum { N = 100000 };
    struct shuffle a = shuffle_init(N, 1), b = shuffle_init(N, 2), again = shuffle_init(N, 1);
    int equal = 0, rising = 0, related = 0;
    double cov = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t v = shuffle_at(&a, i), w = shuffle_at(&b, i);
        cr_assert_eq(v, shuffle_at(&again, i));
        equal += v == w;
        rising += i && v > last;
        related += (v ^ w) < 4;
        cov += ((double)v - N / 2.0) * ((double)i - N / 2.0);
        last = v;
    }
    double corr = cov / (N * (N * (double)N / 12));
    cr_assert_lt(equal, 15); /* Poisson(1) */
    cr_assert_lt(related, 30);
    cr_assert(abs(rising - N / 2) < 1000, "%d", rising);
    cr_assert(fabs(corr) < 0.02, "%g", corr);
}
