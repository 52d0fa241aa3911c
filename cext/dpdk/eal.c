/* Starting DPDK: see eal.h. */

#define _GNU_SOURCE                     /* Affinity, cookies. */
#include "eal.h"

#include <errno.h>
#include <pthread.h>
#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port_private.h"

enum {
    ARGUMENT_SIZE = 48,
    MEMORY_MB = 1024,           /* Most of the heap without huge pages; what is not used costs nothing. */
};

/* As DPDK itself, one for the process.  'heard' is written by whatever thread DPDK
 * logs from. */
static struct {
    bool started;
    int failed;                         /* The errno value of the only try. */
    pthread_key_t leaving;              /* Whose destructor says that a thread ends. */
    pthread_mutex_t hearing;
    char heard[160];
} eal = { .hearing = PTHREAD_MUTEX_INITIALIZER };

/* --- What it says ------------------------------------------------------------------------- */

/* The start of a line says which part of DPDK speaks: users know their device. */
static void
hear(const char *text, size_t size)
{
    size_t len = strcspn(text, "\n");

    len = len < size ? len : size;
    len = len < sizeof eal.heard ? len : sizeof eal.heard - 1;
    pthread_mutex_lock(&eal.hearing);
    if (!eal.heard[0]) {
        memcpy(eal.heard, text, len);
        eal.heard[len] = '\0';
    }
    pthread_mutex_unlock(&eal.hearing);
}

static ssize_t
write_log(void *cookie, const char *text, size_t size)
{
    (void)cookie;
    hear(text, size);
    return (ssize_t)size;
}

void
eal_listen(void)
{
    pthread_mutex_lock(&eal.hearing);
    eal.heard[0] = '\0';
    pthread_mutex_unlock(&eal.hearing);
}

const char *
eal_complaint(void)
{
    return eal.heard;
}

/* Its log is where failures are explained; nothing else of it is for users. */
static int
open_log(void)
{
    FILE *log = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_log });

    if (!log) {
        return errno;
    }
    setvbuf(log, NULL, _IOLBF, 0);
    return rte_openlog_stream(log) ? ENOMEM : 0;
}

/* --- Starting ----------------------------------------------------------------------------- */

static bool
huge_pages_are_free(void)
{
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    unsigned long n = 0;

    if (file) {
        if (fscanf(file, "%lu", &n) != 1) {
            n = 0;
        }
        fclose(file);
    }
    return n > 0;
}

/* The processor that DPDK takes for its main thread's: one that we may use. */
static int
first_processor(const cpu_set_t *allowed)
{
    int cpu = 0;

    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, allowed)) {
        cpu++;
    }
    return cpu;
}

/* DPDK keeps the arguments, so they are static.  It attaches every device it finds unless there is
 * a list of those that it may: one that names the host bridge allows none. */
static int
init(const cpu_set_t *allowed)
{
    static char cores[ARGUMENT_SIZE], prefix[ARGUMENT_SIZE], memory[ARGUMENT_SIZE];
    static char *small[] = {
        "raicho", "--lcores", cores, "--file-prefix", prefix, "--no-telemetry",
        "--log-level", "error", "-a", "0000:00:00.0",
        "--no-huge", "--no-shconf", "-m", memory, NULL,
    };
    static char *huge[] = {
        "raicho", "--lcores", cores, "--file-prefix", prefix, "--no-telemetry",
        "--log-level", "error", "-a", "0000:00:00.0", "--in-memory", NULL,
    };
    bool in_huge_pages = huge_pages_are_free();

    snprintf(cores, sizeof cores, "0@%d", first_processor(allowed));
    snprintf(prefix, sizeof prefix, "raicho-%d", (int)getpid());
    snprintf(memory, sizeof memory, "%d", MEMORY_MB);
    if (in_huge_pages) {
        return rte_eal_init(sizeof huge / sizeof huge[0] - 1, huge);
    }
    return rte_eal_init(sizeof small / sizeof small[0] - 1, small);
}

static void
leave(void *unused)
{
    (void)unused;
    rte_thread_unregister();
}

static int
start(void)
{
    cpu_set_t allowed;
    int error = pthread_key_create(&eal.leaving, leave);

    if (error || (error = open_log())) {
        return error;
    }
    pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
    error = init(&allowed) < 0 ? (rte_errno ? rte_errno : EIO) : 0;
    pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
    if (!error) {
        rmdir(rte_eal_get_runtime_dir());       /* Nothing will ever be in it. */
    }
    return error;
}

int
eal_start(char *why, size_t why_size)
{
    if (!eal.started) {
        eal.started = true;
        eal.failed = start();
    }
    if (eal.failed) {
        return port_refuse(why, why_size, eal.failed, "DPDK does not start: %s",
                           eal.heard[0] ? eal.heard : strerror(eal.failed));
    }
    return 0;
}

void
eal_join(void)
{
    static _Thread_local bool tried;

    if (tried) {
        return;
    }
    tried = true;
    if (!rte_thread_register()) {
        pthread_setspecific(eal.leaving, &eal);
    }
}
