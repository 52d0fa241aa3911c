/* meter.c: rates over simulated time, exactly; against a bucket kept the plain way. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "meter.h"

#define S UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define START (UINT64_C(123456) * S)

enum { VECTOR = 32 };

static struct bands *
make_bands(uint16_t flags, unsigned n, const uint32_t (*rates_bursts)[2])
{
    struct bands *bands = bands_new(flags, n);

    assert_non_null(bands);
    for (unsigned i = 0; i < n; i++) {
        bands->band[i].type = BAND_DROP;
        bands->band[i].rate = rates_bursts[i][0];
        bands->band[i].burst = rates_bursts[i][1];
    }
    bands_start(bands, START);
    return bands;
}

static struct bands *
one_band(uint16_t flags, uint32_t rate, uint32_t burst)
{
    return make_bands(flags, 1, &(const uint32_t[2]) { rate, burst });
}

/* How many of 'n' equal packets that come at once pass. */
static unsigned
offer(struct bands *bands, uint64_t now_ns, uint32_t tokens, unsigned n)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < n; i++) {
        uint8_t verdict;
        bands_judge(bands, now_ns, &tokens, 1, &verdict);
        passed += verdict == BAND_NONE;
    }
    return passed;
}

/* --- Rates ------------------------------------------------------------------------------------- */

/* Offers 'load' times the rate in packets of 'size' tokens, vector after vector, from 'from' to
 * 'to'; returns the tokens that pass. */
static uint64_t
offer_load(struct bands *bands, double load, uint32_t size, uint64_t from, uint64_t to)
{
    const struct band *band = &bands->band[0];
    double per_ns = band->rate * load / (bands->flags & METER_PKTPS ? 1e9 : 8e6);
    uint64_t due = 0, offered = 0, passed = 0;
    uint64_t step = size / per_ns < 1e6 ? 100000 : size / per_ns;

    for (uint64_t now = from; now < to; now += step) {
        uint32_t tokens[VECTOR];
        uint8_t verdicts[VECTOR];
        unsigned n;
        due = (now + step - from) * per_ns / size;
        for (; offered < due; offered += n) {
            n = due - offered < VECTOR ? due - offered : VECTOR;
            for (unsigned i = 0; i < n; i++) {
                tokens[i] = size;
            }
            bands_judge(bands, now, tokens, n, verdicts);
            for (unsigned i = 0; i < n; i++) {
                passed += verdicts[i] == BAND_NONE ? size : 0;
            }
        }
    }
    return passed;
}

static const struct {
    uint16_t flags;
    uint32_t rate, size;
} loads[] = {
    { METER_PKTPS, 100, 1 },     { METER_PKTPS, 1000, 1 },     { METER_PKTPS, 10000, 1 },
    { METER_PKTPS, 1000000, 1 }, { METER_KBPS, 1000, 1500 },   { METER_KBPS, 10000, 1500 },
    { METER_KBPS, 100000, 64 },  { METER_KBPS, 1000000, 9000 }, { 0, 10000000, 1500 },
    { METER_KBPS, 3333, 333 },
};

enum { N_LOADS = sizeof loads / sizeof loads[0] };

static double
rate_per_s(unsigned i)
{
    return loads[i].flags & METER_PKTPS ? loads[i].rate : loads[i].rate * 125.0;
}

/* The first second may have the bucket too: 2 % of it, or two packets. */
static void
a_load_above_the_rate_gets_the_rate_within_2_percent(void **state)
{
    static const double over[] = { 1.1, 2.1, 10 };

    (void) state;
    for (unsigned i = 0; i < N_LOADS * 3; i++) {
        unsigned j = i / 3;
        struct bands *bands = one_band(loads[j].flags, loads[j].rate, 0);
        double rate = rate_per_s(j), packet = loads[j].size;

        double first = offer_load(bands, over[i % 3], loads[j].size, START, START + S);
        assert_true(first >= rate * 0.99 - packet);
        assert_true(first <= fmax(rate * 1.02, rate + 2 * 1518) + packet);
        double second = offer_load(bands, over[i % 3], loads[j].size, START + S, START + 2 * S);
        assert_true(fabs(second - rate) <= fmax(rate * 0.01, 2 * packet));
        free(bands);
    }
}

