#include "base/file.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A rename onto a device, a pipe or a folder would destroy it or fail late. */
static int check_target(const char *path, struct err *e) {
    struct stat st;
    if (stat(path, &st)) return 0; /* nothing there; open() will tell of real trouble */
    if (S_ISREG(st.st_mode)) return 0;
    return err_set(e, ERR_INPUT, "%s: cannot write: it is %s; choose another path", path,
                   S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
}

int file_begin(struct file_out *o, const char *path, struct err *e) {
    *o = (struct file_out){.f = NULL};
    size_t n = strlen(path);
    if (!n) return err_set(e, ERR_INPUT, "cannot write a file with an empty name");
    if (n >= sizeof o->path)
        return err_set(e, ERR_INPUT, "%.60s...: cannot write: the path has %zu bytes, at most %zu work", path,
                       n, sizeof o->path - 1);
    TRY(check_target(path, e));
    memcpy(o->path, path, n + 1);
    snprintf(o->tmp, sizeof o->tmp, "%s.tmp-%ld", path, (long)getpid());
    unlink(o->tmp); /* left by a killed process that had the same id */
    int fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return err_errno(e, path, "create");
    o->f = fdopen(fd, "w");
    if (!o->f) {
        err_errno(e, path, "create");
        close(fd);
        unlink(o->tmp);
        return ERR_INPUT;
    }
    return 0;
}

/* Some file systems cannot sync and say so; that is no failed write. */
static int sync_fd(int fd) {
    int rc;
    do rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc && errno != EINVAL && errno != EROFS && errno != EOPNOTSUPP ? -1 : 0;
}

static int sync_folder_of(const char *path, struct err *e) {
    char folder[sizeof((struct file_out *)0)->path];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder) return err_set(e, ERR_INPUT, "%.60s...: the path is too long", path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (!n) snprintf(folder, sizeof folder, "%s", slash ? "/" : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES ? 0 : err_errno(e, folder, "open the folder");
    int rc = sync_fd(fd) ? err_errno(e, folder, "write the folder") : 0;
    close(fd);
    return rc;
}

int file_commit(struct file_out *o, struct err *e) {
    if (!o->f) return err_set(e, ERR_INPUT, "%s: cannot write: the file is not open", o->path);
    int bad = ferror(o->f);
    errno = 0;
    if (fflush(o->f)) {
        bad = 1;
    } else if (bad) {
        /* an earlier write failed and its errno is gone: ask once more, the file is given up anyway */
        if (write(fileno(o->f), "", 1) >= 0) errno = EIO;
    }
    if (!bad && sync_fd(fileno(o->f))) bad = 1;
    int saved = errno;
    if (fclose(o->f) && !bad) {
        bad = 1;
        saved = errno;
    }
    o->f = NULL;
    errno = saved;
    if (bad || rename(o->tmp, o->path)) {
        err_errno(e, o->path, "write");
        unlink(o->tmp);
        return ERR_INPUT;
    }
    return sync_folder_of(o->path, e);
}

void file_abort(struct file_out *o) {
    if (!o->f) return;
    fclose(o->f);
    o->f = NULL;
    unlink(o->tmp);
}

int file_write_text(const char *path, const char *text, size_t n, struct err *e) {
    struct file_out o;
    TRY(file_begin(&o, path, e));
    if (n) fwrite(text, 1, n, o.f); /* file_commit() looks at ferror() */
    return file_commit(&o, e);
}

int file_write_json(const char *path, const json_t *j, struct err *e) {
    if (!j) return err_set(e, ERR_INPUT, "%s: cannot write: out of memory while the JSON was made", path);
    struct file_out o;
    TRY(file_begin(&o, path, e));
    if (json_dumpf(j, o.f, JSON_INDENT(2) | JSON_ENCODE_ANY) && !ferror(o.f)) {
        file_abort(&o);
        return err_set(e, ERR_INPUT, "%s: cannot write: the JSON cannot be encoded (out of memory?)", path);
    }
    putc('\n', o.f);
    return file_commit(&o, e);
}

int file_read_json(const char *path, json_t **out, struct err *e) {
    *out = NULL;
    char *text;
    size_t n;
    TRY(file_read_text(path, &text, &n, e));
    json_error_t why;
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    mem_free(text);
    if (*out) return 0;
    if (json_error_code(&why) == json_error_out_of_memory) return err_nomem(e, n);
    return err_set(e, ERR_INPUT, "%s:%d:%d: not valid JSON: %s", path, why.line, why.column, why.text);
}

static int open_read(const char *path, struct stat *st, int *fd, struct err *e) {
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return err_errno(e, path, "open");
    if (fstat(*fd, st)) {
        err_errno(e, path, "read");
        close(*fd);
        return ERR_INPUT;
    }
    if (S_ISDIR(st->st_mode)) {
        close(*fd);
        return err_set(e, ERR_INPUT, "%s: cannot read: it is a folder, a file is needed", path);
    }
    return 0;
}

static ssize_t read_some(int fd, void *p, size_t n) {
    ssize_t got;
    do got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

int file_read_text(const char *path, char **out, size_t *n, struct err *e) {
    *out = NULL;
    *n = 0;
    struct stat st;
    int fd;
    TRY(open_read(path, &st, &fd, e));
    /* the size is only a hint: a pipe has none, and a file may be growing */
    size_t cap = (st.st_size > 0 ? (size_t)st.st_size : 4096) + 2, len = 0;
    char *p = mem_alloc(cap);
    int rc = p ? 0 : err_nomem(e, cap);
    while (!rc) {
        if (len + 1 == cap) {
            char *q = mem_realloc(p, len, cap * 2);
            if (!q) {
                rc = err_nomem(e, cap * 2ULL);
                break;
            }
            p = q;
            cap *= 2;
        }
        ssize_t got = read_some(fd, p + len, cap - len - 1);
        if (got < 0) rc = err_errno(e, path, "read");
        if (got <= 0) break;
        len += (size_t)got;
    }
    close(fd);
    if (rc) {
        mem_free(p);
        return rc;
    }
    p[len] = '\0';
    *out = p;
    *n = len;
    return 0;
}

int file_map_read(const char *path, struct file_map *m, struct err *e) {
    *m = (struct file_map){NULL, 0};
    struct stat st;
    int fd, rc = 0;
    TRY(open_read(path, &st, &fd, e));
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(e, ERR_INPUT, "%s: cannot map: it is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = err_errno(e, path, "map");
        else
            *m = (struct file_map){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

/* Space for the whole file, so that a full disk shows here. 0, or -1 with errno set. */
static int reserve(int fd, size_t bytes) {
    if (bytes > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    if (!bytes) return 0;
    int rc;
    do rc = posix_fallocate(fd, 0, (off_t)bytes);
    while (rc == EINTR);
    if (rc == EOPNOTSUPP || rc == EINVAL) return ftruncate(fd, (off_t)bytes);
    errno = rc;
    return rc ? -1 : 0;
}

int file_map_create(const char *path, size_t bytes, struct file_map *m, struct err *e) {
    *m = (struct file_map){NULL, 0};
    TRY(check_target(path, e));
    unlink(path); /* a new file: whoever still maps the old one keeps it */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return err_errno(e, path, "create");
    int rc = reserve(fd, bytes) ? err_errno(e, path, "reserve space") : 0;
    if (!rc && bytes) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            rc = err_errno(e, path, "map");
        else
            *m = (struct file_map){p, bytes};
    }
    close(fd);
    if (rc) unlink(path);
    return rc;
}

void file_unmap(struct file_map *m) {
    if (m->p) munmap(m->p, m->bytes);
    *m = (struct file_map){NULL, 0};
}
