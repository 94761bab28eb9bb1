#include "base/mem.h"
#include "base/str.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(str, grows_by_text_bytes_and_format) {
    struct str s = STR_INIT;
    str_add(&s, "a");
    str_addn(&s, "bcd", 2);
    str_addf(&s, "-%05d", 42);
    cr_assert_str_eq(s.p, "abc-00042");
    for (int i = 0; i < 1000; i++) str_addf(&s, "%d,", i);
    cr_assert_eq(s.len, strlen(s.p));
    cr_assert_str_eq(s.p + s.len - 4, "999,");
    str_clear(&s);
    cr_assert_str_eq(s.p, "");
    str_release(&s);
    cr_assert_null(s.p);
}

Test(str, an_empty_add_makes_an_empty_text) {
    struct str s = STR_INIT;
    str_add(&s, "");
    cr_assert_str_eq(s.p, "");
    str_release(&s);
}

Test(str, says_when_memory_ran_out_and_stays_whole_at_every_allocation) {
    for (unsigned long long n = 1; n < 20; n++) {
        struct str s = STR_INIT;
        mem_fail_after(n);
        for (int i = 0; i < 100; i++) {
            str_add(&s, "0123456789");
            str_addf(&s, "%d", 1);
        }
        mem_fail_after(0);
        if (s.p) cr_assert_eq(strlen(s.p), s.len);
        cr_assert_eq(s.failed, s.len != 1100);
        cr_assert_eq(s.failed, n <= 6, "n = %llu", n); /* 64, 128 ... 2048 bytes */
        str_release(&s);
    }
}

Test(str, nearest_counts_insertions_deletions_changes_and_swaps) {
    static const char *const known[] = {"hidden", "dropout", "batch_norm", "id"};
    cr_assert_str_eq(str_nearest("hiden", known, 4), "hidden");
    cr_assert_str_eq(str_nearest("hiddden", known, 4), "hidden");
    cr_assert_str_eq(str_nearest("dropuot", known, 4), "dropout");
    cr_assert_str_eq(str_nearest("batch-norm", known, 4), "batch_norm");
    cr_assert_str_eq(str_nearest("batchnrm", known, 4), "batch_norm"); /* distance 2 of 8 */
    cr_assert_str_eq(str_nearest("di", known, 4), "id");               /* one swap, not two changes */
    cr_assert_null(str_nearest("hxdxxn", known, 4));                   /* distance 3, at most 6/3 */
    cr_assert_null(str_nearest("learning_rate", known, 4));
    cr_assert_null(str_nearest("hiden", known, 0));
}

Test(str, nearest_ignores_case_and_survives_very_long_words) {
    static const char *const known[] = {"senet", "x"};
    char word[5000];
    memset(word, 'a', sizeof word);
    word[sizeof word - 1] = '\0';
    cr_assert_str_eq(str_nearest("SENET", known, 2), "senet");
    cr_assert_null(str_nearest(word, known, 2));
}

Test(str, suggestion_names_the_nearest_or_all) {
    static const char *const known[] = {"dssm", "cold"};
    struct str s = STR_INIT;
    str_add_suggestion(&s, "dsm", known, 2);
    cr_assert_str_eq(s.p, ", did you mean \"dssm\"?");
    str_clear(&s);
    str_add_suggestion(&s, "transformer", known, 2);
    cr_assert_str_eq(s.p, "; known: dssm, cold");
    str_release(&s);
}

static const struct {
    const char *text;
    int ok;
    int64_t value;
} ints[] = {{"0", 1, 0},
            {"-7", 1, -7},
            {"+7", 1, 7},
            {"007", 1, 7},
            {"20M", 1, 20000000},
            {"3k", 1, 3000},
            {"2G", 1, 2000000000},
            {"1e3", 1, 1000},
            {"1.5M", 1, 1500000},
            {"2.50e2", 1, 250},
            {"100e-2", 1, 1},
            {"1.0", 1, 1},
            {"-0", 1, 0},
            {"0e999999", 1, 0},
            {"9223372036854775807", 1, INT64_MAX},
            {"-9223372036854775808", 1, INT64_MIN},
            {"9223372036854775.807k", 1, INT64_MAX},
            {"9223372036854775808", 0, 0},
            {"-9223372036854775809", 0, 0},
            {"18446744073709551617", 0, 0},
            {"1e19", 0, 0},
            {"1e99999999999999999999", 0, 0},
            {"10000000000000000G", 0, 0},
            {"12abc", 0, 0},
            {"", 0, 0},
            {" 1", 0, 0},
            {"1 ", 0, 0},
            {"-", 0, 0},
            {".", 0, 0},
            {"1.5", 0, 0},
            {"1e-1", 0, 0},
            {"1e", 0, 0},
            {"M", 0, 0},
            {"1MM", 0, 0},
            {"1m", 0, 0},
            {"0x10", 0, 0},
            {"--1", 0, 0},
            {"1.2.3", 0, 0},
            {"1_000", 0, 0},
            {"nan", 0, 0}};

Test(str, integers_are_whole_strings_and_exact) {
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        int64_t v = 99;
        int rc = str_to_int(ints[i].text, &v);
        cr_expect_eq(rc, ints[i].ok ? 0 : -1, "\"%s\"", ints[i].text);
        cr_expect_eq(v, ints[i].ok ? ints[i].value : 99, "\"%s\" gave %lld", ints[i].text, (long long)v);
    }
}

