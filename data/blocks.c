#include "data/blocks.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW = 64 << 10 };
enum format { PLAIN, GZIP, ZSTD };

struct blocks {
    char path[1024];
    int fd;
    enum format format;
    uint64_t done, total;
    unsigned char *raw; /* what was read and not yet used: raw[at .. n) */
    size_t at, n;
    bool end;  /* of the file */
    bool open; /* inside a gzip member or zstd frame */
    z_stream gz;
    ZSTD_DStream *zstd;
};

/* *got = 0 at the end of the file. */
static int read_file(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e) {
    ssize_t n;
    do n = read(b->fd, out, cap);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_errno(e, b->path, "read");
    *got = (size_t)n;
    b->done += (uint64_t)n;
    if (!n) b->end = true;
    return 0;
}

/* Makes raw[] hold at least `want` bytes, unless the file ends before. */
static int fill(struct blocks *b, size_t want, struct err *e) {
    if (b->at) memmove(b->raw, b->raw + b->at, b->n - b->at);
    b->n -= b->at;
    b->at = 0;
    while (b->n < want && !b->end) {
        size_t got = 0;
        TRY(read_file(b, b->raw + b->n, RAW - b->n, &got, e));
        b->n += got;
    }
    return 0;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static bool is_gzip(const unsigned char *p, size_t n) { return n >= 2 && p[0] == 0x1f && p[1] == 0x8b; }

static bool is_zstd(const unsigned char *p, size_t n) {
    if (n < 4) return false;
    if (!memcmp(p, "\x28\xb5\x2f\xfd", 4)) return true;
    return (p[0] & 0xf0) == 0x50 && !memcmp(p + 1, "\x2a\x4d\x18", 3); /* a skippable frame */
}

static void *gz_alloc(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return mem_calloc(count, size);
}

static void gz_free(void *unused, void *p) {
    (void)unused;
    mem_free(p);
}

static int start_format(struct blocks *b, struct err *e) {
    TRY(fill(b, 4, e));
    if (is_gzip(b->raw, b->n)) {
        b->format = GZIP;
        b->gz = (z_stream){.zalloc = gz_alloc, .zfree = gz_free};
        if (inflateInit2(&b->gz, 15 + 16) != Z_OK) return err_nomem(e, 1 << 16);
    } else if (is_zstd(b->raw, b->n)) {
        b->format = ZSTD;
        b->zstd = ZSTD_createDStream();
        if (!b->zstd) return err_nomem(e, 1 << 16);
    } else if (b->n && ends_with(b->path, ".gz")) {
        return err_set(e, ERR_INPUT, "%s: not a gzip file, although its name says so", b->path);
    } else if (b->n && ends_with(b->path, ".zst")) {
        return err_set(e, ERR_INPUT, "%s: not a zstd file, although its name says so", b->path);
    }
    return 0;
}

static int start(struct blocks *b, const char *path, struct err *e) {
    struct stat st;
    if (strlen(path) >= sizeof b->path)
        return err_set(e, ERR_INPUT, "%.60s...: cannot open: the path is too long", path);
    snprintf(b->path, sizeof b->path, "%s", path);
    b->raw = mem_alloc(RAW);
    if (!b->raw) return err_nomem(e, RAW);
    b->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (b->fd < 0) return err_errno(e, path, "open");
    if (fstat(b->fd, &st)) return err_errno(e, path, "read");
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "%s: cannot read: it is a folder, a file is needed", path);
    b->total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    return start_format(b, e);
}

int blocks_open(const char *path, struct blocks **out, struct err *e) {
    *out = NULL;
    struct blocks *b = mem_calloc(1, sizeof *b);
    if (!b) return err_nomem(e, sizeof *b);
    b->fd = -1;
    int rc = start(b, path, e);
    if (rc)
        blocks_close(b);
    else
        *out = b;
    return rc;
}

