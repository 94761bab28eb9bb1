#include "data/prepare/staging.h"
#include "base/file.h"
#include "base/progress.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_empty(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return 0;
    int n = 0;
    while (n < 3 && readdir(d)) n++;
    closedir(d);
    return n < 3;
}

static int check_target(const char *dir, struct err *e) {
    struct stat st;
    char json[1060];
    if (stat(dir, &st)) return 0;
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "%s: cannot put a dataset here: it is a file; choose another path", dir);
    TRY(file_join(json, sizeof json, dir, "dataset.json", e));
    if (file_exists(json) || is_empty(dir)) return 0;
    return err_set(e, ERR_INPUT,
                   "%s: cannot put a dataset here: the folder holds other things; choose another path", dir);
}

static int set_paths(struct staging *g, const char *dir, struct err *e) {
    char *real =
        file_exists(dir) ? realpath(dir, NULL) : NULL; /* a link stays a link, what it names is replaced */
    int rc = file_join(g->dir, sizeof g->dir, "", real ? real : dir, e);
    free(real);
    TRY(rc);
    size_t n = strlen(g->dir);
    while (n > 1 && g->dir[n - 1] == '/') g->dir[--n] = '\0';
    if (!n || !strcmp(g->dir, "/"))
        return err_set(e, ERR_INPUT, "\"%s\": cannot put a dataset here; name a folder", dir);
    snprintf(g->tmp, sizeof g->tmp, "%s.tmp-%ld", g->dir, (long)getpid());
    return file_join(g->work, sizeof g->work, g->tmp, "work", e);
}

int staging_begin(struct staging *g, const char *dir, struct err *e) {
    static const char *const folders[] = {"rows", "users", "items", "vocab", "state", "work"};
    *g = (struct staging){.dir = ""};
    struct staging s;
    TRY(set_paths(&s, dir, e));
    TRY(check_target(s.dir, e));
    TRY(file_remove_tree(s.tmp, e)); /* left by a killed process that had the same id */
    *g = s;
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof folders / sizeof *folders; i++) {
        char path[1200];
        rc = file_join(path, sizeof path, g->tmp, folders[i], e);
        if (!rc) rc = file_make_dirs(path, e);
    }
    if (rc) staging_abort(g);
    return rc;
}

void staging_abort(struct staging *g) {
    if (*g->tmp) file_remove_tree(g->tmp, NULL);
    *g = (struct staging){.dir = ""};
}

static int sync_path(const char *path, struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(e, path, "open");
    int rc;
    do rc = fsync(fd);
    while (rc && errno == EINTR);
    if (rc && errno != EINVAL && errno != EROFS &&
        errno != EOPNOTSUPP) /* some file systems cannot and say so */
        rc = err_errno(e, path, "write");
    else
        rc = 0;
    close(fd);
    return rc;
}

static int sync_tree(const char *path, struct err *e) {
    DIR *d = opendir(path);
    if (!d) return errno == ENOTDIR ? sync_path(path, e) : err_errno(e, path, "open");
    int rc = 0;
    for (struct dirent *x; !rc && (x = readdir(d));) {
        char child[1400];
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..")) continue;
        rc = file_join(child, sizeof child, path, x->d_name, e);
        if (!rc) rc = sync_tree(child, e);
        if (!rc && interrupt_seen()) rc = err_set(e, ERR_INTERRUPTED, "interrupted");
    }
    closedir(d);
    return rc ? rc : sync_path(path, e);
}

/* Where the system cannot exchange two names, the old directory steps aside for a moment. */
static int swap_slowly(struct staging *g, struct err *e) {
    char old[1100];
    snprintf(old, sizeof old, "%s.old-%ld", g->dir, (long)getpid());
    if (rename(g->dir, old)) return err_errno(e, g->dir, "replace");
    if (rename(g->tmp, g->dir)) {
        err_errno(e, g->dir, "replace");
        if (rename(old, g->dir)) progress_note("the old dataset is now in %s", old);
        return ERR_INPUT;
    }
    return rename(old, g->tmp) ? err_errno(e, old, "remove") : 0;
}

static int swap(struct staging *g, struct err *e) {
    if (!file_exists(g->dir)) return rename(g->tmp, g->dir) ? err_errno(e, g->dir, "create") : 0;
    if (!renameat2(AT_FDCWD, g->tmp, AT_FDCWD, g->dir, RENAME_EXCHANGE)) return 0;
    return swap_slowly(g, e);
}

static void parent_of(const char *path, char *out, size_t cap) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(out, cap, ".");
    else
        snprintf(out, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int staging_commit(struct staging *g, struct err *e) {
    char parent[1024];
    TRY(file_remove_tree(g->work, e));
    TRY(sync_tree(g->tmp, e));
    TRY(swap(g, e));
    parent_of(g->dir, parent, sizeof parent);
    int rc = sync_path(parent, e);
    struct err trouble = ERR_INIT; /* the new dataset is in place: what follows cannot fail it */
    if (file_remove_tree(g->tmp, &trouble)) progress_note("the old dataset is still there: %s", trouble.msg);
    *g = (struct staging){.dir = ""};
    return rc;
}

static int array_path(char *out, size_t cap, const char *dir, const char *folder, const char *name,
                      const char *suffix, struct err *e) {
    char file[256];
    if ((size_t)snprintf(file, sizeof file, "%s/%s%s.npy", folder, name, suffix) >= sizeof file)
        return err_set(e, ERR_INPUT, "the name `%.60s...` is too long for a file", name);
    return file_join(out, cap, dir, file, e);
}

int staging_array(const char *dir, const char *folder, const char *name, const char *suffix,
                  enum npy_type type, uint64_t n, struct npy *out, struct err *e) {
    char path[1400];
    TRY(array_path(path, sizeof path, dir, folder, name, suffix, e));
    return npy_create(path, type, n, out, e);
}

int staging_reopen(const char *dir, const char *folder, const char *name, const char *suffix,
                   enum npy_type type, struct npy *out, struct err *e) {
    char path[1400];
    TRY(array_path(path, sizeof path, dir, folder, name, suffix, e));
    return npy_open(path, type, out, e);
}
