/* redis.h: a Redis server of the test's own, on a free port of 127.0.0.1, that keeps nothing on the disk.
 *
 *     struct redis_server r;
 *     if (!redis_start(&r, 0)) cr_skip_test("redis-server is not installed");
 *     ... r.address ...
 *     redis_stop(&r);
 */
#ifndef PRERANK_TESTS_SUPPORT_REDIS_H
#define PRERANK_TESTS_SUPPORT_REDIS_H
#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
    pid_t pid;
    int port;
    char address[32]; /* "127.0.0.1:PORT" */
};
/* port 0: any free one. false: there is no redis-server on this machine. It ends with the test's process. */
bool redis_start(struct redis_server *r, int port);
void redis_stop(struct redis_server *r);
/* A port that nobody listens on. */
int redis_free_port(void);

#endif
