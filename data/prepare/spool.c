#include "data/prepare/spool.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int spool_open(struct spool *s, const char *dir, const char *name, struct err *e) {
    *s = (struct spool)SPOOL_INIT;
    size_t cap = strlen(dir) + strlen(name) + 2;
    s->path = mem_alloc(cap);
    s->buffer = mem_alloc(SPOOL_BUFFER);
    int rc = s->path && s->buffer ? 0 : err_nomem(e, SPOOL_BUFFER);
    if (!rc) rc = file_join(s->path, cap, dir, name, e);
    if (!rc) {
        s->fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (s->fd < 0) rc = err_errno(e, s->path, "create");
    }
    if (!rc) return 0;
    mem_free(s->path);
    mem_free(s->buffer);
    *s = (struct spool)SPOOL_INIT;
    return rc;
}

int spool_flush(struct spool *s, struct err *e) {
    for (size_t done = 0; done < s->used;) {
        ssize_t got = write(s->fd, s->buffer + done, s->used - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_errno(e, s->path, "write");
        done += (size_t)got;
    }
    s->used = 0;
    return 0;
}

static void end_writing(struct spool *s) {
    if (!s->buffer) return;
    close(s->fd);
    s->fd = -1;
    mem_free(s->buffer);
    s->buffer = NULL;
}

int spool_map(struct spool *s, struct err *e) {
    TRY(spool_flush(s, e));
    end_writing(s);
    TRY(file_map_read(s->path, &s->map, e));
    return 0;
}

void spool_release(struct spool *s) {
    end_writing(s);
    file_unmap(&s->map);
    if (s->path) unlink(s->path);
    mem_free(s->path);
    *s = (struct spool)SPOOL_INIT;
}
