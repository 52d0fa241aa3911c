/* The floor: what a plain C pipeline takes for a packet, as the yardstick of raicho's.
 *
 * What: frames are copied into packets, parsed and checked, looked up in one exact table, counted,
 * and rewritten (addresses, TTL, checksum); then they are thrown away. There is no switch around
 * it: one shape of packet, one table, one action.
 *
 * How: batches of 64 go through the stages one after the other, each stage asking the cache for
 * what the next one reads. The table has buckets of one cache line with eight tags and eight
 * indices, and entries of one line with key, counters and action together. A bucket that is full
 * goes on in the next one.
 *
 * Threads: one. The time is the thread's own. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __SSE4_2__
#include <immintrin.h>
#endif

enum {
    BATCH = 64,
    SLOT = 2176,                /* Not a power of two: those fall into the same cache sets. */
    WAYS = 8,
    FILL = 4,                   /* Entries for each bucket on the average. */
    LINE = 64,
    ROUNDS = 256,               /* Batches between two looks at the clock. */
    HUGE_PAGE = 2 << 20,
};

struct key {
    uint64_t addresses;
    uint64_t rest;              /* Ports and protocol. */
};

struct entry {
    struct key key;
    uint64_t n_packets, n_bytes;
    uint8_t addresses[12];      /* What the packet gets. */
    uint32_t port;
    uint32_t spare[4];
} __attribute__((aligned(LINE)));

struct bucket {
    uint16_t tags[WAYS];        /* 0: free. */
    uint32_t entries[WAYS];
    uint8_t spare[16];
} __attribute__((aligned(LINE)));

struct floor {
    struct bucket *buckets;
    struct entry *entries;
    uint8_t *frames, *slots;
    size_t n_frames, size, n_entries, mask, next;
    size_t n_bytes[4];          /* Mapped, in the order of the pointers. */
    uint64_t n_out, n_bad, n_missed;    /* Those that missed are in the first too. */
};

