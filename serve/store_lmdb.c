/* Item records in an LMDB file. The file is written beside its place, with the header as the last key, and
 * renamed: what has the name is whole. It never changes after that, so that readers need no locks and one
 * read transaction each lasts as long as the store is open. */
#include "base/file.h"
#include "base/mem.h"
#include "serve/store_kind.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct reader {
    MDB_txn *txn;
    MDB_cursor *cursor;
};

struct lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    char path[1024], tmp[1060]; /* tmp: "" when nothing is being written */
    int64_t last;               /* largest item put so far; -1: none */
    int n_readers;
    struct reader *reader;
};

static const uint32_t header_key = UINT32_MAX; /* no item: items are below n_items */

static int failed(const struct store *s, const char *what, int rc, struct err *e) {
    if (rc == ENOMEM) return err_nomem(e, 0);
    if (rc == ENOENT)
        return err_set(e, ERR_INPUT, "%s: there are no item records here; fill the store first", s->where);
    if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND)
        return err_set(e, ERR_INPUT, "%s: this is no LMDB file, or a damaged one (%s); fill the store again",
                       s->where, mdb_strerror(rc));
    return err_set(e, ERR_INPUT, "%s: cannot %s: %s", s->where, what, mdb_strerror(rc));
}

/* <path>/<name>.lmdb; in the name, what is no letter, digit, '.', '_' or '-' as %XX. */
static int make_path(struct store *s, struct lmdb *l, struct err *e) {
    char name[3 * OPT_TEXT_MAX + 8], *p = name;
    snprintf(s->where, sizeof s->where, "lmdb");
    if (!s->o.path[0])
        return err_set(e, ERR_INPUT, "item store lmdb needs the folder of its files: `path: DIR`");
    for (const char *c = s->o.name; *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
                     strchr("._-", *c);
        p += snprintf(p, 4, plain ? "%c" : "%%%02X", plain ? *c : (unsigned char)*c);
    }
    memcpy(p, ".lmdb", sizeof ".lmdb");
    TRY(file_join(l->path, sizeof l->path, s->o.path, name, e));
    snprintf(s->where, sizeof s->where, "%s", l->path);
    return 0;
}

static int begin(struct store *s, struct lmdb **out, struct err *e) {
    struct lmdb *l = s->self = mem_calloc(1, sizeof *l);
    *out = l;
    if (!l) return err_nomem(e, sizeof *l);
    l->last = -1;
    return make_path(s, l, e);
}

/* ---- writing ---- */

/* Room for every record three times over, because puts out of order split pages: it is address space, not
 * space on the disk. A record beyond half a page goes to pages of its own. */
static size_t map_bytes(const struct store *s) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = s->header.bytes;
    size_t node = bytes + 16, own = 0;
    if (node > page / 2 - 16) {
        own = (bytes + 16 + page - 1) / page * page;
        node = 24;
    }
    return (((size_t)s->header.n_items * (node + own)) * 3 / page + 4096) * page;
}

static int lmdb_create(struct store *s, struct err *e) {
    struct lmdb *l;
    TRY(begin(s, &l, e));
    TRY(file_make_dirs(s->o.path, e));
    snprintf(l->tmp, sizeof l->tmp, "%s.tmp-%ld", l->path, (long)getpid());
    unlink(l->tmp);
    int rc = mdb_env_create(&l->env);
    if (!rc) rc = mdb_env_set_mapsize(l->env, map_bytes(s));
    if (!rc) rc = mdb_env_open(l->env, l->tmp, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0666);
    if (rc == ENOENT) return err_errno(e, l->tmp, "create");
    return rc ? failed(s, "create", rc, e) : 0;
}

static int put_all(struct lmdb *l, MDB_txn *txn, const uint32_t *items, const void *values, size_t n,
                   size_t bytes) {
    MDB_cursor *cursor;
    int rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &l->dbi);
    if (!rc) rc = mdb_cursor_open(txn, l->dbi, &cursor);
    if (rc) return rc;
    for (size_t i = 0; i < n && !rc; i++) {
        uint32_t key = items[i];
        MDB_val k = {sizeof key, &key}, v = {bytes, NULL};
        rc = mdb_cursor_put(cursor, &k, &v, MDB_RESERVE | ((int64_t)key > l->last ? MDB_APPEND : 0U));
        if (!rc) memcpy(v.mv_data, (const char *)values + i * bytes, bytes);
        if ((int64_t)key > l->last) l->last = key;
    }
    mdb_cursor_close(cursor);
    return rc;
}

static int write_batch(struct store *s, const uint32_t *items, const void *values, size_t n, size_t bytes,
                       struct err *e) {
    struct lmdb *l = s->self;
    MDB_txn *txn;
    int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc) return failed(s, "write", rc, e);
    rc = put_all(l, txn, items, values, n, bytes);
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    return rc ? failed(s, "write", rc, e) : 0;
}

static int lmdb_put(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e) {
    return write_batch(s, items, records, n, s->header.bytes, e);
}

/* ---- reading ---- */

/* LMDB does not compare the file's length with what its head says, and reading what is cut off would end the
 * process (SIGBUS). */
