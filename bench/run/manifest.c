#include "bench/run/manifest.h"
#include "base/progress.h"
#include "bench/commands.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- who wrote this folder ---- */

static const char *const own_folders[] = {"tuning",      "teachers", "importance", "runs",
                                          "predictions", "models",   "plots",      "stores"};
/* one a line */
/* clang-format off */
static const char *const own_files[] = {
    "effect.csv",     "curves.csv",      "compute.csv",      "latency.csv",     "tradeoff.csv",
    "importance.csv", "fields.csv",      "subsets.csv",      "selection.csv",   "retrieval.csv",
    "slices.csv",     "calibration.csv", "instructions.csv", "differences.csv", "precision.csv",
    "cascade.csv",    "ladder.csv",      "tables.csv",      "tuning.csv",       "chosen.json",     "report.html"};
/* clang-format on */

static int list_names(const char *dir, int (*each)(const char *dir, const char *name, struct err *e), int *n,
                      struct err *e) {
    DIR *d = opendir(dir);
    if (!d) return err_errno(e, dir, "read the folder");
    const struct dirent *entry;
    int rc = 0;
    *n = 0;
    while (!rc && (entry = readdir(d))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        ++*n;
        if (each) rc = each(dir, entry->d_name, e);
    }
    closedir(d);
    return rc;
}

/* What a killed run left half written, in the folder itself and those below it. */
static int remove_temporary(const char *dir, const char *name, struct err *e) {
    char path[1024];
    struct stat st;
    int n;
    TRY(file_join(path, sizeof path, dir, name, e));
    if (strstr(name, ".tmp-")) return file_remove_tree(path, e);
    return !lstat(path, &st) && S_ISDIR(st.st_mode) ? list_names(path, remove_temporary, &n, e) : 0;
}

static bool is_own_folder(const char *name) {
    bool own = false;
    for (size_t i = 0; i < sizeof own_folders / sizeof *own_folders; i++)
        own |= !strcmp(name, own_folders[i]);
    return own;
}

static int clear_temporary(const char *dir, const char *name, struct err *e) {
    return is_own_folder(name) || strstr(name, ".tmp-") ? remove_temporary(dir, name, e) : 0;
}

static int clear_results(const char *dir, struct err *e) {
    char path[1024];
    for (size_t i = 0; i < sizeof own_folders / sizeof *own_folders; i++) {
        TRY(file_join(path, sizeof path, dir, own_folders[i], e));
        TRY(file_remove_tree(path, e));
    }
    for (size_t i = 0; i < sizeof own_files / sizeof *own_files; i++) {
        TRY(file_join(path, sizeof path, dir, own_files[i], e));
        TRY(file_remove_tree(path, e));
    }
    return 0;
}

static bool same_text(const json_t *a, const json_t *b, const char *key) {
    const char *x = json_string_value(json_object_get(a, key)),
               *y = json_string_value(json_object_get(b, key));
    return x && y && !strcmp(x, y);
}

static int refuse(const char *dir, const json_t *there, const json_t *here, struct err *e) {
    static const char cure[] = "choose another folder with --out, or remove this one";
    if (!same_text(there, here, "data_hash"))
        return err_set(e, ERR_INPUT, "%s holds results of other data (hash %s there, %s here); %s", dir,
                       json_string_value(json_object_get(there, "data_hash")),
                       json_string_value(json_object_get(here, "data_hash")), cure);
    char why[400];
    static const char *const parts[] = {"variants", "features", "seeds", "tune"};
    json_t *a = json_object(), *b = json_object();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_object_set(a, parts[i], json_object_get(json_object_get(there, "config"), parts[i]));
        json_object_set(b, parts[i], json_object_get(json_object_get(here, "config"), parts[i]));
    }
    json_difference(a, b, why, sizeof why);
    json_decref(a);
    json_decref(b);
    return err_set(e, ERR_INPUT, "%s holds results of another experiment (%s); %s", dir, why, cure);
}

/* The folder is locked; is it ours? */
static int take_folder(struct manifest *m, bool resume, struct err *e) {
    char path[1024];
    int n = 0;
    TRY(list_names(m->dir, clear_temporary, &n, e));
    TRY(list_names(m->dir, NULL, &n, e));
    if (!n) return 0;
    TRY(file_join(path, sizeof path, m->dir, "manifest.json", e));
    if (!file_exists(path))
        return err_set(
            e, ERR_INPUT,
            "%s is not empty and holds no manifest.json of prerank; choose another folder with --out",
            m->dir);
    json_t *there;
    TRY(file_read_json(path, &there, e));
    bool same = same_text(there, m->j, "train_hash") && same_text(there, m->j, "data_hash");
    int rc = same ? 0 : refuse(m->dir, there, m->j, e);
    if (!rc && resume && !same_text(there, m->j, "program_hash"))
        rc = manifest_set(m, "program_hash", json_string("several"), e);
    json_decref(there);
    if (rc || resume) return rc;
    return clear_results(m->dir, e);
}

static int lock_folder(struct manifest *m, struct err *e) {
    TRY(file_make_dirs(m->dir, e));
    m->lock = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (m->lock < 0) return err_errno(e, m->dir, "open the folder");
    if (flock(m->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return err_set(e, ERR_INPUT, "%s: another prerank is writing here; wait for it, or choose --out",
                       m->dir);
    return 0;
}

/* ---- contents ---- */

int manifest_set(struct manifest *m, const char *key, json_t *value, struct err *e) {
    return json_object_set_new(m->j, key, value) ? err_nomem(e, 0) : 0;
}

void time_text(char out[32]) {
    time_t t = time(NULL);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm)) snprintf(out, 32, "unknown");
}