static void
a_load_below_the_rate_passes_whole(void **state)
{
    (void) state;
    for (unsigned i = 0; i < N_LOADS; i++) {
        struct bands *bands = one_band(loads[i].flags, loads[i].rate, 0);
        double passed = offer_load(bands, 0.98, loads[i].size, START, START + S);

        assert_true(passed >= rate_per_s(i) * 0.98 - 2 * loads[i].size);
        assert_true(passed <= rate_per_s(i) * 0.98 + 2 * loads[i].size);
        free(bands);
    }
}

/* Prices are rounded; the error stays far below what is promised up to 400 Gbit/s. */
static void
short_packets_at_high_rates_are_priced_right(void **state)
{
    static const uint32_t rates[] = { 1, 7, 1000000, 10000000, 100000000, 400000000 };

    (void) state;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct bands *bands = one_band(METER_KBPS, rates[i], 0);
        uint64_t full = bands->band[0].full;
        assert_int_equal(offer(bands, START, 60, 1), 1);
        double ns = (bands->band[0].full - full) / 64.0;
        assert_true(fabs(ns / (60 * 8e6 / rates[i]) - 1) < 0.007);
        free(bands);
    }
}

/* --- Buckets ------------------------------------------------------------------------------------- */

static void
a_burst_is_what_was_asked_for_and_not_a_packet_more(void **state)
{
    (void) state;
    struct bands *packets = one_band(METER_PKTPS | METER_BURST, 1000, 50);
    assert_int_equal(offer(packets, START, 1, 100), 50);
    assert_int_equal(offer(packets, START + MS - 1, 1, 100), 0);
    assert_int_equal(offer(packets, START + MS, 1, 100), 1);
    assert_int_equal(offer(packets, START + 11 * MS, 1, 100), 10);
    assert_int_equal(offer(packets, START + S, 1, 100), 50);
    free(packets);

    struct bands *bytes = one_band(METER_KBPS | METER_BURST, 8, 8);    /* 1000 bytes, 1 per ms. */
    assert_int_equal(offer(bytes, START, 100, 20), 10);
    assert_int_equal(offer(bytes, START + 100 * MS - 1, 100, 20), 0);
    assert_int_equal(offer(bytes, START + 100 * MS, 100, 20), 1);
    free(bytes);
}

static void
without_a_burst_the_bucket_holds_20_ms_or_two_packets(void **state)
{
    (void) state;
    struct bands *fast = one_band(METER_PKTPS, 100000, 0);
    assert_int_equal(offer(fast, START, 1, 10000), 2000);
    free(fast);
    struct bands *slow = one_band(METER_PKTPS, 1, 0);
    assert_int_equal(offer(slow, START, 1, 100), 2);
    free(slow);
    struct bands *bytes = one_band(METER_KBPS, 8, 0);
    assert_int_equal(offer(bytes, START, 1518, 100), 2);
    free(bytes);
}

static void
a_packet_bigger_than_the_bucket_passes_and_is_paid_for(void **state)
{
    (void) state;
    struct bands *bands = one_band(METER_KBPS | METER_BURST, 8, 8);    /* 1000 bytes, 1 per ms. */
    assert_int_equal(offer(bands, START, 60000, 3), 1);
    assert_int_equal(offer(bands, START + 59499 * MS, 60000, 1), 0);
    assert_int_equal(offer(bands, START + 59500 * MS, 60000, 1), 1);   /* Half full. */
    assert_int_equal(offer(bands, START + 119499 * MS, 60000, 1), 0);
    assert_int_equal(offer(bands, START + 119500 * MS, 60000, 1), 1);
    free(bands);
}

static void
a_bucket_is_full_after_any_time_without_packets(void **state)
{
    static const uint64_t later[] = { 1, 3600, 86400 * 365, UINT64_C(86400) * 365 * 4 };

    (void) state;
    for (unsigned i = 0; i < sizeof later / sizeof later[0]; i++) {
        struct bands *bands = one_band(METER_PKTPS | METER_BURST, 100, 10);
        assert_int_equal(offer(bands, START, 1, 100), 10);
        assert_int_equal(offer(bands, START + later[i] * S, 1, 100), 10);
        free(bands);
    }
}

static void
the_largest_bursts_are_held_up_to_half_a_year_of_the_rate(void **state)
{
    static const uint16_t units[] = { METER_KBPS, METER_PKTPS };

    (void) state;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            struct bands *bands = one_band(units[i] | METER_BURST, j ? UINT32_MAX : 1, UINT32_MAX);
            assert_int_equal(offer(bands, START, 1518, 1000), 1000);
            free(bands);
        }
    }
}

