/* Multipart replies about templates: what they are, and the memory that they and their entries take.
 *
 * Reference: docs/templates.md */

#include <string.h>

#include "bridge_private.h"

enum { EXP_TEMPLATES = 1, MULTIPART_HEADER = 8, REQUEST_SIZE = 16 };

/* struct rch_template_stats: length, template_id at 4, parameters 8, name 16, flows 48,
 * arguments_size 52, template_bytes 56, flow_bytes 64, index_bytes 72, counter_bytes 80,
 * instructions 88. */
enum { STATS_NAME = 16, STATS_INSTRUCTIONS = 88 };

/* The entries of a template: the bytes that they take, and how many are in each table. */
struct usage {
    uint64_t bytes;
    uint32_t n[BRIDGE_TABLES];
};

static bool
add_usage(struct bridge *bridge, struct flow *flow, void *usage_)
{
    struct usage *usage = usage_;

    (void) bridge;
    usage->bytes += flow_memory(flow);
    usage->n[flow->table]++;
    return true;
}

/* Their share of the bytes that the tables take to find entries. */
static uint64_t
index_memory(const struct bridge *bridge, const struct usage *usage)
{
    struct table_stats stats;
    uint64_t memory = 0;

    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        if (usage->n[id]) {
            table_stats(&bridge->tables[id].table, &stats);
            memory += stats.memory * usage->n[id] / stats.n_flows;
        }
    }
    return memory;
}

static size_t
template_memory(const struct template_version *version)
{
    return sizeof(struct template) + sizeof *version + 2 * version->size
           + sizeof *version->program + version->program->n * sizeof version->program->insns[0];
}

/* A part that is full ends, and every part begins with whose it is. */
static void
begin_entry(struct reply *reply, size_t size)
{
    if (reply->out->len > reply->part && reply->out->len - reply->part + size > PART_MAX) {
        reply_end_part(reply);
    }
    if (reply->out->len == reply->part) {
        buffer_add(reply->out, reply->body, MULTIPART_HEADER);
    }
}

static void
put_template(void *template_, void *reply_)
{
    const struct template *template = template_;
    const struct template_version *version = template_version(template);
    struct reply *reply = reply_;
    struct dataplane *dataplane = reply->bridge->dataplane;
    size_t size = STATS_INSTRUCTIONS + (size_t) version->size;
    struct usage usage = { .bytes = 0 };

    begin_entry(reply, size);
    uint8_t *at = buffer_put(reply->out, STATS_INSTRUCTIONS);
    if (!at) {
        return;
    }
    bridge_template_users(reply->bridge, template, add_usage, &usage);
    put_be16(at, size);
    put_be32(at + 4, template->id);
    put_be64(at + 8, version->parameters);
    memcpy(at + STATS_NAME, version->name, sizeof version->name);
    put_be32(at + 48, template->n_flows);
    put_be16(at + 52, version->args_size);
    put_be64(at + 56, template_memory(version));
    put_be64(at + 64, usage.bytes);
    put_be64(at + 72, index_memory(reply->bridge, &usage));
    put_be64(at + 80, (uint64_t) template->n_flows * dataplane->counters.n_sets
                      * sizeof(struct counter));
    buffer_add(reply->out, version->bytes, version->size);
}

/* struct rch_templates_request: experimenter, exp_type 4, template_id 8, pad.  One that is not there is no
 * error: there is nothing to tell of it. */
uint32_t
reply_templates(struct reply *reply)
{
    if (reply->size < MULTIPART_HEADER) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    if (get_be32(reply->body) != RAICHO) {
        return OFWIRE_OFPBRC_BAD_EXPERIMENTER;
    }
    if (get_be32(reply->body + 4) != EXP_TEMPLATES) {
        return OFWIRE_OFPBRC_BAD_EXP_TYPE;
    }
    if (reply->size != REQUEST_SIZE) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    uint32_t id = get_be32(reply->body + 8);
    struct template *template = template_find(reply->bridge, id);
    begin_entry(reply, 0);
    if (id == TEMPLATE_ALL) {
        idmap_each(&reply->bridge->templates, put_template, reply);
    } else if (template) {
        put_template(template, reply);
    }
    return OFWIRE_OK;
}
