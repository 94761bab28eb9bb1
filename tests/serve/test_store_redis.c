/* The Redis store, with servers that die, come back, fall silent, hold something else or are none. */
#include "tests/serve/stores.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(store_redis, .init = stores_setup, .fini = stores_teardown);

#define NEED_REDIS()                                                                                         \
    if (!redis_start(&stores_server, 0)) {                                                                   \
        stores_teardown(); /* what skips does not come to its end */                                         \
        cr_skip_test("redis-server is not installed");                                                       \
    }

Test(store_redis, readers_notice_a_new_version_and_its_records_replace_the_old) {
    struct err e;
    NEED_REDIS();
    struct store_options o = stores_options(STORE_REDIS);
    struct store *s1 = stores_make(&o, "v1", 1), *s2 = stores_make(&o, "v2", 2);
    stores_reads_well(s2, 2);
    cr_expect_eq(stores_get_one(s1, 1, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "made by model version v2, but the model to serve is version v1"), "%s", e.msg);
    store_close(s1);
    redisContext *c = redisConnect("127.0.0.1", stores_server.port);
    redisReply *r = redisCommand(c, "DBSIZE");
    cr_expect_eq(r->integer, ITEMS - ITEMS / 10 + 1, "%lld keys", r->integer);
    freeReplyObject(r);
    redisFree(c);
    store_close(s2);
}

Test(store_redis, dead_server_is_an_error_that_names_it) {
    struct err e;
    NEED_REDIS();
    struct store_options o = stores_options(STORE_REDIS);
    struct store *s = stores_make(&o, "v1", 1), *never;
    struct store_header h = stores_header("v1");
    redis_stop(&stores_server);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(stores_get_one(s, 1, &e), ERR_INPUT);
        cr_expect(strstr(e.msg, stores_server.address) && strstr(e.msg, "Connection refused"), "%s", e.msg);
    }
    store_close(s);
    cr_expect_eq(store_create(&o, &h, &never, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, stores_server.address), "%s", e.msg);
    stores_refuses(&o, &h, stores_server.address);
}

Test(store_redis, reconnects_once_to_a_server_that_came_back) {
    struct err e;
    NEED_REDIS();
    struct store_options o = stores_options(STORE_REDIS);
    struct store *s = stores_make(&o, "v1", 1);
    int port = stores_server.port;
    redis_stop(&stores_server);
    cr_assert(redis_start(&stores_server, port));
    cr_expect_eq(stores_get_one(s, 1, &e), ERR_INPUT); /* it is back, but empty */
    cr_expect(strstr(e.msg, "no such records"), "%s", e.msg);
    store_close(stores_make(&o, "v1", 1));
    stores_reads_well(s, 1);
    redis_stop(&stores_server);
    cr_assert(redis_start(&stores_server, port));
    store_close(stores_make(&o, "v1", 1));
    stores_reads_well(s, 1); /* the request that meets the closed connection does not fail */
    store_close(s);
}

Test(store_redis, silence_ends_at_the_timeout) {
    struct err e;
    NEED_REDIS();
    struct store_options o = stores_options(STORE_REDIS);
    o.timeout_ms = 100;
    struct store *s = stores_make(&o, "v1", 1);
    kill(stores_server.pid, SIGSTOP);
    cr_expect_eq(stores_get_one(s, 1, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "no answer within 100 ms"), "%s", e.msg);
    kill(stores_server.pid, SIGCONT);
    stores_reads_well(s, 1); /* and the late answer is not taken for the next one's */
    store_close(s);
}

Test(store_redis, wrong_values_are_refused) {
    struct err e;
    NEED_REDIS();
    struct store_options o = stores_options(STORE_REDIS);
    struct store_header h = stores_header("v1");
    struct store *s = stores_make(&o, "v1", 1);
    redisContext *c = redisConnect("127.0.0.1", stores_server.port);
    freeReplyObject(redisCommand(c, "SET prerank:model:v1:7 short"));
    cr_expect_eq(stores_get_one(s, 7, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "record of item 7 has 5 bytes, not 28"), "%s", e.msg);
    freeReplyObject(redisCommand(c, "DEL prerank:model:v1:7"));
    cr_expect_eq(stores_get_one(s, 7, &e), 0, "%s", e.msg);
    freeReplyObject(redisCommand(c, "SET prerank:model nonsense"));
    cr_expect_eq(stores_get_one(s, 8, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "no item records of prerank"), "%s", e.msg);
    freeReplyObject(redisCommand(c, "DEL prerank:model"));
    freeReplyObject(redisCommand(c, "LPUSH prerank:model a b"));
    cr_expect_eq(stores_get_one(s, 8, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, "WRONGTYPE"), "%s", e.msg);
    stores_refuses(&o, &h, "WRONGTYPE");
    redisFree(c);
    store_close(s);
}

Test(store_redis, tells_a_server_that_is_none) {
    struct err e;
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert(!bind(fd, (struct sockaddr *)&a, n) && !listen(fd, 1) &&
              !getsockname(fd, (struct sockaddr *)&a, &n));
    pid_t pid = fork();
    if (!pid) {
        int c = accept(fd, NULL, NULL);
        _exit(write(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) != 28);
    }
    struct store_options o = stores_options(STORE_REDIS);
    struct store_header h = stores_header("v1");
    struct store *s;
    snprintf(o.server, sizeof o.server, "127.0.0.1:%d", ntohs(a.sin_port));
    cr_expect_eq(store_open(&o, &h, &s, &e), ERR_INPUT);
    cr_expect(strstr(e.msg, o.server) && strstr(e.msg, "Protocol error"), "%s", e.msg);
    close(fd);
    const char *bad[] = {"localhost", "localhost:", ":6379", "localhost:0", "localhost:65536", "h:6x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(o.server, sizeof o.server, "%s", bad[i]);
        stores_refuses(&o, &h, "must be HOST:PORT");
    }
    o.server[0] = '\0';
    stores_refuses(&o, &h, "needs the server to use");
}