static int check_length(struct store *s, struct err *e) {
    struct lmdb *l = s->self;
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(l->env, &info);
    mdb_env_stat(l->env, &stat);
    uint64_t need = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    int64_t size = file_size(l->path);
    if (size >= 0 && (uint64_t)size >= need) return 0;
    return err_set(e, ERR_INPUT, "%s: the file is cut off: %lld bytes of %llu; fill the store again",
                   s->where, (long long)size, (unsigned long long)need);
}

static int check_head(struct store *s, MDB_txn *txn, struct err *e) {
    struct lmdb *l = s->self;
    uint32_t key = header_key;
    MDB_val k = {sizeof key, &key}, v = {0, NULL};
    int rc = mdb_dbi_open(txn, NULL, 0, &l->dbi); /* with the flags it was made with */
    if (!rc) rc = mdb_get(txn, l->dbi, &k, &v);
    if (rc && rc != MDB_NOTFOUND) return failed(s, "read", rc, e);
    return store_header_check(s, v.mv_data ? v.mv_data : "", v.mv_size, e);
}

static int open_readers(struct store *s, struct err *e) {
    struct lmdb *l = s->self;
    l->reader = mem_calloc((size_t)s->o.readers, sizeof *l->reader);
    if (!l->reader) return err_nomem(e, (size_t)s->o.readers * sizeof *l->reader);
    for (; l->n_readers < s->o.readers; l->n_readers++) {
        struct reader *r = &l->reader[l->n_readers];
        int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &r->txn);
        if (rc) return failed(s, "read", rc, e);
        if (!l->n_readers && check_head(s, r->txn, e)) {
            mdb_txn_abort(r->txn);
            return ERR_INPUT;
        }
        rc = mdb_cursor_open(r->txn, l->dbi, &r->cursor);
        if (rc) {
            mdb_txn_abort(r->txn);
            return failed(s, "read", rc, e);
        }
    }
    return 0;
}

static int open_file(struct store *s, struct err *e) {
    struct lmdb *l = s->self;
    int rc = mdb_env_create(&l->env);
    if (!rc) rc = mdb_env_open(l->env, l->path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_RDONLY, 0666);
    if (rc) return failed(s, "open", rc, e);
    TRY(check_length(s, e));
    return open_readers(s, e);
}

static int lmdb_open(struct store *s, struct err *e) {
    struct lmdb *l;
    TRY(begin(s, &l, e));
    return open_file(s, e);
}

static int sync_folder(const char *path, struct err *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_errno(e, path, "open");
    int rc = fsync(fd) && errno != EINVAL ? err_errno(e, path, "write") : 0; /* EINVAL: it has no sync */
    close(fd);
    return rc;
}

static int lmdb_publish(struct store *s, struct err *e) {
    struct lmdb *l = s->self;
    char text[STORE_HEADER_TEXT];
    store_header_write(&s->header, text);
    TRY(write_batch(s, &header_key, text, 1, strlen(text), e));
    int rc = mdb_env_sync(l->env, 1);
    if (rc) return failed(s, "write", rc, e);
    mdb_env_close(l->env);
    l->env = NULL;
    if (rename(l->tmp, l->path)) return err_errno(e, l->path, "replace");
    l->tmp[0] = '\0';
    TRY(sync_folder(s->o.path, e));
    return open_file(s, e);
}

static int lmdb_get(struct store *s, int reader, const uint32_t *items, size_t n, void *records, bool *found,
                    struct err *e) {
    struct lmdb *l = s->self;
    size_t bytes = s->header.bytes;
    for (size_t i = 0; i < n; i++) {
        uint32_t key = items[i];
        MDB_val k = {sizeof key, &key}, v;
        int rc = mdb_cursor_get(l->reader[reader].cursor, &k, &v, MDB_SET);
        if (rc == MDB_NOTFOUND) continue;
        if (rc) return failed(s, "read", rc, e);
        if (v.mv_size != bytes)
            return err_set(e, ERR_INPUT,
                           "%s: the record of item %u has %zu bytes, not %zu; fill the store again", s->where,
                           key, v.mv_size, bytes);
        memcpy((char *)records + i * bytes, v.mv_data, bytes);
        found[i] = true;
    }
    return 0;
}

static void lmdb_close(struct store *s, bool delete_published) {
    struct lmdb *l = s->self;
    if (!l) return;
    for (int i = 0; i < l->n_readers; i++) {
        mdb_cursor_close(l->reader[i].cursor);
        mdb_txn_abort(l->reader[i].txn);
    }
    if (l->env) mdb_env_close(l->env);
    if (l->tmp[0]) unlink(l->tmp);
    if (delete_published) unlink(l->path);
    mem_free(l->reader);
    mem_free(l);
}

const struct store_kind store_lmdb = {.name = "lmdb",
                                      .local = true,
                                      .create = lmdb_create,
                                      .open = lmdb_open,
                                      .put = lmdb_put,
                                      .publish = lmdb_publish,
                                      .get = lmdb_get,
                                      .close = lmdb_close};