Test(str, integers_agree_with_strtoll_on_random_digits) {
    unsigned state = 1;
    for (int i = 0; i < 100000; i++) {
        char text[24];
        int64_t v, w = 0;
        for (int k = 0; k < 3; k++) {
            state = state * 1664525u + 1013904223u;
            w = w * 65536 + (state >> 16);
        }
        if (state & 65536) w = -w;
        snprintf(text, sizeof text, "%lld", (long long)w);
        cr_assert_eq(str_to_int(text, &v), 0);
        cr_assert_eq(v, strtoll(text, NULL, 10));
    }
}

Test(str, numbers_are_whole_strings_and_finite) {
    static const char *const good[] = {"0.1", "-1e-3", ".5", "5.", "1E5", "+2", "4.9e-324"};
    static const char *const bad[] = {"",       " 1",    "1 ",  "12abc", "nan", "NaN", "inf", "-infinity",
                                      "1e9999", "0x1p3", "1,5", "--1",   "1e",  ".",   "e5",  "1.5M"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double v = 99;
        cr_expect_eq(str_to_double(good[i], &v), 0, "\"%s\"", good[i]);
        cr_expect_eq(v, strtod(good[i], NULL));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v = 99;
        cr_expect_eq(str_to_double(bad[i], &v), -1, "\"%s\"", bad[i]);
        cr_expect_eq(v, 99);
    }
}

static int utf8(const char *s, size_t *bad) {
    *bad = 999;
    return str_utf8_valid(s, strlen(s), bad);
}

Test(str, utf8_is_checked_as_in_unicode_table_3_7) {
    size_t bad;
    cr_expect(utf8("", &bad));
    cr_expect(utf8("plain", &bad));
    cr_expect(utf8(
        "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", &bad));
    static const char *const wrong[] = {
        "ab\x80",         "ab\xc0\xaf",         "ab\xc1\xbf",         "ab\xe0\x9f\xbf",
        "ab\xed\xa0\x80", "ab\xf0\x8f\xbf\xbf", "ab\xf4\x90\x80\x80", "ab\xf5\x80\x80\x80",
        "ab\xff",         "ab\xe2\x82",         "ab\xe2\x28\xa1",     "ab\xf0\x9f\x92"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_not(utf8(wrong[i], &bad), "%zu", i);
        cr_expect_eq(bad, 2, "%zu: %zu", i, bad);
    }
    cr_expect_not(str_utf8_valid("\xff", 1, NULL));
}

Test(str, utf8_reads_no_byte_past_the_end) {
    char *p = malloc(2); /* a heap block, so that the sanitizer sees a byte too many */
    p[0] = 'a';
    p[1] = '\xe2';
    size_t bad = 9;
    cr_assert_not(str_utf8_valid(p, 2, &bad));
    cr_assert_eq(bad, 1);
    free(p);
}

Test(str, counts_have_commas) {
    static const struct {
        uint64_t n;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {12345678, "12,345,678"},
                 {UINT64_MAX, "18,446,744,073,709,551,615"}};
    char out[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str_count(out, cases[i].n);
        cr_expect_str_eq(out, cases[i].text);
    }
}

Test(str, durations_round_to_the_unit_that_is_shown) {
    static const struct {
        double s;
        const char *text;
    } cases[] = {{0, "0 ms"},
                 {0.00042, "420 us"},
                 {0.037, "37 ms"},
                 {0.9996, "1.0 s"},
                 {4.2, "4.2 s"},
                 {59.94, "59.9 s"},
                 {59.96, "1 min 00 s"},
                 {185, "3 min 05 s"},
                 {3599.4, "59 min 59 s"},
                 {3599.6, "1 h 00 min"},
                 {3720, "1 h 02 min"},
                 {-1, "?"},
                 {NAN, "?"},
                 {INFINITY, "?"}};
    char out[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        str_duration(out, cases[i].s);
        cr_expect_str_eq(out, cases[i].text);
    }
}

Test(csv, quotes_as_rfc_4180_says) {
    char *text = NULL;
    size_t n = 0;
    struct csv_line l = {.f = open_memstream(&text, &n)};
    csv_text(&l, "plain");
    csv_text(&l, "a,b");
    csv_text(&l, "say \"hi\"");
    csv_text(&l, "two\nlines");
    csv_text(&l, "");
    csv_text(&l, NULL);
    csv_int(&l, -3);
    csv_end(&l);
    csv_int(&l, 1);
    csv_end(&l);
    fclose(l.f);
    cr_assert_str_eq(text, "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",,,-3\n1\n");
    free(text);
}

Test(csv, floats_survive_and_nan_is_an_empty_cell) {
    char *text = NULL;
    size_t n = 0;
    struct csv_line l = {.f = open_memstream(&text, &n)};
    float f = 0.1f, g = 16777215.0f, h = 1.17549435e-38f;
    csv_num(&l, (double)f);
    csv_num(&l, (double)g);
    csv_num(&l, (double)h);
    csv_num(&l, NAN);
    csv_num(&l, 0.5);
    csv_end(&l);
    fclose(l.f);
    float a, b, c;
    cr_assert_eq(sscanf(text, "%f,%f,%f,,", &a, &b, &c), 3, "%s", text);
    cr_assert(a == f && b == g && c == h, "%s", text);
    cr_assert(strstr(text, ",,0.5\n"), "%s", text);
    free(text);
}
