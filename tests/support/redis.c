#include "tests/support/redis.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

int redis_free_port(void) {
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && !bind(fd, (struct sockaddr *)&a, n) && !getsockname(fd, (struct sockaddr *)&a, &n));
    close(fd);
    return ntohs(a.sin_port);
}

static bool installed(void) {
    const char *path = getenv("PATH");
    char file[4096];
    while (path && *path) {
        size_t n = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/redis-server", (int)n, path);
        if (!access(file, X_OK)) return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static void run_server(int port) {
    char text[16];
    int null = open("/dev/null", O_RDWR);
    snprintf(text, sizeof text, "%d", port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "",
           "--appendonly", "no", "--daemonize", "no", "--dir", "/tmp", (char *)NULL);
    _exit(127);
}

/* Waits until it accepts connections; false when it has ended before that (somebody took the port). */
static bool wait_until_up(const struct redis_server *r) {
    for (int i = 0; i < 1000; i++) {
        struct sockaddr_in a = loopback(r->port);
        int fd = socket(AF_INET, SOCK_STREAM, 0), status;
        bool up = !connect(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (waitpid(r->pid, &status, WNOHANG) == r->pid) return false;
        if (up) return true;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    cr_assert_fail("redis-server did not start within 10 s");
    return false;
}

bool redis_start(struct redis_server *r, int port) {
    *r = (struct redis_server){.pid = -1};
    if (!installed()) return false;
    for (int attempt = 0; attempt < 5; attempt++) {
        r->port = port ? port : redis_free_port();
        snprintf(r->address, sizeof r->address, "127.0.0.1:%d", r->port);
        r->pid = fork();
        if (!r->pid) run_server(r->port);
        cr_assert_gt(r->pid, 0);
        if (wait_until_up(r)) return true;
        r->pid = -1;
    }
    cr_assert_fail("redis-server does not start");
    return false;
}

void redis_stop(struct redis_server *r) {
    int status;
    if (r->pid <= 0) return;
    kill(r->pid, SIGCONT);
    kill(r->pid, SIGKILL);
    waitpid(r->pid, &status, 0);
    r->pid = -1;
}
