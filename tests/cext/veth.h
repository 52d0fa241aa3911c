/* A network namespace of its own and interfaces in it, for tests that need the kernel. */
#ifndef TEST_VETH_H
#define TEST_VETH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs "ip" with arguments; it must succeed. */
static inline void __attribute__((format(printf, 1, 2)))
ip(const char *format, ...)
{
    char command[256] = "PATH=$PATH:/usr/sbin:/sbin ip ";
    size_t len = strlen(command);
    va_list args;

    va_start(args, format);
    vsnprintf(command + len, sizeof command - len, format, args);
    va_end(args);
    if (system(command)) {
        fprintf(stderr, "failed: %s\n", command);
        abort();
    }
}

/* Goes into a new namespace where nobody speaks unless told to.  Returns false if that is
 * not allowed; on CI (CI=true) it must be. */
static inline bool
enter_namespace(void)
{
    const char *ci = getenv("CI");

    if (unshare(CLONE_NEWNET)) {
        if (ci && !strcmp(ci, "true")) {
            fprintf(stderr, "no network namespace: %s\n", strerror(errno));
            abort();
        }
        printf("skipped: no network namespace: %s\n", strerror(errno));
        return false;
    }
    for (const char *const *name = (const char *const[]){"default", "all", NULL}; *name; name++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", *name);
        FILE *file = fopen(path, "w");
        if (file) {
            fputs("1", file);
            fclose(file);
        }
    }
    return true;
}

/* Whether 'fd' becomes readable; waits for it, but not for ever. */
static inline bool
wait_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 5000) == 1;
}

static inline bool
is_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) == 1;
}

#endif
