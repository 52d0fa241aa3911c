#ifndef TEST_WIRE_H
#define TEST_WIRE_H

/* Whole OpenFlow messages, appended to a frame one after the other: flow-mods, group-mods and
 * meter-mods from a few numbers, the rest piece by piece.  What is left out of a struct is "nothing" or "any". */

#include "bridge.h"
#include "openflow.h"

enum { WIRE_ADD, WIRE_MODIFY, WIRE_MODIFY_STRICT, WIRE_DELETE, WIRE_DELETE_STRICT };
enum { WIRE_SEND_FLOW_REM = 1, WIRE_CHECK_OVERLAP = 2, WIRE_RESET_COUNTS = 4 };
enum { WIRE_GROUP_ADD, WIRE_GROUP_MODIFY, WIRE_GROUP_DELETE };

/* Types of messages and of instructions. */
enum { WIRE_EXPERIMENTER = 4, WIRE_PACKET_OUT = 13, WIRE_FLOW_MOD, WIRE_GROUP_MOD, WIRE_PORT_MOD, WIRE_TABLE_MOD,
       WIRE_METER_MOD = 29 };
enum { WIRE_GOTO = 1, WIRE_METADATA, WIRE_WRITE, WIRE_APPLY, WIRE_CLEAR, WIRE_METER };

static inline size_t
wire_begin(struct frame *f, unsigned type)
{
    size_t start = f->len;

    frame_add32(f, 4u << 24 | type << 16);
    frame_add32(f, 0x11223344);
    return start;
}

static inline void
frame_add64(struct frame *f, uint64_t value)
{
    frame_add32(f, (uint32_t)(value >> 32));
    frame_add32(f, (uint32_t)value);
}

/* A condition; a mask of 0 means exactly the value. */
struct wire_oxm {
    enum field field;
    uint64_t value, mask;
};

struct wire_flow {
    unsigned command, table, priority, idle, hard, flags;
    uint64_t cookie, cookie_mask;
    uint32_t out_port, out_group;       /* 0: any. */
    unsigned n_match;
    struct wire_oxm match[4];
    /* Instructions, in the order of this list; 0: none. */
    uint32_t meter;
    uint32_t output[2], group;          /* To apply. */
    bool clear;
    uint32_t write_output, write_group;
    uint64_t metadata;
    unsigned go_to;
};

static inline void
wire_match(struct frame *f, const struct wire_oxm *match, unsigned n)
{
    size_t start = of_begin_match(f);

    for (unsigned i = 0; i < n; i++) {
        if (match[i].mask) {
            of_oxm_masked(f, match[i].field, match[i].value, match[i].mask);
        } else {
            of_oxm(f, match[i].field, match[i].value);
        }
    }
    of_end_match(f, start);
}

/* The part of a flow-mod in front of its match. */
static inline size_t
wire_flow_head(struct frame *f, const struct wire_flow *flow)
{
    size_t start = wire_begin(f, WIRE_FLOW_MOD);

    frame_add64(f, flow->cookie);
    frame_add64(f, flow->cookie_mask);
    frame_add8(f, flow->table);
    frame_add8(f, flow->command);
    frame_add16(f, flow->idle);
    frame_add16(f, flow->hard);
    frame_add16(f, flow->priority);
    frame_add32(f, UINT32_MAX);
    frame_add32(f, flow->out_port ? flow->out_port : PORT_ANY);
    frame_add32(f, flow->out_group ? flow->out_group : GROUP_ANY);
    frame_add16(f, flow->flags);
    frame_add16(f, 0);
    return start;
}

/* An instruction with the given outputs and group, if there are any. */
static inline void
wire_actions(struct frame *f, unsigned type, const uint32_t output[2], uint32_t group)
{
    if (!output[0] && !output[1] && !group) {
        return;
    }
    size_t start = of_begin_actions(f, type);
    for (unsigned i = 0; i < 2; i++) {
        if (output[i]) {
            of_output(f, output[i]);
        }
    }
    if (group) {
        of_short(f, 22, group);
    }
    of_end(f, start);
}

static inline void
wire_instructions(struct frame *f, const struct wire_flow *flow)
{
    if (flow->meter) {
        of_short(f, WIRE_METER, flow->meter);
    }
    wire_actions(f, WIRE_APPLY, flow->output, flow->group);
    if (flow->clear) {
        of_short(f, WIRE_CLEAR, 0);
    }
    wire_actions(f, WIRE_WRITE, (const uint32_t[2]) { flow->write_output }, flow->write_group);
    if (flow->metadata) {
        of_metadata(f, flow->metadata, UINT64_MAX);
    }
    if (flow->go_to) {
        of_short(f, WIRE_GOTO, flow->go_to << 24);
    }
}

static inline void
wire_flow(struct frame *f, const struct wire_flow *flow)
{
    size_t start = wire_flow_head(f, flow);

    wire_match(f, flow->match, flow->n_match);
    wire_instructions(f, flow);
    of_end(f, start);
}

struct wire_bucket {
    unsigned weight;
    uint32_t watch_port, watch_group;   /* 0: any. */
    uint32_t output, group;             /* 0: none. */
};

struct wire_group {
    unsigned command, type;
    uint32_t id;
    unsigned n;
    struct wire_bucket bucket[4];
};

