/* Whatever OpenFlow messages come, and whatever packets in between: no crash; each message has a
 * result; a dump shows as many flows as the bridge says it has, in whole entries; every packet is
 * accounted for; and when all flows, groups and meters are deleted, no program or counter is left.
 *
 * An input is a run of records: a byte that says what it is (see 'kinds'), two bytes of length,
 * and that many bytes. */

#include "driver.h"

#include "../cext/hexactions.h"
#include "../cext/stamping.h"

enum { HEADER = 3, MAX_RESULTS = 64 };

static uint32_t n_counters;             /* Of the bridge itself. */

static uint32_t
counters_in_use(const struct rig *rig)
{
    return rig->dataplane.counters.n_used - rig->dataplane.counters.n_free;
}

/* One rig serves all inputs: to make one takes longer than most of them. */
static struct rig *
the_rig(void)
{
    static struct rig *rig;

    if (!rig) {
        rig = rig_new();
        stamping_take(&rig->dataplane);
        n_counters = counters_in_use(rig);
    }
    return rig;
}

/* --- Records -------------------------------------------------------------------------------------- */

static void
try_messages(struct rig *rig, const uint8_t *data, size_t size)
{
    uint32_t results[MAX_RESULTS];
    size_t n = bridge_apply_all(rig->bridge, data, size, results, MAX_RESULTS, rig->now);

    CHECK(n <= MAX_RESULTS);
    for (size_t i = 0; i < n; i++) {
        CHECK(results[i] == OFWIRE_OK || results[i] >> 16 <= OFPET_TABLE_FEATURES_FAILED
              || (results[i] >= OFWIRE_TEMPLATE(BAD_COMMAND)
                  && results[i] <= OFWIRE_TEMPLATE(NO_MEMORY)));
    }
}

static void
try_packet(struct rig *rig, const uint8_t *data, size_t size)
{
    unsigned port = size ? 1 + data[size - 1] % RIG_PORTS : 1;

    if (size >= 14) {
        port_memory_put(&rig->ports[port], data, size, NULL);
    }
    rig_run(rig);
}

/* The first byte is the type. */
static void
try_multipart(struct rig *rig, const uint8_t *data, size_t size)
{
    struct buffer out = { 0 }, ends = { 0 };
    uint32_t last = 0;

    if (!size) {
        return;
    }
    unsigned type = data[0] % 16 == 15 ? 0xffff : data[0] % 16;
    uint32_t result = bridge_multipart(rig->bridge, type, data + 1, size - 1, &out, &ends, rig->now);
    CHECK(!out.failed && !ends.failed && ends.len % 4 == 0);
    for (size_t part = 0; result == OFWIRE_OK && part < ends.len / 4; part++) {
        uint32_t end = rig_part_end(&ends, part);
        CHECK(end >= last && end - last <= 65000);
        last = end;
    }
    CHECK(result != OFWIRE_OK || last == out.len);
    buffer_close(&out);
    buffer_close(&ends);
}

static void
try_time(struct rig *rig, const uint8_t *data, size_t size)
{
    rig_tick(rig, size ? data[0] * 100u : 10);
}

static void (*const kinds[])(struct rig *, const uint8_t *, size_t) = {
    try_messages, try_packet, try_multipart, try_time,
};

/* --- What holds then ---------------------------------------------------------------------------------- */

/* Every event is a whole message. */
static void
check_events(struct buffer *events)
{
    for (size_t at = 0, size; at < events->len; at += size) {
        CHECK(events->len - at >= 8);
        size = get_be16(events->data + at + 2);
        CHECK(size >= 8 && size <= events->len - at);
    }
    events->len = 0;
}

static void
take_punts(struct rig *rig)
{
    struct buffer out = { 0 };
    struct punt *punt;

    while ((punt = worker_punt_peek(rig->worker))) {
        bridge_packet_in(punt, &out);
        worker_punt_consume(rig->worker);
    }
    check_events(&out);
    buffer_close(&out);
}

static void
restore_ports(struct rig *rig)
{
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        rig_take(rig, i, NULL);
        atomic_store(&rig->at[i]->config, 0);
        rig->ports[i].ops->set_admin(&rig->ports[i], true);
    }
}

enum { METER_MOD = 29, METER_ADD = 0, METER_DELETE = 2, METER_DROP = 1 };

