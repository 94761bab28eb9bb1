/* Item records in a Redis server: keys prerank:<name>:<version>:<item>, and prerank:<name> for the header of
 * the version that is published. A get is one pipeline: the header, then MGETs of CHUNK keys each. */
#include "base/mem.h"
#include "base/str.h"
#include "serve/store_kind.h"
#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK = 256,
    HEADER_KEY_MAX = OPT_TEXT_MAX + 16,
    PREFIX_MAX = HEADER_KEY_MAX + STORE_VERSION_MAX + 16
};

struct redis {
    char host[OPT_TEXT_MAX];
    int port;
    redisContext *c; /* NULL: no connection */
    bool fresh;      /* it was made for this call */
    bool lost;       /* the call failed because the connection was closed */
    char header_key[HEADER_KEY_MAX], prefix[PREFIX_MAX];
    struct str command;
};

/* ---- the connection ---- */

static void disconnect(struct redis *r) {
    if (r->c) redisFree(r->c);
    r->c = NULL;
}

/* After a failed call of hiredis: what went wrong, in words. The connection is given up: what it still may
 * bring belongs to no question. */
static int broken(struct store *s, struct err *e) {
    struct redis *r = s->self;
    int err = r->c->err, number = errno;
    bool timeout = err == REDIS_ERR_IO && (number == EAGAIN || number == EWOULDBLOCK);
    char text[sizeof r->c->errstr];
    snprintf(text, sizeof text, "%s", r->c->errstr);
    r->lost = err == REDIS_ERR_EOF || (err == REDIS_ERR_IO && !timeout);
    disconnect(r);
    if (timeout)
        return err_set(e, ERR_INPUT,
                       "%s: no answer within %lld ms; is the server overloaded, or `timeout_ms` too small?",
                       s->where, (long long)s->o.timeout_ms);
    return err_set(e, ERR_INPUT, "%s: the connection broke: %s", s->where, text);
}

static int connect_server(struct store *s, struct err *e) {
    struct redis *r = s->self;
    struct timeval tv = {s->o.timeout_ms / 1000, s->o.timeout_ms % 1000 * 1000};
    r->c = redisConnectWithTimeout(r->host, r->port, tv);
    if (!r->c) return err_nomem(e, sizeof *r->c);
    if (r->c->err || redisSetTimeout(r->c, tv)) {
        char text[sizeof r->c->errstr];
        snprintf(text, sizeof text, "%s", r->c->errstr);
        disconnect(r);
        return err_set(e, ERR_INPUT, "%s: cannot connect: %s; is the server running?", s->where, text);
    }
    r->c->reader->maxbuf = 0; /* keep the buffer from request to request */
    r->fresh = true;
    return 0;
}

/* A write to a closed connection raises SIGPIPE, which would end the program; hiredis does not prevent it. */
struct quiet {
    sigset_t before;
    bool pending;
};

static struct quiet pipe_quiet(void) {
    struct quiet q = {.pending = false};
    sigset_t pipe, now;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&now);
    q.pending = sigismember(&now, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &q.before);
    return q;
}