static json_t *data_json(const struct experiment *x, const struct dataset *ds) {
    json_t *splits = json_object();
    for (int s = 0; s < SPLIT_COUNT; s++)
        json_object_set_new(splits, split_name((enum split)s),
                            json_integer((json_int_t)(ds->split[s].end - ds->split[s].begin)));
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:i}", "name", ds->name, "schema", x->data_path,
                     "dir", x->o.data_dir, "rows", (json_int_t)ds->n_rows, "split_rows", splits, "users",
                     (json_int_t)ds->n_users, "items", (json_int_t)ds->n_items, "fields", ds->n_fields);
}

static int describe(struct manifest *m, const struct experiment *x, const struct dataset *ds, struct err *e) {
    json_t *config = experiment_json(x), *train = experiment_train_json(x);
    struct hash config_hash, train_hash;
    int rc = config && train ? 0 : err_nomem(e, 0);
    if (!rc) rc = json_hash(config, &config_hash, e);
    if (!rc) rc = json_hash(train, &train_hash, e);
    json_decref(train);
    if (rc) {
        json_decref(config);
        return rc;
    }
    char revision[80], started[32];
    struct hash program = {""};
    hash_file("/proc/self/exe", &program, NULL);
    program_revision(revision, sizeof revision);
    time_text(started);
    m->j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:s, s:s, s:s, s:o, s:s, s:o}", "experiment",
                     x->o.name, "version", PRERANK_VERSION, "revision", revision, "program_hash", program.hex,
                     "status", "running", "seconds", "started", started, "config_hash", config_hash.hex,
                     "train_hash", train_hash.hex, "written_hash", x->written.hex, "config", config,
                     "data_hash", ds->hash, "data", data_json(x, ds));
    return m->j ? 0 : err_nomem(e, 0);
}

int manifest_open(const char *dir, const struct experiment *x, const struct dataset *ds, bool resume,
                  struct manifest *out, struct err *e) {
    *out = (struct manifest){.dir = dir, .lock = -1, .start_s = clock_seconds()};
    int rc = describe(out, x, ds, e);
    if (!rc) rc = lock_folder(out, e);
    if (!rc) rc = take_folder(out, resume, e);
    if (rc) manifest_close(out);
    return rc;
}

int manifest_write(struct manifest *m, const char *status, struct err *e) {
    char path[1024];
    TRY(file_join(path, sizeof path, m->dir, "manifest.json", e));
    TRY(manifest_set(m, "status", json_string(status), e));
    TRY(manifest_set(m, "seconds", json_real(clock_seconds() - m->start_s), e));
    return file_write_json(path, m->j, e);
}

void manifest_close(struct manifest *m) {
    json_decref(m->j);
    if (m->lock >= 0) close(m->lock);
    *m = (struct manifest){.lock = -1};
}

/* ---- differences ---- */

static bool differ(json_t *there, json_t *here, const char *path, char *out, size_t cap) {
    char next[300];
    if (json_is_object(there) && json_is_object(here)) {
        json_t *both[] = {there, here};
        for (int k = 0; k < 2; k++) {
            const char *key;
            json_t *value;
            json_object_foreach(both[k], key, value) {
                snprintf(next, sizeof next, "%.200s%s%.64s", path, *path ? "." : "", key);
                if (differ(json_object_get(there, key), json_object_get(here, key), next, out, cap))
                    return true;
            }
        }
        return false;
    }
    if (json_is_array(there) && json_is_array(here) && json_array_size(there) == json_array_size(here)) {
        for (size_t i = 0; i < json_array_size(there); i++) {
            snprintf(next, sizeof next, "%.200s.%zu", path, i);
            if (differ(json_array_get(there, i), json_array_get(here, i), next, out, cap)) return true;
        }
        return false;
    }
    if (json_equal(there, here)) return false;
    char *a = there ? json_dumps(there, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    char *b = here ? json_dumps(here, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    snprintf(out, cap, "%.150s is %.80s there and %.80s here", path, a ? a : "missing", b ? b : "missing");
    free(a);
    free(b);
    return true;
}

void json_difference(json_t *there, json_t *here, char *out, size_t cap) {
    if (!differ(there, here, "", out, cap)) snprintf(out, cap, "its options are called otherwise");
}

/* ---- git ---- */

static void run_git(const char *dir, int to) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDERR_FILENO);
    dup2(to, STDOUT_FILENO);
    execlp("git", "git", "-C", dir, "describe", "--always", "--dirty", "--abbrev=12", (char *)NULL);
    _exit(127);
}

void program_revision(char *out, size_t cap) {
    char dir[1024];
    int ends[2];
    snprintf(out, cap, "unknown");
    ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
    if (n <= 0 || pipe(ends)) return;
    dir[n] = '\0';
    char *slash = strrchr(dir, '/');
    if (slash) *slash = '\0';
    pid_t child = fork();
    if (!child) run_git(dir, ends[1]);
    close(ends[1]);
    char text[80] = "";
    n = child < 0 ? -1 : read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status = -1;
    if (child > 0 && waitpid(child, &status, 0) != child) status = -1;
    if (status || n <= 0) return;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    snprintf(out, cap, "%s", text);
}
