/* The result files seen from outside: other programs read them, docs/results.md describes them, NumPy agrees with them. */
#include "base/file.h"
#include "bench/results.h"
#include "tests/bench/results.h"
#include "tests/bench/scratch.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scratch s;
static void setup(void) { scratch_make(&s); }
static void teardown(void) { scratch_remove(&s); }
TestSuite(files, .init = setup, .fini = teardown);

static int python(const char *format) {
    char command[1024];
    snprintf(command, sizeof command, format, s.dir, s.dir);
    return system(command);
}

/* Each of two seeds, as trained and as served, in slices and as a difference. */
Test(files, gauc_weighs_users_by_what_it_is_told) {
    static const char *const weights[] = {"exposures", "positives", "users"};
    double value[3];
    for (int w = 0; w < 3; w++) {
        char plan[300];
        snprintf(plan, sizeof plan,
                 "variants: [dssm: {dim: 4, hidden: [8]}, mlp: {dim: 4, hidden: [8]}]\ntrain: {epochs: 2}\n"
                 "gauc_weight: %s\nmeasure: {candidates: [], precision: [fp32, bf16]}\n",
                 weights[w]);
        scratch_write(&s, "small.yaml", small_experiment(&s, 3000, plan));
        struct ran r = prerank(&s, "run %s/small.yaml --out %s/out%d --quiet", s.dir, s.dir, w);
        cr_assert_eq(r.status, 0, "%s", r.err);
        char name[64], check[160];
        snprintf(check, sizeof check, "/usr/bin/python3 tests/bench/check_predictions.py %%s/out%d", w);
        cr_expect_eq(python(check), 0, "%s", weights[w]);
        snprintf(check, sizeof check, "/usr/bin/python3 tests/bench/check_slices.py %%s/out%d %%s/data", w);
        cr_expect_eq(python(check), 0, "%s", weights[w]);
        snprintf(name, sizeof name, "out%d/effect.csv", w);
        double dssm = atof(cell(&s, scratch_read(&s, name), "variant=dssm,split=test", "gauc")),
               mlp = atof(cell(&s, scratch_read(&s, name), "variant=mlp,split=test", "gauc"));
        snprintf(name, sizeof name, "out%d/differences.csv", w);
        cr_expect_float_eq(atof(cell(&s, scratch_read(&s, name), "variant=mlp", "difference")), mlp - dssm,
                           1e-7, "%s", weights[w]);
        value[w] = dssm;
        r = prerank(&s, "compare %s/out0 %s/out%d", s.dir, s.dir, w);
        cr_expect(w ? r.status == 2 && strstr(r.err, "gauc_weight") : r.status == 0, "%s: exit %d, %s",
                  weights[w], r.status, r.err);
    }
    cr_expect(value[0] != value[1] && value[1] != value[2] && value[0] != value[2]);
}