static inline void
wire_bucket(struct frame *f, const struct wire_bucket *bucket)
{
    size_t start = f->len;

    frame_add16(f, 0);
    frame_add16(f, bucket->weight);
    frame_add32(f, bucket->watch_port ? bucket->watch_port : PORT_ANY);
    frame_add32(f, bucket->watch_group ? bucket->watch_group : GROUP_ANY);
    frame_add32(f, 0);
    if (bucket->output) {
        of_output(f, bucket->output);
    }
    if (bucket->group) {
        of_short(f, 22, bucket->group);
    }
    put_be16(f->data + start, (uint16_t)(f->len - start));
}

static inline void
wire_group(struct frame *f, const struct wire_group *group)
{
    size_t start = wire_begin(f, WIRE_GROUP_MOD);

    frame_add16(f, group->command);
    frame_add8(f, group->type);
    frame_add8(f, 0);
    frame_add32(f, group->id);
    for (unsigned i = 0; i < group->n; i++) {
        wire_bucket(f, &group->bucket[i]);
    }
    of_end(f, start);
}

struct wire_band {
    unsigned type;                      /* 0: drop. */
    uint32_t rate, burst;
    unsigned prec_level;
};

struct wire_meter {
    unsigned command, flags;
    uint32_t id;
    unsigned n;
    struct wire_band band[4];
};

static inline void
wire_band(struct frame *f, const struct wire_band *band)
{
    frame_add16(f, band->type ? band->type : BAND_DROP);
    frame_add16(f, 16);
    frame_add32(f, band->rate);
    frame_add32(f, band->burst);
    frame_add32(f, band->prec_level << 24);
}

static inline void
wire_meter(struct frame *f, const struct wire_meter *meter)
{
    size_t start = wire_begin(f, WIRE_METER_MOD);

    frame_add16(f, meter->command);
    frame_add16(f, meter->flags);
    frame_add32(f, meter->id);
    for (unsigned i = 0; i < meter->n; i++) {
        wire_band(f, &meter->band[i]);
    }
    of_end(f, start);
}

/* A template of the instructions of a flow; items are numbered as they lie there, from 0. */
struct wire_template {
    unsigned command;
    uint32_t id;
    uint64_t parameters;
    const char *name;
    struct wire_flow of;
};

/* The part of a template-mod in front of its instructions. */
static inline size_t
wire_template_head(struct frame *f, const struct wire_template *template)
{
    char name[32] = "";
    size_t start = wire_begin(f, WIRE_EXPERIMENTER);

    strncpy(name, template->name ? template->name : "", sizeof name - 1);
    frame_add32(f, 0x00524348);
    frame_add32(f, 1);
    frame_add32(f, template->command << 16);
    frame_add32(f, template->id);
    frame_add64(f, template->parameters);
    frame_add(f, name, sizeof name);
    return start;
}

static inline void
wire_template(struct frame *f, const struct wire_template *template)
{
    size_t start = wire_template_head(f, template);

    wire_instructions(f, &template->of);
    of_end(f, start);
}

/* Begins the instruction of a flow that refers to a template; its arguments follow. */
static inline size_t
wire_begin_use(struct frame *f, uint32_t id)
{
    size_t start = f->len;

    frame_add32(f, 0xffffu << 16);
    frame_add32(f, 0x00524348);
    frame_add32(f, 1 << 16);
    frame_add32(f, id);
    return start;
}

/* A flow whose one argument is an output to 'port', or which has none if that is 0. */
static inline void
wire_flow_of(struct frame *f, const struct wire_flow *flow, uint32_t id, uint32_t port)
{
    size_t start = wire_flow_head(f, flow), use;

    wire_match(f, flow->match, flow->n_match);
    use = wire_begin_use(f, id);
    if (port) {
        of_output(f, port);
    }
    of_end(f, use);
    of_end(f, start);
}

/* A packet-out of 'frame' to one port. */
static inline void
wire_packet_out(struct frame *f, uint32_t in_port, uint32_t output, const struct frame *frame)
{
    size_t start = wire_begin(f, WIRE_PACKET_OUT);

    frame_add32(f, UINT32_MAX);
    frame_add32(f, in_port);
    frame_add16(f, output ? 16 : 0);
    frame_add48(f, 0);
    if (output) {
        of_output(f, output);
    }
    frame_add(f, frame->data, frame->len);
    of_end(f, start);
}

static inline void
wire_port_mod(struct frame *f, uint32_t number, const uint8_t mac[6], uint32_t config,
              uint32_t mask)
{
    size_t start = wire_begin(f, WIRE_PORT_MOD);

    frame_add64(f, (uint64_t)number << 32);
    frame_add(f, mac, 6);
    frame_add16(f, 0);
    frame_add32(f, config);
    frame_add32(f, mask);
    frame_add64(f, 0);
    of_end(f, start);
}

static inline void
wire_table_mod(struct frame *f, unsigned table, uint32_t config)
{
    size_t start = wire_begin(f, WIRE_TABLE_MOD);

    frame_add32(f, table << 24);
    frame_add32(f, config);
    of_end(f, start);
}

/* The body of a request for flow or aggregate statistics. */
static inline void
wire_flow_request(struct frame *f, const struct wire_flow *flow)
{
    frame_add32(f, flow->table << 24);
    frame_add32(f, flow->out_port ? flow->out_port : PORT_ANY);
    frame_add32(f, flow->out_group ? flow->out_group : GROUP_ANY);
    frame_add32(f, 0);
    frame_add64(f, flow->cookie);
    frame_add64(f, flow->cookie_mask);
    wire_match(f, flow->match, flow->n_match);
}

#endif