/* A worker that began its round a little earlier than another sees no other bucket. */
static void
time_that_goes_back_a_little_gives_nothing(void **state)
{
    (void) state;
    struct bands *bands = one_band(METER_PKTPS | METER_BURST, 1000, 10);
    assert_int_equal(offer(bands, START, 1, 20), 10);
    assert_int_equal(offer(bands, START - MS, 1, 20), 0);
    assert_int_equal(offer(bands, START + MS, 1, 20), 1);
    free(bands);
}

/* The plain way: tokens in floating point, refilled before each packet. */
struct plain_bucket {
    double tokens, depth, per_ns;
    uint64_t at;
};

static bool
plain_pass(struct plain_bucket *bucket, uint64_t now, double tokens, double *margin)
{
    bucket->tokens = fmin(bucket->depth, bucket->tokens + (now - bucket->at) * bucket->per_ns);
    bucket->at = now;
    double missing = fmin(tokens, bucket->depth / 2) - bucket->tokens;
    *margin = fabs(missing) / bucket->depth;
    if (missing <= 0) {
        bucket->tokens -= tokens;
    }
    return missing <= 0;
}

static void
random_packets_are_judged_as_by_a_plain_bucket(void **state)
{
    (void) state;
    srand(7);
    for (unsigned i = 0; i < 200; i++) {
        uint32_t rate = 1 + rand() % 1000000, burst = 1 + rand() % 1000, size = 1 + rand() % 3000;
        struct bands *bands = one_band(METER_KBPS | METER_BURST, rate, burst);
        struct plain_bucket plain = { burst * 125.0, burst * 125.0, rate / 8e6, START };
        double gap = 2.0 * size / plain.per_ns;
        uint64_t now = START;

        for (unsigned j = 0; j < 1000; j++) {
            uint32_t tokens = 1 + rand() % size;
            struct plain_bucket before = plain;
            double margin;
            now += gap * (rand() % 1000) / 2000;
            bool passed = offer(bands, now, tokens, 1);
            if (plain_pass(&plain, now, tokens, &margin) != passed) {
                assert_true(margin < 1e-3);         /* Rounding; go on with its verdict. */
                plain.tokens = before.tokens + (now - before.at) * plain.per_ns;
                plain.tokens = fmin(plain.tokens, plain.depth) - (passed ? tokens : 0);
            }
        }
        free(bands);
    }
}

/* --- Several bands ------------------------------------------------------------------------------------ */

static void
count_verdicts(struct bands *bands, uint64_t now, unsigned n, unsigned counts[BANDS_MAX + 1])
{
    uint32_t token = 1;

    for (unsigned i = 0; i < n; i++) {
        uint8_t verdict;
        bands_judge(bands, now, &token, 1, &verdict);
        counts[verdict == BAND_NONE ? bands->n : verdict]++;
    }
}

static void
the_highest_rate_that_is_exceeded_acts_however_bands_were_sent(void **state)
{
    static const uint32_t rates[2][3][2] = {
        { { 1000, 10 }, { 2000, 20 }, { 3000, 30 } }, { { 3000, 30 }, { 1000, 10 }, { 2000, 20 } },
    };
    static const unsigned place[2][3] = { { 0, 1, 2 }, { 1, 2, 0 } };     /* Of 1000, 2000, 3000. */

    (void) state;
    for (unsigned i = 0; i < 2; i++) {
        struct bands *bands = make_bands(METER_PKTPS | METER_BURST, 3, rates[i]);
        unsigned counts[BANDS_MAX + 1] = { 0 };

        for (uint64_t ms = 0; ms < 1000; ms++) {
            count_verdicts(bands, START + ms * MS, 5, counts);      /* 5000 packets/s */
        }
        assert_in_range(counts[3], 999, 1010);                      /* Below all rates. */
        assert_in_range(counts[place[i][0]], 985, 1010);
        assert_in_range(counts[place[i][1]], 985, 1010);
        assert_in_range(counts[place[i][2]], 1970, 2001);
        free(bands);
    }
}

/* RFC 2698: what is red takes nothing from the bucket of yellow. */
static void
what_a_band_acts_on_takes_nothing_from_lower_bands(void **state)
{
    static const uint32_t rates[2][2] = { { 100, 50 }, { 1000, 10 } };

    (void) state;
    struct bands *bands = make_bands(METER_PKTPS | METER_BURST, 2, rates);
    unsigned counts[BANDS_MAX + 1] = { 0 };
    count_verdicts(bands, START, 100, counts);
    assert_int_equal(counts[2], 10);
    assert_int_equal(counts[1], 90);
    count_verdicts(bands, START + 40 * MS, 10, counts);     /* 40 of the lower band's are left. */
    assert_int_equal(counts[2], 20);
    assert_int_equal(counts[0], 0);
    free(bands);
}

