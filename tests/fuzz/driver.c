/* Runs a fuzz target on mutated seeds where libFuzzer is not at hand.
 *
 * What: usage `fuzz_x [inputs [seed]]`; prints how many inputs were tried and the memory used.
 * How: takes a seed of the target, applies a few random mutations, copies the outcome to a heap
 *   block of exactly its size so that AddressSanitizer sees each byte read past its end.
 *   The same seed gives the same inputs. An alarm ends a target that hangs. */
#include "driver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_SEEDS = 1024, MAX_SIZE = 4096, HANG_SECONDS = 20, BETWEEN_ALARMS = 1024 };

struct input {
    size_t size;
    uint8_t bytes[MAX_SIZE];
};

struct fuzzer {
    uint64_t random;
    unsigned n_seeds;
    struct input *seeds;
};

/* xorshift64*: good enough, and the same everywhere. */
static uint32_t
below(struct fuzzer *f, uint32_t limit)
{
    f->random ^= f->random >> 12;
    f->random ^= f->random << 25;
    f->random ^= f->random >> 27;
    return limit ? (uint32_t)((f->random * 2685821657736338717ull) >> 33) % limit : 0;
}

static void
flip_bit(struct fuzzer *f, struct input *in)
{
    if (in->size) {
        in->bytes[below(f, in->size)] ^= 1u << below(f, 8);
    }
}

static void
set_byte(struct fuzzer *f, struct input *in)
{
    static const uint8_t edges[] = {0, 1, 4, 5, 0x0f, 0x40, 0x45, 0x7f, 0x80, 0xff};

    if (in->size) {
        in->bytes[below(f, in->size)] =
            below(f, 2) ? edges[below(f, sizeof edges)] : (uint8_t)below(f, 256);
    }
}

static void
set_short(struct fuzzer *f, struct input *in)
{
    static const uint16_t edges[] = {0x0000, 0x0800, 0x0806, 0x8100, 0x86dd, 0x8847,
                                     0x8848, 0x88a8, 0x88e7, 0xffff, 0x0001, 0x8000};

    if (in->size >= 2) {
        size_t at = below(f, in->size - 1);
        uint16_t value = edges[below(f, sizeof edges / sizeof *edges)];
        in->bytes[at] = value >> 8;
        in->bytes[at + 1] = value & 0xff;
    }
}

static void
truncate_end(struct fuzzer *f, struct input *in)
{
    in->size = below(f, in->size + 1);
}

static void
append(struct fuzzer *f, struct input *in)
{
    for (unsigned n = below(f, 64); n && in->size < MAX_SIZE; n--) {
        in->bytes[in->size++] = (uint8_t)below(f, 256);
    }
}

static void
move_chunk(struct fuzzer *f, struct input *in)
{
    if (in->size > 1) {
        size_t from = below(f, in->size), to = below(f, in->size);
        size_t size = below(f, in->size - (from > to ? from : to)) + 1;
        memmove(in->bytes + to, in->bytes + from, size);
    }
}

static void
cut_chunk(struct fuzzer *f, struct input *in)
{
    if (in->size > 1) {
        size_t at = below(f, in->size), size = below(f, in->size - at) + 1;
        memmove(in->bytes + at, in->bytes + at + size, in->size - at - size);
        in->size -= size;
    }
}

static void
splice(struct fuzzer *f, struct input *in)
{
    const struct input *other = &f->seeds[below(f, f->n_seeds)];
    size_t from = below(f, other->size), at = below(f, in->size + 1);
    size_t size = other->size - from;

    if (size > MAX_SIZE - at) {
        size = MAX_SIZE - at;
    }
    memcpy(in->bytes + at, other->bytes + from, size);
    in->size = at + size;
}

static void (*const mutations[])(struct fuzzer *, struct input *) = {
    flip_bit, set_byte, set_byte, set_short, truncate_end, append, move_chunk, cut_chunk, splice,
};

static void
mutate(struct fuzzer *f, struct input *in)
{
    for (unsigned n = 1 + below(f, 6); n; n--) {
        mutations[below(f, sizeof mutations / sizeof *mutations)](f, in);
    }
}

/* The target sees a block that ends where the input ends. */
static void
try_input(const struct input *in)
{
    uint8_t *exact = malloc(in->size ? in->size : 1);

    if (!exact) {
        abort();
    }
    memcpy(exact, in->bytes, in->size);
    LLVMFuzzerTestOneInput(exact, in->size);
    free(exact);
}

static void
load_seeds(struct fuzzer *f)
{
    f->seeds = calloc(MAX_SEEDS, sizeof *f->seeds);
    if (!f->seeds) {
        abort();
    }
    for (unsigned i = 0; i < MAX_SEEDS; i++) {
        f->seeds[i].size = fuzz_seed(i, f->seeds[i].bytes, MAX_SIZE);
        if (!f->seeds[i].size) {
            break;
        }
        f->n_seeds++;
    }
    if (!f->n_seeds) {
        f->n_seeds = 1; /* One empty seed: everything comes from appending. */
    }
}

static void
hang(int signal)
{
    static const char text[] = "hang: one input took too long\n";

    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static const char *
short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int
main(int argc, char **argv)
{
    unsigned long inputs = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    struct fuzzer f = {.random = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 0x5eed};
    struct input in;
    struct rusage used;
    unsigned long long bytes = 0;

    signal(SIGALRM, hang);
    load_seeds(&f);
    for (unsigned i = 0; i < f.n_seeds; i++) {
        try_input(&f.seeds[i]);
    }
    for (unsigned long i = 0; i < inputs; i++) {
        if (i % BETWEEN_ALARMS == 0) {
            alarm(HANG_SECONDS);
        }
        const struct input *seed = &f.seeds[below(&f, f.n_seeds)];
        in.size = seed->size;
        memcpy(in.bytes, seed->bytes, seed->size);
        mutate(&f, &in);
        bytes += in.size;
        try_input(&in);
    }
    getrusage(RUSAGE_SELF, &used);
    printf("fuzz %s: %lu mutated inputs from %u seeds, %llu bytes, no finding, %ld KiB at most\n",
           short_name(argv[0]), inputs, f.n_seeds, bytes, used.ru_maxrss);
    free(f.seeds);
    return 0;
}
