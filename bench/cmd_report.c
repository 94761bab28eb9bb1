/* prerank report RESULTS [--no-plots]: everything that can be made again from what a run wrote. */
#include "bench/args.h"
#include "bench/commands.h"
#include "bench/report/report.h"

int cmd_report(int argc, char **argv, struct err *e) {
    bool no_plots = false;
    const char *dir = NULL;
    const struct arg args[] = {{"no-plots", NULL, &no_plots, NULL}, ARGS_END};
    TRY(args_parse(argc, argv, args, "a results folder", &dir, e));
    TRY(no_plots ? report_write_plain(dir, e) : report_write(dir, e));
    TRY(report_table(dir, stdout, e));
    fprintf(stderr, "%s/report.html\n", dir);
    return 0;
}