static void
of_equal_rates_the_first_band_acts(void **state)
{
    static const uint32_t rates[3][2] = { { 10, 1 }, { 100, 5 }, { 100, 5 } };

    (void) state;
    struct bands *bands = make_bands(METER_PKTPS | METER_BURST, 3, rates);
    assert_int_equal(bands->by_rate[0], 1);
    assert_int_equal(bands->by_rate[1], 2);
    assert_int_equal(bands->by_rate[2], 0);
    free(bands);
}

static void
a_vector_is_judged_as_its_packets_one_by_one(void **state)
{
    static const uint32_t rates[3][2] = { { 80, 9 }, { 400, 20 }, { 200, 12 } };
    uint32_t tokens[VECTOR];
    uint8_t together[VECTOR], alone;

    (void) state;
    srand(3);
    struct bands *a = make_bands(METER_BURST, 3, rates), *b = make_bands(METER_BURST, 3, rates);
    for (uint64_t now = START; now < START + 2 * S; now += rand() % (30 * MS)) {
        unsigned n = 1 + rand() % VECTOR;
        for (unsigned i = 0; i < n; i++) {
            tokens[i] = 1 + rand() % 900;
        }
        bands_judge(a, now, tokens, n, together);
        for (unsigned i = 0; i < n; i++) {
            bands_judge(b, now, &tokens[i], 1, &alone);
            assert_int_equal(together[i], alone);
        }
    }
    free(a);
    free(b);
}

static void
a_meter_without_bands_lets_everything_pass(void **state)
{
    (void) state;
    struct bands *bands = make_bands(METER_PKTPS, 0, NULL);
    assert_int_equal(offer(bands, START, 1, 1000), 1000);
    free(bands);
}

/* --- Remarking ------------------------------------------------------------------------------------------ */

/* RFC 2597, section 6, and RFC 2474: class selectors and EF are not assured forwarding. */
static void
the_drop_precedence_is_raised_within_its_class(void **state)
{
    (void) state;
    for (unsigned class = 1; class <= 4; class++) {
        unsigned low = class << 3 | 2, medium = class << 3 | 4, high = class << 3 | 6;
        assert_int_equal(dscp_raise(low, 1), medium);
        assert_int_equal(dscp_raise(low, 2), high);
        assert_int_equal(dscp_raise(low, 3), high);
        assert_int_equal(dscp_raise(medium, 1), high);
        assert_int_equal(dscp_raise(medium, 255), high);
        assert_int_equal(dscp_raise(high, 1), high);
    }
    for (unsigned dscp = 0; dscp < 64; dscp++) {
        bool assured = dscp >> 3 >= 1 && dscp >> 3 <= 4 && dscp & 6 && !(dscp & 1);
        assert_true(assured || dscp_raise(dscp, 1) == dscp);
        assert_int_equal(dscp_raise(dscp, 1) >> 3, dscp >> 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_above_the_rate_gets_the_rate_within_2_percent),
        cmocka_unit_test(a_load_below_the_rate_passes_whole),
        cmocka_unit_test(short_packets_at_high_rates_are_priced_right),
        cmocka_unit_test(a_burst_is_what_was_asked_for_and_not_a_packet_more),
        cmocka_unit_test(without_a_burst_the_bucket_holds_20_ms_or_two_packets),
        cmocka_unit_test(a_packet_bigger_than_the_bucket_passes_and_is_paid_for),
        cmocka_unit_test(a_bucket_is_full_after_any_time_without_packets),
        cmocka_unit_test(the_largest_bursts_are_held_up_to_half_a_year_of_the_rate),
        cmocka_unit_test(time_that_goes_back_a_little_gives_nothing),
        cmocka_unit_test(random_packets_are_judged_as_by_a_plain_bucket),
        cmocka_unit_test(the_highest_rate_that_is_exceeded_acts_however_bands_were_sent),
        cmocka_unit_test(what_a_band_acts_on_takes_nothing_from_lower_bands),
        cmocka_unit_test(of_equal_rates_the_first_band_acts),
        cmocka_unit_test(a_vector_is_judged_as_its_packets_one_by_one),
        cmocka_unit_test(a_meter_without_bands_lets_everything_pass),
        cmocka_unit_test(the_drop_precedence_is_raised_within_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
