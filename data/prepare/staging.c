#include "data/prepare/staging.h"
#include "base/file.h"
#include "base/progress.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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

static void parent_of(const char *path, char *out, size_t cap) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(out, cap, ".");
    else
        snprintf(out, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Does the process that made `tmp` ("DIR.tmp-<pid>") live? It holds a lock as well, for a folder that hosts share. */
static int is_alive(const char *tmp, const char *pid_text) {
    char *end;
    long pid = strtol(pid_text, &end, 10);
    if (end == pid_text || *end || pid <= 0 || !kill((pid_t)pid, 0) || errno != ESRCH) return 1;
    int fd = open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int alive = fd < 0 || flock(fd, LOCK_EX | LOCK_NB);
    if (fd >= 0) close(fd);
    return alive;
}

/* What killed processes left of this dataset; it may be large. No error: it is in nobody's way. */
static void remove_leftovers(const struct staging *g) {
    char parent[1024], path[2048];
    parent_of(g->dir, parent, sizeof parent);
    const char *slash = strrchr(g->dir, '/'), *base = slash ? slash + 1 : g->dir;
    size_t n = strlen(base);
    DIR *d = opendir(parent);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        if (strncmp(x->d_name, base, n) != 0 || strncmp(x->d_name + n, ".tmp-", 5) != 0) continue;
        if (file_join(path, sizeof path, parent, x->d_name, NULL)) continue;
        if (!is_alive(path, x->d_name + n + 5)) file_remove_tree(path, NULL);
    }
    closedir(d);
}

int staging_begin(struct staging *g, const char *dir, struct err *e) {
    static const char *const folders[] = {"rows", "users", "items", "vocab", "state", "work"};
    *g = (struct staging){.lock = -1};
    struct staging s = {.lock = -1};
    TRY(set_paths(&s, dir, e));
    TRY(check_target(s.dir, e));
    TRY(file_remove_tree(s.tmp, e)); /* left by a killed process that had the same id */
    remove_leftovers(&s);
    *g = s;
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof folders / sizeof *folders; i++) {
        char path[1200];
        rc = file_join(path, sizeof path, g->tmp, folders[i], e);
        if (!rc) rc = file_make_dirs(path, e);
    }
    if (!rc) g->lock = open(g->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!rc && g->lock >= 0) flock(g->lock, LOCK_EX | LOCK_NB); /* some file systems have no locks */
    if (rc) staging_abort(g);
    return rc;
}

static void end(struct staging *g) {
    if (*g->tmp && g->lock >= 0) close(g->lock);
    *g = (struct staging){.lock = -1};
}

void staging_abort(struct staging *g) {
    if (*g->tmp) file_remove_tree(g->tmp, NULL);
    end(g);
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

int staging_commit(struct staging *g, struct err *e) {
    char parent[1024];
    TRY(file_remove_tree(g->work, e));
    TRY(sync_tree(g->tmp, e));
    TRY(swap(g, e));
    parent_of(g->dir, parent, sizeof parent);
    int rc = sync_path(parent, e);
    struct err trouble = ERR_INIT; /* the new dataset is in place: what follows cannot fail it */
    if (file_remove_tree(g->tmp, &trouble)) progress_note("the old dataset is still there: %s", trouble.msg);
    end(g);
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