static void run_small(void) {
    scratch_write(&s, "small.yaml",
                  small_experiment(
                      &s, 3000,
                      "variants: [dssm: {dim: 4, hidden: [8]}, mlp: {dim: 4, hidden: [8]}]\nseeds: [1, 2]\n"
                      "train: {epochs: 2}\nmeasure: {candidates: [30], requests: 400, min_seconds: 0}\n"));
    struct ran r = prerank(&s, "run %s/small.yaml --out %s/out --quiet", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
}

Test(files, slices_and_calibration_equal_numpy_and_scikit_learn) {
    run_small();
    cr_expect_eq(python("/usr/bin/python3 tests/bench/check_slices.py %s/out %s/data"), 0);
}

/* Exit code 77: the reader is not installed. */
static void reads(const char *what, const char *format) {
    int status = python(format) >> 8;
    if (status == 77)
        cr_skip_test("skipped: %s is not installed", what);
    else
        cr_expect_eq(status, 0, "%s", what);
}

Test(files, every_table_loads_with_one_line_of_pandas) {
    run_small();
    reads("pandas (Debian: python3-pandas)",
          "/usr/bin/python3 -c 'import importlib.util as u, sys; u.find_spec(\"pandas\") or sys.exit(77)\n"
          "import glob\nimport pandas as pd\n"
          "n = 0\n"
          "for path in glob.glob(\"%s/out/*.csv\") + glob.glob(\"%s/out/predictions/*.csv\"):\n"
          "    t = pd.read_csv(path)\n"
          "    n += 1\n"
          "    assert list(t.columns) == open(path).readline().strip().split(\",\"), path\n"
          "    assert not isinstance(t.index, pd.MultiIndex), path\n"
          "    assert len(t) or path.endswith((\"cascade.csv\", \"differences.csv\")), path\n"
          "    for c in t.columns:\n"
          "        number = c.startswith((\"gauc\", \"p50\", \"p99\", \"qps\", \"score\", \"rt_us\"))\n"
          "        assert not number or t[c].dtype.kind in \"fi\", (path, c, t[c].dtype)\n"
          "assert n >= 9, n'");
}

Test(files, every_table_loads_with_one_line_of_r) {
    run_small();
    reads("R (Debian: r-base-core)",
          "command -v Rscript >/dev/null || exit 77; Rscript -e 'files <- c(Sys.glob(\"%s/out/*.csv\"), "
          "Sys.glob(\"%s/out/predictions/*.csv\")); stopifnot(length(files) >= 9); for (f in files) { t <- "
          "read.csv(f); "
          "stopifnot(identical(names(t), strsplit(readLines(f, 1), \",\")[[1]])); if (\"gauc\" %%in%% "
          "names(t)) "
          "stopifnot(is.numeric(t$gauc)) }'");
}

/* "`col`" or "| col |" or ", col," in docs/results.md: as a word of its own. */
static bool is_word(const char *text, const char *word, size_t n) {
    for (const char *p = text; (p = strstr(p, word)); p++) {
        const char after = p[n];
        bool begins = p == text || strchr(" |`,(\n", p[-1]), ends = strchr(" |`,):;.\n", after) && after;
        if (begins && ends) return true;
    }
    return false;
}

Test(files, every_column_is_documented) {
    char *header, *docs, *line;
    size_t n;
    int columns = 0;
    struct err e = ERR_INIT;
    cr_assert_eq(file_read_text("bench/results.h", &header, &n, &e), 0, "%s", e.msg);
    cr_assert_eq(file_read_text("docs/results.md", &docs, &n, &e), 0, "%s", e.msg);
    for (line = strstr(header, "#define RESULTS_"); line; line = strstr(line + 1, "#define RESULTS_")) {
        char all[4096] = "";
        const char *end = strstr(line, "\n#"), *stop = strstr(line, "\n/*");
        if (stop && stop < end) end = stop;
        bool inside = false;
        size_t m = 0;
        for (const char *p = line; p < end && m < sizeof all - 1; p++) {
            if (*p == '"')
                inside = !inside;
            else if (inside)
                all[m++] = *p;
        }
        all[m] = '\0';
        for (char *c = strtok(all, ","); c; c = strtok(NULL, ","), columns++)
            cr_expect(is_word(docs, c, strlen(c)), "docs/results.md does not say what %s is (%.40s)", c,
                      line + 8);
    }
    cr_expect_gt(columns, 100, "%d", columns);
    mem_free(header);
    mem_free(docs);
}

/* Opens a page; the last line of the check says how many looks passed, or why there is no browser. */
static void expect_sound_page(const char *page) {
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("skipped: the browser has no sanitizer, and the page is the one that `make test` looks at");
#endif
    char command[512], line[4096], last[4096] = "";
    snprintf(command, sizeof command, "tests/bench/report_browser.sh %s/%s 2>&1", s.dir, page);
    FILE *p = popen(command, "r");
    cr_assert(p);
    while (fgets(line, sizeof line, p)) {
        fprintf(stderr, "%s", line);
        snprintf(last, sizeof last, "%s", line);
    }
    int status = pclose(p);
    if (!strncmp(last, "skipped", 7)) cr_skip_test("%s", last);
    cr_expect_eq(status, 0, "%s", last);
}

Test(files, the_page_in_a_browser) {
    results_fixture(&s);
    struct ran r = prerank(&s, "report %s", s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    expect_sound_page("report.html");
}

/* Everything that a run can write, with names as long as they may be. */
Test(files, every_file_picture_and_column_is_documented_and_the_whole_page_is_sound_in_a_browser,
     .timeout = 300) {
    struct ran r =
        prerank(&s, "run tests/bench/page.yaml --out %s/out --set data_dir=%s/data --quiet", s.dir, s.dir);
    cr_assert_eq(r.status, 0, "%s", r.err);
    cr_expect_eq(python("/usr/bin/python3 tests/bench/check_documented.py %s/out"), 0);
    cr_expect_eq(python("/usr/bin/python3 tests/bench/check_report.py %s/out"), 0, "series look alike");
    expect_sound_page("out/report.html");
}
