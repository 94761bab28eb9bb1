#include "base/sigbus.h"
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t exit_code;

static void say(const char *text) { (void)!write(STDERR_FILENO, text, strlen(text)); }

/* Hex digits up to another character, which is skipped. */
static uintptr_t hex(const char **at) {
    uintptr_t v = 0;
    for (; (**at >= '0' && **at <= '9') || (**at >= 'a' && **at <= 'f'); (*at)++)
        v = v << 4 | (uintptr_t)(**at <= '9' ? **at - '0' : **at - 'a' + 10);
    *at += **at != '\0';
    return v;
}

static bool next_line(int fd, char *line, size_t room) {
    size_t n = 0;
    char c;
    while (read(fd, &c, 1) == 1 && c != '\n')
        if (n + 1 < room) line[n++] = c;
    line[n] = '\0';
    return n > 0;
}

/* Nothing here but what a signal handler may call. A line is "START-END PERMISSIONS OFFSET DEVICE INODE   PATH". */
static void on_bus(int number, siginfo_t *info, void *context) {
    char line[1200];
    const char *path = NULL;
    uintptr_t address = (uintptr_t)info->si_addr;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    (void)number;
    (void)context;
    while (fd >= 0 && !path && next_line(fd, line, sizeof line)) {
        const char *at = line;
        uintptr_t begin = hex(&at), end = hex(&at);
        if (address >= begin && address < end) path = strchr(at, '/');
    }
    say("prerank: ");
    say(path ? path : "a mapped file");
    say(": the file was cut off, or its disk failed, while it was in use\n");
    _exit(exit_code);
}

void sigbus_install(int code) {
    struct sigaction a = {.sa_flags = SA_SIGINFO};
    exit_code = code;
    a.sa_sigaction = on_bus;
    sigemptyset(&a.sa_mask);
    sigaction(SIGBUS, &a, NULL);
}
