/* NAT: the ports of outside addresses.  See nat_private.h. */

#include <stddef.h>
#include <sys/mman.h>

#include "nat_private.h"

enum { WORD = 64, HUGE_PAGE = 1 << 21, MAPPED = 2 * HUGE_PAGE };

#define EVEN_PORTS UINT64_C(0x5555555555555555)

_Static_assert(offsetof(struct nat_address, inside[NAT_PROTOS - 1]) <= HUGE_PAGE, "one page has all but SCTP");
_Static_assert(sizeof(struct nat_address) <= MAPPED, "all of it is mapped");

/* On a huge page, so that a port anywhere costs no walk through the page tables; but what is of SCTP, which takes
 * memory only where it is used. */
struct nat_address *
nat_address_open(uint32_t address)
{
    uint8_t *mapped = mmap(NULL, MAPPED + HUGE_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (mapped == MAP_FAILED) {
        return NULL;
    }

    size_t before = -(uintptr_t)mapped & (HUGE_PAGE - 1);
    struct nat_address *made = (struct nat_address *)(mapped + before);

    if (before) {
        munmap(mapped, before);
    }
    munmap(mapped + before + MAPPED, HUGE_PAGE - before);
    madvise(made, HUGE_PAGE, MADV_HUGEPAGE);    /* A wish; it works without. */
    made->address = address;
    return made;
}

void
nat_address_close(struct nat_address *address)
{
    munmap(address, MAPPED);
}

bool
nat_port_take(struct nat_address *address, uint16_t port, uint64_t inside)
{
    unsigned ports = ports_of((uint8_t)inside);
    uint64_t bit = UINT64_C(1) << port % WORD;

    if (atomic_fetch_or_explicit(&address->used[ports][port / WORD], bit, memory_order_acquire)
        & bit) {
        return false;
    }
    atomic_store_explicit(&address->inside[ports][port], inside, memory_order_release);
    return true;
}

void
nat_port_give(struct nat_address *address, uint8_t proto, uint16_t port)
{
    unsigned ports = ports_of(proto);

    atomic_store_explicit(&address->inside[ports][port], 0, memory_order_relaxed);
    atomic_fetch_and_explicit(&address->used[ports][port / WORD], ~(UINT64_C(1) << port % WORD),
                              memory_order_release);
}

/* The bits of a word that are ports from 'first' to 'last'. */
static uint64_t
within(uint32_t word, uint16_t first, uint16_t last)
{
    uint64_t bits = UINT64_MAX;

    if (word == first / WORD) {
        bits &= UINT64_MAX << first % WORD;
    }
    if (word == last / WORD) {
        bits &= UINT64_MAX >> (WORD - 1 - last % WORD);
    }
    return bits;
}

/* The first bit that is set, from bit 'from' on and around. */
static unsigned
bit_from(uint64_t bits, unsigned from)
{
    uint64_t behind = bits & UINT64_MAX << from;

    return (unsigned)__builtin_ctzll(behind ? behind : bits);
}

/* Takes a port among those that 'which' lets through, from a random one on. */
static bool
take_any(struct nat_address *address, uint16_t first, uint16_t last, uint64_t which,
         uint64_t inside, uint64_t random, uint16_t *port)
{
    _Atomic uint64_t *used = address->used[ports_of((uint8_t)inside)];
    uint32_t word = first / WORD, n = last / WORD - word + 1, skip = (uint32_t)(random % n);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = word + (skip + i) % n;
        uint64_t free = ~atomic_load_explicit(&used[at], memory_order_relaxed) & which
                        & within(at, first, last);

        while (free) {
            unsigned bit = bit_from(free, random >> 58);

            *port = (uint16_t)(at * WORD + bit);
            if (nat_port_take(address, *port, inside)) {
                return true;
            }
            free &= ~(UINT64_C(1) << bit);
        }
    }
    return false;
}

bool
nat_port_choose(struct nat_address *address, uint16_t first, uint16_t last, uint64_t inside,
                uint64_t random, uint16_t *port)
{
    uint16_t own = port_of(inside);
    uint64_t same = own & 1 ? ~EVEN_PORTS : EVEN_PORTS;

    if (own >= first && own <= last && nat_port_take(address, own, inside)) {
        *port = own;
        return true;
    }
    return take_any(address, first, last, same, inside, random, port)
           || take_any(address, first, last, ~same, inside, random, port);
}

void
nat_port_prefetch(const struct nat_address *address, uint16_t first, uint16_t last, uint64_t inside,
                  uint64_t random)
{
    const unsigned ports = ports_of((uint8_t)inside);
    const uint16_t own = port_of(inside);
    const _Atomic uint64_t *used = address->used[ports];
    uint32_t port = own;

    if (own < first || own > last
        || atomic_load_explicit(&used[own / WORD], memory_order_relaxed) >> own % WORD & 1) {
        uint32_t word = first / WORD, n = last / WORD - word + 1;

        word += (uint32_t)(random % n);

        uint64_t free = ~atomic_load_explicit(&used[word], memory_order_relaxed)
                        & (own & 1 ? ~EVEN_PORTS : EVEN_PORTS) & within(word, first, last);

        port = free ? word * WORD + bit_from(free, random >> 58) : own;
    }
    __builtin_prefetch((const void *)&address->inside[ports][port], 1);
}

bool
nat_block_choose(struct nat_address *address, uint16_t first, uint16_t last, uint16_t size,
                 uint64_t random, uint16_t *block)
{
    uint32_t from = ((uint32_t)first + size - 1) / size, end = ((uint32_t)last + 1) / size;

    for (uint32_t i = 0; from + i < end; i++) {
        uint32_t at = from + (uint32_t)((random + i) % (end - from));
        uint64_t bit = UINT64_C(1) << at % WORD;

        if (!(atomic_fetch_or_explicit(&address->blocks[at / WORD], bit, memory_order_relaxed)
              & bit)) {
            *block = (uint16_t)(at * size);
            return true;
        }
    }
    return false;
}

void
nat_block_give(struct nat_address *address, uint16_t size, uint16_t block)
{
    uint32_t at = block / size;

    atomic_fetch_and_explicit(&address->blocks[at / WORD], ~(UINT64_C(1) << at % WORD),
                              memory_order_relaxed);
}
