/* file.h's folders, paths and hashes. */
#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH_CAP = 4096, DEPTH_MAX = 256 };

int file_make_dirs(const char *path, struct err *e) {
    char part[PATH_CAP];
    size_t n = strlen(path);
    if (!n) return err_set(e, ERR_INPUT, "cannot create a folder with an empty name");
    if (n >= sizeof part) return err_set(e, ERR_INPUT, "%.60s...: cannot create: the path is too long", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (!mkdir(part, 0777)) continue;
        int saved = errno;
        struct stat st;
        if (!stat(part, &st)) { /* it is there: some systems answer EROFS or EACCES before EEXIST */
            if (S_ISDIR(st.st_mode)) continue;
            return err_set(e, ERR_INPUT, "%s: cannot create the folder: %s is a file", path, part);
        }
        errno = saved;
        return err_errno(e, part, "create the folder");
    }
    return 0;
}

/* Removes `name` inside the open folder `at`. 0, or -1 with errno set. */
static int remove_at(int at, const char *name, int depth) {
    if (!unlinkat(at, name, 0) || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    if (depth > DEPTH_MAX) {
        errno = ELOOP;
        return -1;
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    DIR *d = fdopendir(fd);
    if (!d) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    int rc = 0;
    for (struct dirent *x; !rc && (errno = 0, x = readdir(d));)
        if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
            rc = remove_at(dirfd(d), x->d_name, depth + 1);
    int saved = errno;
    closedir(d);
    errno = saved;
    if (rc || saved) return -1;
    return unlinkat(at, name, AT_REMOVEDIR) && errno != ENOENT ? -1 : 0;
}

int file_remove_tree(const char *path, struct err *e) {
    size_t n = strlen(path);
    while (n && path[n - 1] == '/') n--;
    if (!n) return err_set(e, ERR_INPUT, "\"%s\": will not be removed; name a folder below it", path);
    char trimmed[PATH_CAP]; /* unlink("link/") would look behind the link */
    if (n >= sizeof trimmed)
        return err_set(e, ERR_INPUT, "%.60s...: cannot remove: the path is too long", path);
    memcpy(trimmed, path, n);
    trimmed[n] = '\0';
    return remove_at(AT_FDCWD, trimmed, 0) ? err_errno(e, path, "remove") : 0;
}

int file_exists(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

int64_t file_size(const char *path) {
    struct stat st;
    return stat(path, &st) || !S_ISREG(st.st_mode) ? -1 : (int64_t)st.st_size;
}

int file_join(char *out, size_t cap, const char *a, const char *b, struct err *e) {
    size_t na = strlen(a), nb = strlen(b);
    if (b[0] == '/') na = 0;
    int slash = na && nb && a[na - 1] != '/';
    size_t need = na + (size_t)slash + nb + 1;
    if (need > cap)
        return err_set(e, ERR_INPUT, "%.60s/%.60s: the path has %zu bytes, at most %zu work", a, b, need - 1,
                       cap ? cap - 1 : 0);
    memmove(out, a, na); /* out may be a */
    if (slash) out[na] = '/';
    memmove(out + na + slash, b, nb);
    out[need - 1] = '\0';
    return 0;
}

static struct hash hex_of(XXH128_hash_t h) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, h);
    struct hash out;
    for (size_t i = 0; i < sizeof c.digest; i++) {
        out.hex[2 * i] = "0123456789abcdef"[c.digest[i] >> 4];
        out.hex[2 * i + 1] = "0123456789abcdef"[c.digest[i] & 15];
    }
    out.hex[32] = '\0';
    return out;
}

struct hash hash_bytes(const void *p, size_t n) {
    return hex_of(XXH3_128bits(p, n));
}

int hash_file(const char *path, struct hash *out, struct err *e) {
    enum { CHUNK = 1 << 18 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_errno(e, path, "open");
    XXH3_state_t *state = XXH3_createState();
    char *buf = mem_alloc(CHUNK);
    int rc = state && buf ? 0 : err_nomem(e, CHUNK);
    if (!rc) XXH3_128bits_reset(state);
    while (!rc) {
        ssize_t got = read(fd, buf, CHUNK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) rc = err_errno(e, path, "read");
        if (got <= 0) break;
        XXH3_128bits_update(state, buf, (size_t)got);
    }
    if (!rc) *out = hex_of(XXH3_128bits_digest(state));
    mem_free(buf);
    XXH3_freeState(state);
    close(fd);
    return rc;
}