/* A meter-mod of 'kbps', with a band that drops if that is not 0. */
static void
add_meter(struct frame *f, unsigned command, uint32_t id, uint32_t kbps)
{
    size_t start = wire_begin(f, METER_MOD);

    frame_add16(f, command);
    frame_add16(f, 1);
    frame_add32(f, id);
    if (kbps) {
        frame_add32(f, METER_DROP << 16 | 16);
        frame_add32(f, kbps);
        frame_add64(f, 0);
    }
    of_end(f, start);
}

/* Deletes everything and sees that it is gone. */
static void
clear(struct rig *rig)
{
    add_meter(&rig->f, METER_DELETE, UINT32_MAX, 0);
    CHECK(rig_apply(rig) == OFWIRE_OK);
    CHECK(FLOW(.command = WIRE_DELETE, .table = 255) == OFWIRE_OK);
    wire_template(&rig->f, &(const struct wire_template) {
        .command = TEMPLATE_DELETE, .id = TEMPLATE_ALL,
    });
    CHECK(rig_apply(rig) == OFWIRE_OK);
    CHECK(GROUP(.command = WIRE_GROUP_DELETE, .id = GROUP_ALL_GROUPS) == OFWIRE_OK);
    CHECK(!rig->bridge->n_flows && !rig->bridge->groups.map.n && !rig->bridge->wheel.n_running);
    check_events(&rig->bridge->events);
    rig_tick(rig, 10);
    CHECK(!rig->dataplane.epoch.n_retired);
    CHECK(rig->dataplane.programs.n_programs == rig->n_programs);
    CHECK(counters_in_use(rig) == n_counters);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig *rig = the_rig();

    while (size >= HEADER) {
        size_t len = (size_t)data[1] << 8 | data[2];
        len = len < size - HEADER ? len : size - HEADER;
        /* Exactly its bytes, so that none behind them is read unnoticed. */
        uint8_t *record = malloc(len ? len : 1);
        CHECK(record);
        memcpy(record, data + HEADER, len);
        kinds[data[0] % (sizeof kinds / sizeof kinds[0])](rig, record, len);
        free(record);
        data += HEADER + len;
        size -= HEADER + len;
    }
    rig_run(rig);
    CHECK(rig_dumped(rig, &(const struct wire_flow) { .table = 255 }) == rig->bridge->n_flows);
    take_punts(rig);
    restore_ports(rig);
    clear(rig);
    return 0;
}

/* --- Seeds --------------------------------------------------------------------------------------------- */

/* Begins a record; end_record() fills in its length. */
static size_t
begin_record(struct frame *f, unsigned kind)
{
    size_t start = f->len;

    frame_add8(f, kind);
    frame_add16(f, 0);
    return start;
}

static void
end_record(struct frame *f, size_t start)
{
    put_be16(f->data + start + 1, (uint16_t)(f->len - start - HEADER));
}

static void
add_packets(struct frame *f, unsigned i)
{
    for (unsigned port = 0; port < 2; port++) {
        size_t start = begin_record(f, 1);
        struct frame sample;
        frame_sample(&sample, (i * 2 + port) % N_SAMPLES);
        frame_add(f, sample.data, sample.len);
        frame_add8(f, port);
        end_record(f, start);
    }
}

static void
add_flows(struct frame *f, unsigned i)
{
    const struct wire_flow flows[] = {
        { .output = { 2, 3 }, .write_output = 4, .metadata = 5, .go_to = 1 },
        { .table = 1, .priority = 2, .output = { PORT_CONTROLLER }, .flags = WIRE_SEND_FLOW_REM,
          .idle = 1, .n_match = 1, .match = { { FIELD_metadata, 4, 6 } } },
        { .command = WIRE_MODIFY, .output = { PORT_FLOOD }, .go_to = 2 },
        { .table = 1, .priority = 2, .n_match = 1, .match = { { FIELD_eth_dst, 2, 0xff } },
          .flags = WIRE_CHECK_OVERLAP, .write_group = 1, .clear = true },
        { .table = 2, .group = 2, .hard = 2, .flags = WIRE_SEND_FLOW_REM | WIRE_RESET_COUNTS },
        { .command = WIRE_DELETE, .table = i % 3, .out_port = i % 5 },
    };

    for (unsigned j = 0; j < sizeof flows / sizeof flows[0]; j++) {
        if (j <= i % 8) {
            wire_flow(f, &flows[j]);
        }
    }
}

