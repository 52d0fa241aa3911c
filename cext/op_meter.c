/* Meter: counts packets, and drops or remarks those above a rate. */

#include <string.h>

#include "bridge.h"
#include "meter.h"
#include "offload.h"
#include "rewrite.h"
#include "worker.h"

/* --- What a band does to a packet ------------------------------------------------------- */

enum { IPV6_DSCP = 0x0fc0, IPV6_DSCP_SHIFT = 6 };      /* In the first 16 bits of the header. */

static void
remark_ipv4(uint8_t *ip, uint8_t by)
{
    uint8_t dscp = dscp_raise(ip[1] >> 2, by);

    rewrite_ipv4(ip, 0, (const uint8_t[]) { ip[0], dscp << 2 | (ip[1] & 3) }, 2);
}

static void
remark_ipv6(uint8_t *ip, uint8_t by)
{
    uint16_t first = get_be16(ip);
    uint8_t dscp = dscp_raise((first & IPV6_DSCP) >> IPV6_DSCP_SHIFT, by);

    put_be16(ip, (first & ~IPV6_DSCP) | dscp << IPV6_DSCP_SHIFT);
}

static void
remark(struct packet *p, uint8_t by)
{
    rewrite_begin(p);
    unsigned version = ip_version(p);
    if (version == 4) {
        remark_ipv4(p->data + p->l3, by);
    } else if (version == 6) {
        remark_ipv6(p->data + p->l3, by);
    }
    p->stale |= STALE_KEY;
}

/* --- Packets through a meter --------------------------------------------------------------- */

/* How many packets, and what in tokens, each packet counts as. */
struct measure {
    uint32_t packets[PACKET_VECTOR];
    uint32_t tokens[PACKET_VECTOR];
};

/* Counts what came. */
static void
measure(struct worker *worker, const struct meter *meter, bool in_packets,
        struct packet *const *packets, unsigned n, struct measure *m)
{
    uint64_t sum = 0, bytes = 0;

    for (unsigned i = 0; i < n; i++) {
        m->packets[i] = packets[i]->offload.gso_type ? offload_segments(packets[i]) : 1;
        m->tokens[i] = in_packets ? m->packets[i] : packets[i]->len;
        sum += m->packets[i];
        bytes += packets[i]->len;
    }
    counter_add(&worker->counters, meter->counter, sum, bytes, worker->now_ms);
}

/* Does what the bands that act on packets do; closes the gaps, and returns how many are left. */
static unsigned
carry_out(struct worker *worker, const struct bands *bands, const struct measure *m,
          const uint8_t *verdicts, struct packet **packets, unsigned n)
{
    struct packet *dropped[PACKET_VECTOR];
    unsigned kept = 0, n_dropped = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *packet = packets[i];
        const struct band *band = verdicts[i] == BAND_NONE ? NULL : &bands->band[verdicts[i]];

        if (band) {
            counter_add(&worker->counters, band->counter, m->packets[i], packet->len,
                        worker->now_ms);
        }
        if (band && band->type == BAND_DROP) {
            dropped[n_dropped++] = packet;
            continue;
        }
        if (band) {
            remark(packet, band->prec_level);
        }
        packets[kept++] = packet;
    }
    worker_drop(worker, dropped, n_dropped, DROP_meter);
    return kept;
}

unsigned
worker_meter(struct worker *worker, const struct meter *meter, struct packet **packets, unsigned n)
{
    struct bands *bands = atomic_load_explicit(&meter->bands, memory_order_acquire);
    uint8_t verdicts[PACKET_VECTOR];
    struct measure m;

    measure(worker, meter, bands->flags & METER_PKTPS, packets, n, &m);
    bands_judge(bands, worker->now_ns, m.tokens, n, verdicts);
    return carry_out(worker, bands, &m, verdicts, packets, n);
}

/* struct ofp_instruction_meter: type, len, meter_id. */
static uint32_t
meter_id(const struct insn *insn, const struct packet *packet)
{
    return get_be32(insn_args(insn, packet) + 4);
}

/* How many of the packets, from the first on, go through the same meter. */
static unsigned
run_of(const struct insn *insn, struct packet *const *packets, unsigned n, uint32_t id)
{
    unsigned run = 1;

    while (run < n && meter_id(insn, packets[run]) == id) {
        run++;
    }
    return run;
}

/* A meter that is gone was deleted with the flows that name it: what is still on
 * the way through one of them goes on unmetered.  What met no flow has it from the program of
 * its port, which stays. */
static unsigned
pass_unmetered(struct worker *worker, struct packet **packets, unsigned n)
{
    if (packet_walk(packets[0])->flow) {
        return n;
    }
    worker_drop(worker, packets, n, DROP_no_program);
    return 0;
}

unsigned
op_meter(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0, run; i < n; i += run) {
        uint32_t id = meter_id(insn, packets[i]);
        run = run_of(insn, packets + i, n - i, id);

        const struct meter *meter = meter_find(&packet_walk(packets[i])->bridge->meters, id);
        unsigned left = meter ? worker_meter(worker, meter, packets + i, run)
                              : pass_unmetered(worker, packets + i, run);
        memmove(packets + kept, packets + i, left * sizeof *packets);
        kept += left;
    }
    return kept;
}
