/* prerank data SCHEMA: logs -> columnar dataset, and its summary on stdout. */
#include "base/progress.h"
#include "bench/args.h"
#include "bench/commands.h"
#include "data/dataset.h"
#include "data/prepare.h"
#include "data/schema.h"

static int prepare_and_show(const struct schema *s, const char *out, struct err *e) {
    char dir[1024];
    TRY(out ? file_join(dir, sizeof dir, "", out, e)
            : file_join(dir, sizeof dir, "results/data", s->name, e));
    TRY(prepare_dataset(s, dir, e));
    struct dataset ds;
    TRY(dataset_open(dir, &ds, e));
    int rc = dataset_summary(&ds, stdout, e);
    dataset_close(&ds);
    return rc;
}

int cmd_data(int argc, char **argv, struct err *e) {
    const char *out = NULL, *path = NULL;
    bool quiet = false;
    const struct arg args[] = {{"out", &out, NULL, NULL}, {"quiet", NULL, &quiet, NULL}, ARGS_END};
    TRY(args_parse(argc, argv, args, "a schema such as configs/data/movielens.yaml", &path, e));
    progress_set_quiet(quiet);
    interrupt_install();
    struct schema s;
    TRY(schema_load(path, &s, e));
    int rc = prepare_and_show(&s, out, e);
    schema_release(&s);
    return rc;
}
