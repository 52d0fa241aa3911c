/* Nicira's actions on registers and fields, and small ones that have no file of their own. */

#include "bridge.h"
#include "bytes.h"
#include "ofwire.h"
#include "rewrite.h"
#include "subfield.h"
#include "worker.h"

/* What comes first in an action: type, len, vendor, subtype; then its arguments. */
enum { ARGS_AT = 10 };

/* --- Load and move ------------------------------------------------------------------------------- */

/* First bit and number of bits less one, as one 16-bit number. */
static struct subfield
packed_subfield(enum field field, uint16_t bits)
{
    return (struct subfield) { (uint8_t)field, (uint8_t)(bits >> 6), (uint8_t)((bits & 63) + 1) };
}

/* struct nx_action_reg_load: bits at 10, field 12, value 16. */
unsigned
op_reg_load(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]);

        subfield_write(packets[i], packed_subfield(insn->field, get_be16(args + ARGS_AT)),
                       get_be64(args + 16));
    }
    return n;
}

/* struct nx_action_reg_load2: an OXM with or without mask at 16. */
unsigned
op_reg_load2(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    enum { VALUE_AT = 20, HAS_MASK_AT = 18 };
    const struct field_info *info = &field_table[insn->field];

    (void)worker;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]), *value = args + VALUE_AT;
        uint8_t new[16];

        packet_refresh(packets[i]);
        field_get(&packet_walk(packets[i])->key, insn->field, new);
        for (unsigned j = 0; j < info->size; j++) {
            uint8_t mask = args[HAS_MASK_AT] & 1 ? value[info->size + j] : 0xff;
            new[j] = (uint8_t)((new[j] & ~mask) | (value[j] & mask));
        }
        packet_set_field(packets[i], insn->field, new);
    }
    return n;
}

/* struct nx_action_reg_move: bits at 10, first bit of the source 12, of the destination 14. */
unsigned
op_reg_move(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]);
        uint8_t bits = (uint8_t)get_be16(args + ARGS_AT);
        struct subfield from = { insn->source, (uint8_t)get_be16(args + 12), bits };
        struct subfield to = { insn->field, (uint8_t)get_be16(args + 14), bits };

        subfield_write(packets[i], to, subfield_read(packets[i], from));
    }
    return n;
}

/* --- The stack ----------------------------------------------------------------------------------- */

/* struct nx_action_stack: first bit at 10, field 12, bits 16. */
static struct subfield
stack_subfield(const struct insn *insn, const uint8_t *args)
{
    return (struct subfield) { insn->field, (uint8_t)get_be16(args + ARGS_AT),
                               (uint8_t)get_be16(args + 16) };
}

/* A packet that pushes more than there is room for is dropped. */
unsigned
op_stack_push(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);
        unsigned __int128 value;

        if (walk->n_stack == STACK_SIZE) {
            worker_drop(worker, &packets[i], 1, DROP_depth);
            continue;
        }
        value = subfield_read(packets[i], stack_subfield(insn, insn_args(insn, packets[i])));
        walk->stack[walk->n_stack][0] = (uint64_t)(value >> 64);
        walk->stack[walk->n_stack++][1] = (uint64_t)value;
        packets[kept++] = packets[i];
    }
    return kept;
}

/* An empty stack has nothing to give. */
unsigned
op_stack_pop(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker;
    for (unsigned i = 0; i < n; i++) {
        struct walk *walk = packet_walk(packets[i]);

        if (walk->n_stack) {
            const uint64_t *top = walk->stack[--walk->n_stack];

            subfield_write(packets[i], stack_subfield(insn, insn_args(insn, packets[i])),
                           (unsigned __int128)top[0] << 64 | top[1]);
        }
    }
    return n;
}

/* --- Output -------------------------------------------------------------------------------------- */

/* The packet to send away: itself, or a copy if it is needed afterwards, which goes to 'packets'. */
static struct packet *
to_send(struct worker *worker, const struct insn *insn, struct packet *packet,
        struct packet **packets, unsigned *kept)
{
    if (!packet_stays(insn, packet)) {
        return packet;
    }
    packets[(*kept)++] = packet;
    packet->copied = true;
    return worker_copy(worker, packet);
}

/* struct nx_action_output_reg: bits at 10, field 12, max_len 16. */
unsigned
op_output_reg(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]);
        struct subfield sub = packed_subfield(insn->field, get_be16(args + ARGS_AT));
        uint32_t port = ofwire_port(subfield_read(packets[i], sub));
        struct packet *packet = to_send(worker, insn, packets[i], packets, &kept);

        if (packet) {
            worker_output(worker, packet, port, get_be16(args + 16));
        }
    }
    return kept;
}

/* struct nx_action_controller: max_len at 10, controller id 12, reason 14. */
unsigned
op_controller(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        const uint8_t *args = insn_args(insn, packets[i]);
        struct packet *packet = to_send(worker, insn, packets[i], packets, &kept);

        if (packet) {
            worker_punt(worker, packet, args[14], get_be16(args + ARGS_AT));
        }
    }
    return kept;
}

/* --- The rest ------------------------------------------------------------------------------------ */

unsigned
op_pop_queue(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker, (void)insn;
    for (unsigned i = 0; i < n; i++) {
        packets[i]->out_queue = 0;
    }
    return n;
}

/* Bytes that a controller wants to find again in the entry. */
unsigned
op_note(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    (void)worker, (void)insn, (void)packets;
    return n;
}