static uint32_t
hash(const struct key *key)
{
#ifdef __SSE4_2__
    return _mm_crc32_u64(_mm_crc32_u64(0x9e3779b9, key->addresses), key->rest);
#else
    uint64_t mixed = (key->addresses ^ key->rest * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    return mixed >> 32;
#endif
}

static uint16_t
tag_of(uint32_t hash)
{
    return hash >> 16 | 1;
}

/* Memory that starts at zero, in huge pages if there are any. */
static void *
map(size_t *size)
{
    *size = (*size + HUGE_PAGE - 1) & -(size_t) HUGE_PAGE;
    void *at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    madvise(at, *size, MADV_HUGEPAGE);
    memset(at, 0, *size);
    return at;
}

/* Takes the key out of a frame; false: not a whole, unfragmented IPv4 UDP packet. */
static bool
parse(const uint8_t *frame, size_t size, struct key *key)
{
    uint16_t type, total, fragment;
    memcpy(&type, frame + 12, 2);
    memcpy(&total, frame + 16, 2);
    memcpy(&fragment, frame + 20, 2);
    if (size < 42 || type != __builtin_bswap16(0x0800) || frame[14] != 0x45 || frame[23] != 17
        || (fragment & __builtin_bswap16(0x3fff)) || __builtin_bswap16(total) > size - 14
        || frame[22] <= 1) {
        return false;
    }
    uint32_t ports, words[5];
    memcpy(words, frame + 14, sizeof words);
    uint64_t sum = (uint64_t) words[0] + words[1] + words[2] + words[3] + words[4];
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    if ((sum & 0xffff) + (sum >> 16) != 0xffff) {
        return false;
    }
    memcpy(&key->addresses, frame + 26, 8);
    memcpy(&ports, frame + 34, 4);
    key->rest = (uint64_t) 17 << 32 | ports;
    return true;
}

/* The ways of a bucket that have a tag, as bits. */
static unsigned
ways(const struct bucket *bucket, uint16_t tag)
{
#ifdef __SSE4_2__
    __m128i tags = _mm_load_si128((const __m128i *) bucket->tags);
    __m128i same = _mm_cmpeq_epi16(tags, _mm_set1_epi16(tag));
    return _mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#else
    unsigned found = 0;
    for (unsigned way = 0; way < WAYS; way++) {
        found |= (unsigned) (bucket->tags[way] == tag) << way;
    }
    return found;
#endif
}

static struct entry *
find(struct floor *floor, const struct key *key, uint32_t h)
{
    for (size_t at = h & floor->mask;; at = (at + 1) & floor->mask) {
        struct bucket *bucket = &floor->buckets[at];
        for (unsigned hits = ways(bucket, tag_of(h)); hits; hits &= hits - 1) {
            struct entry *entry = &floor->entries[bucket->entries[__builtin_ctz(hits)]];
            if (entry->key.addresses == key->addresses && entry->key.rest == key->rest) {
                return entry;
            }
        }
        if (!bucket->tags[WAYS - 1]) {
            return NULL;
        }
    }
}

static void
insert(struct floor *floor, const struct key *key)
{
    uint32_t h = hash(key);
    if (find(floor, key, h)) {
        return;
    }
    size_t at = h & floor->mask;
    unsigned way = 0;
    while (floor->buckets[at].tags[way]) {
        if (++way == WAYS) {
            at = (at + 1) & floor->mask;
            way = 0;
        }
    }
    struct entry *entry = &floor->entries[floor->n_entries];
    entry->key = *key;
    memset(entry->addresses, 2, sizeof entry->addresses);
    floor->buckets[at].tags[way] = tag_of(h);
    floor->buckets[at].entries[way] = floor->n_entries++;
}

static void
rewrite(uint8_t *frame, const struct entry *entry)
{
    memcpy(frame, entry->addresses, sizeof entry->addresses);
    uint16_t before, check;
    memcpy(&before, frame + 22, 2);
    memcpy(&check, frame + 24, 2);
    uint16_t after = before - __builtin_bswap16(0x0100);        /* The TTL is the first byte. */
    memcpy(frame + 22, &after, 2);
    uint32_t sum = (uint16_t) ~check + (uint16_t) ~before + (uint32_t) after;
    sum = (sum & 0xffff) + (sum >> 16);
    check = ~((sum & 0xffff) + (sum >> 16));
    memcpy(frame + 24, &check, 2);
}

static void
batch(struct floor *floor)
{
    uint8_t *packets[BATCH];
    struct key keys[BATCH];
    uint32_t hashes[BATCH];
    unsigned n = 0;
    size_t next = floor->next;

    for (unsigned i = 0; i < BATCH; i++) {
        uint8_t *packet = floor->slots + (size_t) i * SLOT;
        memcpy(packet, floor->frames + next * LINE, LINE);
        next = next + 1 < floor->n_frames ? next + 1 : 0;
        packets[i] = packet;
    }
    floor->next = next;
    for (unsigned i = 0; i < BATCH; i++) {
        if (!parse(packets[i], floor->size, &keys[n])) {
            floor->n_bad++;
            continue;
        }
        packets[n] = packets[i];
        hashes[n] = hash(&keys[n]);
        __builtin_prefetch(&floor->buckets[hashes[n] & floor->mask]);
        n++;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct bucket *bucket = &floor->buckets[hashes[i] & floor->mask];
        unsigned hits = ways(bucket, tag_of(hashes[i])) | 1 << (WAYS - 1);
        __builtin_prefetch(&floor->entries[bucket->entries[__builtin_ctz(hits)]], 1);
    }
    for (unsigned i = 0; i < n; i++) {
        struct entry *entry = find(floor, &keys[i], hashes[i]);
        if (!entry) {
            floor->n_missed++;
            continue;
        }
        entry->n_packets++;
        entry->n_bytes += floor->size;
        rewrite(packets[i], entry);
    }
    floor->n_out += n;
}

void
floor_close(struct floor *floor)
{
    void *maps[] = { floor->buckets, floor->entries, floor->frames, floor->slots };
    for (unsigned i = 0; i < 4; i++) {
        if (maps[i]) {
            munmap(maps[i], floor->n_bytes[i]);
        }
    }
    free(floor);
}

/* Makes the table of the flows in 'n' frames of 'size' bytes, which are copied. Null: no memory, or
 * frames that are no line long. */
struct floor *
floor_open(const uint8_t *frames, size_t n, size_t size)
{
    struct floor *floor = size <= LINE && n ? calloc(1, sizeof *floor) : NULL;
    if (!floor) {
        return NULL;
    }
    size_t n_buckets = 1;
    while (n_buckets * FILL < n) {
        n_buckets *= 2;
    }
    floor->n_bytes[0] = n_buckets * sizeof *floor->buckets;
    floor->n_bytes[1] = n * sizeof *floor->entries;
    floor->n_bytes[2] = n * LINE;
    floor->n_bytes[3] = (size_t) BATCH * SLOT;
    floor->buckets = map(&floor->n_bytes[0]);
    floor->entries = map(&floor->n_bytes[1]);
    floor->frames = map(&floor->n_bytes[2]);
    floor->slots = map(&floor->n_bytes[3]);
    floor->mask = n_buckets - 1;
    floor->n_frames = n;
    floor->size = size;
    if (!floor->buckets || !floor->entries || !floor->frames || !floor->slots) {
        floor_close(floor);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        struct key key;
        memcpy(floor->frames + i * LINE, frames + i * size, size);
        if (parse(floor->frames + i * LINE, size, &key)) {
            insert(floor, &key);
        }
    }
    return floor;
}

static double
now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Carries packets for so many seconds; returns how many for each second of this thread's time, or
 * 0 where one was refused or found nothing: then the figure would say nothing. */
double
floor_rate(struct floor *floor, double seconds)
{
    double end = now(CLOCK_MONOTONIC) + seconds, spent = now(CLOCK_THREAD_CPUTIME_ID);
    uint64_t before = floor->n_out;
    do {
        for (unsigned i = 0; i < ROUNDS; i++) {
            batch(floor);
        }
    } while (now(CLOCK_MONOTONIC) < end);
    spent = now(CLOCK_THREAD_CPUTIME_ID) - spent;
    return floor->n_bad || floor->n_missed ? 0 : (floor->n_out - before) / spent;
}

size_t
floor_flows(const struct floor *floor)
{
    return floor->n_entries;
}