void blocks_close(struct blocks *b) {
    if (!b) return;
    if (b->format == GZIP) inflateEnd(&b->gz);
    ZSTD_freeDStream(b->zstd);
    if (b->fd >= 0) close(b->fd);
    mem_free(b->raw);
    mem_free(b);
}

static int read_plain(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e) {
    if (b->at == b->n) return b->end ? 0 : read_file(b, out, cap, got, e);
    *got = b->n - b->at < cap ? b->n - b->at : cap;
    memcpy(out, b->raw + b->at, *got);
    b->at += *got;
    return 0;
}

static int truncated(const struct blocks *b, const char *what, struct err *e) {
    return err_set(e, ERR_INPUT, "%s: the %s stream ends early, after %llu bytes: the file is truncated",
                   b->path, what, (unsigned long long)b->done);
}

static int behind(const struct blocks *b, const char *what, struct err *e) {
    return err_set(e, ERR_INPUT, "%s: bytes that are not %s stand behind the end of the stream", b->path,
                   what);
}

static int read_gzip(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e) {
    b->gz.next_out = out;
    b->gz.avail_out = (uInt)(cap < 1 << 30 ? cap : 1 << 30);
    uInt room = b->gz.avail_out;
    while (b->gz.avail_out == room) {
        if (!b->open) { /* between members */
            TRY(fill(b, 2, e));
            if (b->at == b->n) return 0;
            if (!is_gzip(b->raw, b->n)) return behind(b, "gzip", e);
            inflateReset(&b->gz);
            b->open = true;
        }
        if (b->at == b->n) TRY(fill(b, 1, e));
        if (b->at == b->n) return truncated(b, "gzip", e);
        b->gz.next_in = b->raw + b->at;
        b->gz.avail_in = (uInt)(b->n - b->at);
        int rc = inflate(&b->gz, Z_NO_FLUSH);
        b->at = b->n - b->gz.avail_in;
        if (rc == Z_MEM_ERROR) return err_nomem(e, 1 << 16);
        if (rc == Z_STREAM_END)
            b->open = false;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return err_set(e, ERR_INPUT, "%s: the gzip stream is damaged near byte %llu: %s", b->path,
                           (unsigned long long)(b->done - (b->n - b->at)),
                           b->gz.msg ? b->gz.msg : "bad data");
    }
    *got = room - b->gz.avail_out;
    return 0;
}

static int read_zstd(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e) {
    ZSTD_outBuffer o = {out, cap, 0};
    while (!o.pos) {
        if (!b->open) {
            TRY(fill(b, 4, e));
            if (b->at == b->n) return 0;
            if (!is_zstd(b->raw, b->n)) return behind(b, "zstd", e);
            b->open = true;
        }
        if (b->at == b->n && !b->end) TRY(fill(b, 1, e));
        ZSTD_inBuffer i = {b->raw + b->at, b->n - b->at, 0};
        size_t rc = ZSTD_decompressStream(b->zstd, &o, &i);
        b->at += i.pos;
        if (ZSTD_isError(rc))
            return err_set(e, ERR_INPUT, "%s: the zstd stream is damaged near byte %llu: %s", b->path,
                           (unsigned long long)(b->done - (b->n - b->at)), ZSTD_getErrorName(rc));
        if (!rc)
            b->open = false;
        else if (!i.pos && !o.pos && b->at == b->n && b->end)
            return truncated(b, "zstd", e);
    }
    *got = o.pos;
    return 0;
}

int blocks_read(struct blocks *b, void *out, size_t cap, size_t *got, struct err *e) {
    *got = 0;
    if (b->format == GZIP) return read_gzip(b, out, cap, got, e);
    if (b->format == ZSTD) return read_zstd(b, out, cap, got, e);
    return read_plain(b, out, cap, got, e);
}

void blocks_progress(const struct blocks *b, uint64_t *done, uint64_t *total) {
    *done = b->done - (b->n - b->at);
    *total = b->total;
}
