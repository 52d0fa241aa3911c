/* ECMP: see ecmp.h. */

#include "ecmp.h"

static uint64_t
weight_of(const struct ecmp_member *member)
{
    return member->weight ? member->weight : 1;
}

unsigned
ecmp_buckets(const struct ecmp_member members[], unsigned n_members)
{
    uint64_t sum = 0, least = UINT16_MAX;
    unsigned n = ECMP_MIN_BUCKETS;

    for (unsigned i = 0; i < n_members; i++) {
        const uint64_t weight = weight_of(&members[i]);
        sum += weight;
        least = weight < least ? weight : least;
    }
    while (n < ECMP_MAX_BUCKETS && n * least < ECMP_FINENESS * sum) {
        n *= 2;
    }
    return n;
}

/* Whether 'a', which has 'n_a' buckets (at least one), is nearer to the next one than 'b'.  Among equals
 * the lower id is: whoever else is there must make no difference. */
static int
comes_before(const struct ecmp_member *a, uint64_t n_a, const struct ecmp_member *b, uint64_t n_b)
{
    const uint64_t of_a = weight_of(a) * weight_of(a) * (n_b * (n_b + 1));
    const uint64_t of_b = weight_of(b) * weight_of(b) * (n_a * (n_a + 1));

    return of_a != of_b ? of_a > of_b : a->id < b->id;
}

/* How many of 'n' buckets each member is to have. */
static void
apportion(const struct ecmp_member members[], unsigned n_members, unsigned n, uint32_t shares[])
{
    for (unsigned i = 0; i < n_members; i++) {
        shares[i] = 1;
    }
    for (unsigned left = n - n_members; left; left--) {
        unsigned next = 0;
        for (unsigned i = 1; i < n_members; i++) {
            if (comes_before(&members[i], shares[i], &members[next], shares[next])) {
                next = i;
            }
        }
        shares[next]++;
    }
}

static unsigned
find_member(const struct ecmp_member members[], unsigned n_members, uint32_t id)
{
    unsigned i = 0;

    while (i < n_members && members[i].id != id) {
        i++;
    }
    return i;
}

/* Takes what stays as it is from the shares; the other buckets become 0.  Returns how many those are. */
static unsigned
keep(uint32_t buckets[], unsigned n, const struct ecmp_member members[], unsigned n_members,
     uint32_t shares[])
{
    unsigned n_free = 0;

    for (unsigned i = 0; i < n; i++) {
        const unsigned member = find_member(members, n_members, buckets[i]);
        if (member < n_members && shares[member]) {
            shares[member]--;
        } else {
            buckets[i] = 0;
            n_free++;
        }
    }
    return n_free;
}

unsigned
ecmp_fill(uint32_t buckets[], unsigned n, const uint32_t old[], unsigned n_old,
          const struct ecmp_member members[], unsigned n_members)
{
    uint32_t shares[ECMP_MAX_MEMBERS] = { 0 };
    unsigned member = 0;

    for (unsigned i = 0; i < n; i++) {
        buckets[i] = n_old ? old[i % n_old] : 0;
    }
    if (n_members) {
        apportion(members, n_members, n, shares);
    }
    const unsigned n_free = keep(buckets, n, members, n_members, shares);
    for (unsigned i = 0; n_members && i < n; i++) {
        if (!buckets[i]) {
            while (!shares[member]) {
                member = (member + 1) % n_members;
            }
            buckets[i] = members[member].id;
            shares[member]--;
            member = (member + 1) % n_members;
        }
    }
    return n_free;
}