static void
add_templates(struct frame *f, unsigned i)
{
    wire_template(f, &(const struct wire_template) {
        .id = 1, .parameters = 1 << i % 4, .name = "fuzzed",
        .of = { .output = { 2, 3 }, .write_output = 4, .go_to = 1 },
    });
    wire_flow_of(f, &(const struct wire_flow) { .priority = 7 }, 1, 1 + i % 4);
    wire_template(f, &(const struct wire_template) {
        .command = TEMPLATE_MODIFY, .id = 1, .parameters = 1,
        .of = { .output = { 1 }, .group = i % 2, .metadata = i % 3 },
    });
    wire_template(f, &(const struct wire_template) { .command = TEMPLATE_DELETE, .id = 1 });
}

/* An entry with instructions of a plug-in. */
static void
add_native(struct frame *f, unsigned i)
{
    size_t start = wire_flow_head(f, &(const struct wire_flow) { .table = 2 + i % 2, .priority = 4 });

    wire_match(f, NULL, 0);
    size_t apply = of_begin_actions(f, WIRE_APPLY);
    frame_add_hex(f, i % 2 ? HALVE STAMP : STAMP);
    of_output(f, 2);
    of_end(f, apply);
    of_end(f, start);
}

static void
add_groups(struct frame *f, unsigned i)
{
    wire_group(f, &(const struct wire_group) { .id = 1, .type = i % 4, .n = 1 + (i % 4 != 2), .bucket = {
        { .weight = 1, .watch_port = 1, .output = 3 }, { .weight = 2, .watch_port = 2, .output = 4 } } });
    wire_group(f, &(const struct wire_group) { .id = 2, .type = GROUP_ALL, .n = 2, .bucket = {
        { .group = 1 }, { .output = PORT_CONTROLLER } } });
    if (i % 3 == 0) {
        wire_group(f, &(const struct wire_group) { .command = i % 2 + 1, .id = 1, .n = 1, .bucket = {
            { .group = 2 } } });
    }
}

static void
add_others(struct rig *rig, struct frame *f, unsigned i)
{
    struct frame sample;

    frame_sample(&sample, i % N_SAMPLES);
    wire_packet_out(f, i % 2 ? PORT_CONTROLLER : 1, i % 3 ? PORT_TABLE : PORT_ALL, &sample);
    wire_port_mod(f, 1 + i % 4, rig->at[1 + i % 4]->mac, i, 0x65);
    wire_table_mod(f, i, i % 5);
    add_meter(f, METER_ADD, 1 + i % 2, 1);
    size_t start = wire_flow_head(f, &(const struct wire_flow) { .table = i % 3, .priority = 3 });
    wire_match(f, NULL, 0);
    of_short(f, 6, 1 + i % 3);                          /* A meter that is there, or not. */
    wire_instructions(f, &(const struct wire_flow) { .output = { 3 }, .go_to = 1 + i % 3 });
    of_end(f, start);
}

static void
add_request(struct frame *f, unsigned i)
{
    size_t start = begin_record(f, 2);

    frame_add8(f, i % 16);
    if (i % 16 == 15) {
        frame_add64(f, (uint64_t)RAICHO << 32 | 1);
        frame_add64(f, (uint64_t)TEMPLATE_ALL << 32);
    } else if (i % 2) {
        wire_flow_request(f, &(const struct wire_flow) { .table = 255 });
    } else {
        frame_add64(f, UINT64_MAX << 32);
    }
    end_record(f, start);
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    struct frame f = { .len = 0 };

    if (i >= 64) {
        return 0;
    }
    size_t start = begin_record(&f, 0);
    add_groups(&f, i);
    add_flows(&f, i);
    add_native(&f, i);
    add_templates(&f, i);
    end_record(&f, start);
    add_packets(&f, i);
    start = begin_record(&f, 0);
    add_others(the_rig(), &f, i);
    end_record(&f, start);
    add_request(&f, i);
    start = begin_record(&f, 3);
    frame_add8(&f, i * 4);
    end_record(&f, start);
    add_packets(&f, i + 7);
    CHECK(f.len <= cap);
    memcpy(buf, f.data, f.len);
    return f.len;
}