static void pipe_restore(const struct quiet *q) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (!q->pending) sigtimedwait(&pipe, NULL, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

/* Runs `ask` over the connection, making one if there is none; a connection that turns out to be closed is
 * made anew, once. */
static int with_connection(struct store *s, int (*ask)(struct store *, void *, struct err *), void *ctx,
                           struct err *e) {
    struct redis *r = s->self;
    struct quiet q = pipe_quiet();
    r->fresh = r->lost = false;
    int rc = r->c ? 0 : connect_server(s, e);
    if (!rc) rc = ask(s, ctx, e);
    if (rc && r->lost && !r->fresh) {
        r->lost = false;
        rc = connect_server(s, e);
        if (!rc) rc = ask(s, ctx, e);
    }
    pipe_restore(&q);
    return rc;
}

/* ---- commands ---- */

static void add_array(struct str *c, size_t n) { str_addf(c, "*%zu\r\n", n); }

static void add_bytes(struct str *c, const void *p, size_t n) {
    str_addf(c, "$%zu\r\n", n);
    str_addn(c, p, n);
    str_addn(c, "\r\n", 2);
}

static void add_text(struct str *c, const char *text) { add_bytes(c, text, strlen(text)); }

/* The key of an item, with no printf in between: there are thousands in a request. */
static void add_key(struct str *c, const char *prefix, size_t prefix_len, uint32_t item) {
    char key[PREFIX_MAX + 32], digits[16], *d = digits + sizeof digits, *k = key;
    do {
        *--d = (char)('0' + item % 10);
        item /= 10;
    } while (item);
    size_t n = (size_t)(digits + sizeof digits - d), len = prefix_len + n;
    *k++ = '$';
    if (len >= 100) *k++ = (char)('0' + len / 100);
    *k++ = (char)('0' + len / 10 % 10);
    *k++ = (char)('0' + len % 10);
    *k++ = '\r';
    *k++ = '\n';
    memcpy(k, prefix, prefix_len);
    memcpy(k + prefix_len, d, n);
    k += len;
    *k++ = '\r';
    *k++ = '\n';
    str_addn(c, key, (size_t)(k - key));
}

static int send_command(struct store *s, struct err *e) {
    struct redis *r = s->self;
    if (r->command.failed) return err_nomem(e, r->command.len);
    if (redisAppendFormattedCommand(r->c, r->command.p, r->command.len)) return broken(s, e);
    return 0;
}

/* The next answer, of the type wanted (or nil for a string); free it with freeReplyObject. After an answer
 * that was not expected the rest of the pipeline is not read: the connection is given up. */
static int answer(struct store *s, int type, redisReply **out, struct err *e) {
    struct redis *r = s->self;
    void *p = NULL;
    *out = NULL;
    if (redisGetReply(r->c, &p)) {
        broken(s, e);
        return ERR_INPUT;
    }
    redisReply *reply = p;
    if (reply->type == type || (type == REDIS_REPLY_STRING && reply->type == REDIS_REPLY_NIL)) {
        *out = reply;
        return 0;
    }
    if (reply->type == REDIS_REPLY_ERROR)
        err_set(e, ERR_INPUT, "%s: the server refuses: %s", s->where, reply->str);
    else
        err_set(e, ERR_INPUT, "%s: an answer of type %d; is this a Redis server?", s->where, reply->type);
    freeReplyObject(reply);
    disconnect(r);
    return ERR_INPUT;
}

static int answer_ok(struct store *s, int type, struct err *e) {
    redisReply *reply;
    TRY(answer(s, type, &reply, e));
    freeReplyObject(reply);
    return 0;
}

/* ---- life ---- */

static int parse_server(struct store *s, struct redis *r, struct err *e) {
    char *colon;
    int64_t port;
    snprintf(s->where, sizeof s->where, "redis");
    snprintf(r->host, sizeof r->host, "%s", s->o.server);
    if (!r->host[0])
        return err_set(e, ERR_INPUT,
                       "item store redis needs the server to use: `server: HOST:PORT`, such as "
                       "127.0.0.1:6379");
    colon = strrchr(r->host, ':');
    if (!colon || colon == r->host || str_to_int(colon + 1, &port) || port < 1 || port > 65535)
        return err_set(e, ERR_INPUT,
                       "item store redis: `server` must be HOST:PORT, such as 127.0.0.1:6379, not \"%s\"",
                       s->o.server);
    *colon = '\0';
    r->port = (int)port;
    if (r->host[0] == '[' && colon[-1] == ']') { /* IPv6: [::1]:6379 */
        colon[-1] = '\0';
        memmove(r->host, r->host + 1, strlen(r->host));
    }
    snprintf(s->where, sizeof s->where, "redis %s, records of `%s`", s->o.server, s->o.name);
    return 0;
}

static int begin(struct store *s, struct err *e) {
    struct redis *r = s->self = mem_calloc(1, sizeof *r);
    if (!r) return err_nomem(e, sizeof *r);
    TRY(parse_server(s, r, e));
    snprintf(r->header_key, sizeof r->header_key, "prerank:%s", s->o.name);
    snprintf(r->prefix, sizeof r->prefix, "%s:%s:", r->header_key, s->header.version);
    return 0;
}

/* Asks for the header; *version gets the published version, "" when there is none. */
static int read_header(struct store *s, bool check, struct store_header *there, struct err *e) {
    redisReply *reply;
    int rc = 0;
    TRY(answer(s, REDIS_REPLY_STRING, &reply, e));
    *there = (struct store_header){0};
    if (reply->type == REDIS_REPLY_STRING) {
        if (check) rc = store_header_check(s, reply->str, reply->len, e);
        store_header_read(reply->str, reply->len, there);
    } else if (check) {
        rc = err_set(e, ERR_INPUT, "%s: the server has no such records; fill the store first", s->where);
    }
    freeReplyObject(reply);
    return rc;
}

static void ask_header(struct redis *r) {
    add_array(&r->command, 2);
    add_text(&r->command, "GET");
    add_text(&r->command, r->header_key);
}

static int check_published(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    struct store_header there;
    (void)ctx;
    str_clear(&r->command);
    ask_header(r);
    TRY(send_command(s, e));
    return read_header(s, true, &there, e);
}

static int ping(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    (void)ctx;
    str_clear(&r->command);
    add_array(&r->command, 1);
    add_text(&r->command, "PING");
    TRY(send_command(s, e));
    return answer_ok(s, REDIS_REPLY_STATUS, e);
}

static int redis_create(struct store *s, struct err *e) {
    TRY(begin(s, e));
    return with_connection(s, ping, NULL, e);
}

static int redis_open(struct store *s, struct err *e) {
    TRY(begin(s, e));
    return with_connection(s, check_published, NULL, e);
}

/* ---- records ---- */

struct call { /* of put and get */
    const uint32_t *items;
    const void *put;
    char *get;
    bool *found;
    size_t n;
};

static int ask_put(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    const struct call *k = ctx;
    size_t bytes = s->header.bytes, prefix_len = strlen(r->prefix), chunks = 0;
    str_clear(&r->command);
    for (size_t first = 0; first < k->n; first += CHUNK, chunks++) {
        size_t n = k->n - first < CHUNK ? k->n - first : CHUNK;
        add_array(&r->command, 1 + 2 * n);
        add_text(&r->command, "MSET");
        for (size_t i = first; i < first + n; i++) {
            add_key(&r->command, r->prefix, prefix_len, k->items[i]);
            add_bytes(&r->command, (const char *)k->put + i * bytes, bytes);
        }
    }
    TRY(send_command(s, e));
    while (chunks--) TRY(answer_ok(s, REDIS_REPLY_STATUS, e));
    return 0;
}

static int redis_put(struct store *s, const uint32_t *items, const void *records, size_t n, struct err *e) {
    return with_connection(s, ask_put, &(struct call){.items = items, .put = records, .n = n}, e);
}

/* One MGET's answer. */
static int take_chunk(struct store *s, const struct call *k, size_t first, size_t n, const redisReply *reply,
                      struct err *e) {
    size_t bytes = s->header.bytes;
    if (reply->elements != n)
        return err_set(e, ERR_INPUT, "%s: %zu records asked for, %zu came", s->where, n, reply->elements);
    for (size_t i = 0; i < n; i++) {
        const redisReply *v = reply->element[i];
        if (v->type == REDIS_REPLY_NIL) continue;
        if (v->type != REDIS_REPLY_STRING || v->len != bytes)
            return err_set(e, ERR_INPUT,
                           "%s: the record of item %u has %zu bytes, not %zu; fill the store again", s->where,
                           k->items[first + i], v->len, bytes);
        memcpy(k->get + (first + i) * bytes, v->str, bytes);
        k->found[first + i] = true;
    }
    return 0;
}

static int ask_get(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    const struct call *k = ctx;
    size_t prefix_len = strlen(r->prefix);
    struct store_header there;
    str_clear(&r->command);
    ask_header(r);
    for (size_t first = 0; first < k->n; first += CHUNK) {
        size_t n = k->n - first < CHUNK ? k->n - first : CHUNK;
        add_array(&r->command, 1 + n);
        add_text(&r->command, "MGET");
        for (size_t i = first; i < first + n; i++) add_key(&r->command, r->prefix, prefix_len, k->items[i]);
    }
    TRY(send_command(s, e));
    int rc = read_header(s, true, &there, e);
    for (size_t first = 0; first < k->n && !rc; first += CHUNK) {
        redisReply *reply;
        rc = answer(s, REDIS_REPLY_ARRAY, &reply, e);
        if (rc) break;
        rc = take_chunk(s, k, first, k->n - first < CHUNK ? k->n - first : CHUNK, reply, e);
        freeReplyObject(reply);
    }
    if (rc) disconnect(r); /* with answers still under way */
    return rc;
}

static int redis_get(struct store *s, int reader, const uint32_t *items, size_t n, void *records, bool *found,
                     struct err *e) {
    (void)reader;
    return with_connection(s, ask_get, &(struct call){.items = items, .get = records, .found = found, .n = n},
                           e);
}

/* ---- publishing and deleting ---- */

static int delete_records(struct store *s, const struct store_header *h, struct err *e) {
    struct redis *r = s->self;
    char prefix[PREFIX_MAX];
    snprintf(prefix, sizeof prefix, "%s:%s:", r->header_key, h->version);
    for (uint32_t first = 0; first < h->n_items;) {
        uint32_t n = h->n_items - first < CHUNK ? h->n_items - first : CHUNK;
        str_clear(&r->command);
        add_array(&r->command, 1 + (size_t)n);
        add_text(&r->command, "UNLINK");
        for (uint32_t i = 0; i < n; i++) add_key(&r->command, prefix, strlen(prefix), first + i);
        TRY(send_command(s, e));
        TRY(answer_ok(s, REDIS_REPLY_INTEGER, e));
        first += n;
    }
    return 0;
}

/* The new header takes the place of the old one in one step (GETSET); then the old records are of no use. */
static int ask_publish(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    char text[STORE_HEADER_TEXT];
    struct store_header old;
    (void)ctx;
    store_header_write(&s->header, text);
    str_clear(&r->command);
    add_array(&r->command, 3);
    add_text(&r->command, "GETSET");
    add_text(&r->command, r->header_key);
    add_text(&r->command, text);
    TRY(send_command(s, e));
    TRY(read_header(s, false, &old, e));
    return strcmp(old.version, s->header.version) != 0 ? delete_records(s, &old, e) : 0;
}

static int redis_publish(struct store *s, struct err *e) { return with_connection(s, ask_publish, NULL, e); }

/* The records go, and the header if it is theirs. When they were not published, a header of their version is
 * that of the same records published before, and both stay. */
static int ask_delete(struct store *s, void *ctx, struct err *e) {
    struct redis *r = s->self;
    struct store_header there;
    (void)ctx;
    str_clear(&r->command);
    ask_header(r);
    TRY(send_command(s, e));
    TRY(read_header(s, false, &there, e));
    if (!strcmp(there.version, s->header.version)) {
        if (!s->published) return 0;
        str_clear(&r->command);
        add_array(&r->command, 2);
        add_text(&r->command, "UNLINK");
        add_text(&r->command, r->header_key);
        TRY(send_command(s, e));
        TRY(answer_ok(s, REDIS_REPLY_INTEGER, e));
    }
    return delete_records(s, &s->header, e);
}

static void redis_close(struct store *s, bool delete_published) {
    struct redis *r = s->self;
    if (!r) return;
    if (delete_published || (s->created && !s->published && r->c)) with_connection(s, ask_delete, NULL, NULL);
    disconnect(r);
    str_release(&r->command);
    mem_free(r);
}

const struct store_kind store_redis = {.name = "redis",
                                       .local = false,
                                       .create = redis_create,
                                       .open = redis_open,
                                       .put = redis_put,
                                       .publish = redis_publish,
                                       .get = redis_get,
                                       .close = redis_close};
