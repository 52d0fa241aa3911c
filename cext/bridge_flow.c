/* Flow-mods, timeouts and flow-removed messages.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 6.4, 6.5, 7.3.4.1, 7.4.2. */

#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"

enum {
    OFPFC_ADD, OFPFC_MODIFY, OFPFC_MODIFY_STRICT, OFPFC_DELETE, OFPFC_DELETE_STRICT, N_COMMANDS,
};

enum {
    OFPFF_SEND_FLOW_REM = 1, OFPFF_CHECK_OVERLAP = 2, OFPFF_RESET_COUNTS = 4, OFPFF_KNOWN = 31,
};

enum { INSTRUCTION_WRITE = 3, INSTRUCTION_APPLY = 4, ACTIONS_AT = 8, ACTION_OUTPUT = 0 };

enum { FLOW_MOD_MATCH = 48 };       /* Offset of the match in a struct ofp_flow_mod. */

struct flow_mod {
    struct bridge *bridge;
    struct flow_filter filter;      /* Of what exists already. */
    uint16_t idle_timeout, hard_timeout, flags;
    uint32_t buffer_id;
    uint8_t command;
    const uint8_t *args;            /* The instructions, or the arguments of a template. */
    size_t args_size;
    const struct template *template;    /* Null: none. */
    uint64_t now_ms;
    uint32_t result;                /* Of flows that were visited. */
    struct insn_list list;
};

/* --- What programs use --------------------------------------------------------------- */

/* Whether an action 'op' of the program has 'value' as its first 32 bits. */
static bool
program_uses(const struct program *program, const uint8_t *args, enum op op, uint32_t value)
{
    for (unsigned i = 0; i < program->n; i++) {
        const struct insn *insn = &program->insns[i];
        if ((insn->op == op && get_be32(args + insn->at + 4) == value)
            || (insn->op == OP_write_actions && program_uses(insn->sub, args, op, value))) {
            return true;
        }
    }
    return false;
}

bool
program_has(const struct program *program, enum op op)
{
    for (unsigned i = 0; i < program->n; i++) {
        const struct insn *insn = &program->insns[i];
        if (insn->op == op || (insn->op == OP_write_actions && program_has(insn->sub, op))) {
            return true;
        }
    }
    return false;
}

bool
program_uses_group(const struct program *program, const uint8_t *args, uint32_t id)
{
    return program_uses(program, args, OP_group, id);
}

/* Whether there is an output action to 'port' among the 'size' bytes of actions. */
static bool
actions_name_port(const uint8_t *actions, size_t size, uint32_t port)
{
    for (size_t at = 0; at < size; at += get_be16(actions + at + 2)) {
        if (get_be16(actions + at) == ACTION_OUTPUT && get_be32(actions + at + 4) == port) {
            return true;
        }
    }
    return false;
}

/* The same for the instructions of a flow as they were sent: its program lacks the output of an
 * action set in which a group goes before it. */
static bool
flow_names_port(const struct flow *flow, uint32_t port)
{
    struct instructions what = bridge_flow_instructions(flow);

    for (size_t at = 0, size; at < what.size; at += size) {
        unsigned type = get_be16(what.bytes + at);
        size = get_be16(what.bytes + at + 2);
        if ((type == INSTRUCTION_WRITE || type == INSTRUCTION_APPLY)
            && actions_name_port(what.bytes + at + ACTIONS_AT, size - ACTIONS_AT, port)) {
            return true;
        }
    }
    return false;
}

/* Whether the program sends packets through meter 'id', or with METER_ALL through any. */
static bool
uses_meter(const struct program *program, const uint8_t *args, uint32_t id)
{
    for (unsigned i = 0; i < program->n; i++) {
        const struct insn *insn = &program->insns[i];
        if (insn->op == OP_meter) {
            return id == METER_ALL || get_be32(args + insn->at + 4) == id;
        }
    }
    return false;
}

static void
count_group(struct bridge *bridge, uint32_t id, int by)
{
    struct group *group = group_find(&bridge->groups, id);

    if (group) {
        group->refs += by;
    }
}

static void
count_meter(struct bridge *bridge, uint32_t id, int by)
{
    struct meter *meter = meter_find(&bridge->meters, id);

    if (meter) {
        meter->n_flows += by;
    }
}

void
bridge_count_references(struct bridge *bridge, const struct program *program, const uint8_t *args,
                        int by)
{
    for (unsigned i = 0; i < program->n; i++) {
        const struct insn *insn = &program->insns[i];
        if (insn->op == OP_group) {
            count_group(bridge, get_be32(args + insn->at + 4), by);
        } else if (insn->op == OP_meter) {
            count_meter(bridge, get_be32(args + insn->at + 4), by);
        }
        if (insn->op == OP_write_actions) {
            bridge_count_references(bridge, insn->sub, args, by);
        }
    }
}

void
bridge_count_flow(struct bridge *bridge, const struct flow *flow, int by)
{
    struct template *template = program_template(flow->program);
    struct instructions what = bridge_flow_instructions(flow);

    if (template) {
        template->n_flows += by;
    }
    bridge_count_references(bridge, what.program, what.bytes, by);
}

/* --- Filters --------------------------------------------------------------------------- */

/* Whether every packet that 'flow' matches the filter's match matches too. */
static bool
covers(const struct of_match *match, const struct flow *flow)
{
    unsigned at = 0;

    for (unsigned word = 0; word < N_KEY_WORDS; word++) {
        uint64_t bits = 0, value = 0;
        if (at < flow->n_words && flow->mask->word[at] == word) {
            bits = flow->mask->bits[at];
            value = flow->words[at++];
        }
        if (match->mask.word[word] & ~bits
            || (match->key.word[word] ^ value) & match->mask.word[word]) {
            return false;
        }
    }
    return true;
}

/* Whether the instructions of 'flow' name what the filter asks for. */
static bool
names_all(const struct flow_filter *filter, const struct flow *flow)
{
    struct instructions what = bridge_flow_instructions(flow);

    return (filter->out_group == GROUP_ANY
            || program_uses_group(what.program, what.bytes, filter->out_group))
           && (!filter->in_groups || program_has(what.program, OP_group))
           && (!filter->meter || uses_meter(what.program, what.bytes, filter->meter));
}

static bool
passes(const struct flow_filter *filter, const struct flow *flow)
{
    bool names = filter->out_group != GROUP_ANY || filter->in_groups || filter->meter;

    return !((flow->cookie ^ filter->cookie) & filter->cookie_mask)
           && (filter->out_port == PORT_ANY
               || flow_names_port(flow, filter->out_port))
           && (!names || names_all(filter, flow));
}

struct filtering {
    struct bridge *bridge;
    const struct flow_filter *filter;
    void (*visit)(struct bridge *, struct flow *, void *);
    void *context;
};

static bool
filter_one(struct flow *flow, void *filtering_)
{
    const struct filtering *filtering = filtering_;

    if (covers(&filtering->filter->match, flow) && passes(filtering->filter, flow)) {
        filtering->visit(filtering->bridge, flow, filtering->context);
    }
    return true;
}

static void
filter_table(struct bridge *bridge, unsigned id, const struct flow_filter *filter,
             void (*visit)(struct bridge *, struct flow *, void *), void *context)
{
    struct filtering filtering = { bridge, filter, visit, context };
    struct table *table = &bridge->tables[id].table;

    if (!filter->strict) {
        table_each(table, filter_one, &filtering);
        return;
    }
    struct flow *flow = table_find(table, &filter->match.key, &filter->match.mask, filter->priority);
    if (flow && passes(filter, flow)) {
        visit(bridge, flow, context);
    }
}

void
bridge_filter_flows(struct bridge *bridge, const struct flow_filter *filter,
                    void (*visit)(struct bridge *, struct flow *, void *), void *context)
{
    if (filter->table != OFPTT_ALL) {
        filter_table(bridge, filter->table, filter, visit, context);
        return;
    }
    for (unsigned id = 0; id < BRIDGE_TABLES; id++) {
        filter_table(bridge, id, filter, visit, context);
    }
}

/* --- Timeouts and removal ------------------------------------------------------------------ */

/* When the flow is to be looked at next, in ms; UINT64_MAX never. */
static uint64_t
deadline(const struct bridge *bridge, const struct flow *flow)
{
    uint64_t at = UINT64_MAX;

    if (flow->hard_timeout) {
        at = flow->created_ms + flow->hard_timeout * UINT64_C(1000);
    }
    if (flow->idle_timeout) {
        uint64_t used = counter_read(&bridge->dataplane->counters, flow->counter).used;
        uint64_t since = used > flow->created_ms ? used : flow->created_ms;
        uint64_t idle = since + flow->idle_timeout * UINT64_C(1000);
        at = idle < at ? idle : at;
    }
    return at;
}

void
bridge_schedule_flow(struct bridge *bridge, struct flow *flow)
{
    uint64_t at = deadline(bridge, flow);

    if (at != UINT64_MAX) {
        timer_start(&bridge->wheel, &flow->timer, (at + TICK_MS - 1) / TICK_MS);
    }
}

static void
put_flow_removed(struct bridge *bridge, const struct flow *flow, uint8_t reason, uint64_t now_ms)
{
    struct counter_sum sum = counter_read(&bridge->dataplane->counters, flow->counter);
    struct flow_key key, mask;
    uint8_t *at = event_put(bridge, OFPT_FLOW_REMOVED, 48);

    if (!at) {
        return;
    }
    size_t begin = bridge->events.len - 48;
    put_be64(at + 8, flow->cookie);
    put_be16(at + 16, flow->priority);
    at[18] = reason;
    at[19] = flow->table;
    put_duration(at + 20, flow->created_ms, now_ms);
    put_be16(at + 28, flow->idle_timeout);
    put_be16(at + 30, flow->hard_timeout);
    put_be64(at + 32, sum.packets);
    put_be64(at + 40, sum.bytes);
    flow_match(flow, &key, &mask);
    ofwire_put_match(&bridge->events, &key, &mask);
    put_be16(bridge->events.data + begin + 2, bridge->events.len - begin);
    if (bridge->events.failed) {
        bridge->events.len = begin;
        bridge->events.failed = false;
        bridge->events_lost++;
    }
}

int
bridge_table_insert(struct bridge *bridge, struct flow *flow, struct flow **old)
{
    int error = table_insert(&bridge->tables[flow->table].table, flow, old);

    bridge_begin_generation(bridge);
    return error;
}

void
bridge_table_remove(struct bridge *bridge, struct flow *flow)
{
    table_remove(&bridge->tables[flow->table].table, flow);
    bridge_begin_generation(bridge);
}

void
bridge_remove_flow(struct bridge *bridge, struct flow *flow, enum flow_removed_reason reason,
                   uint64_t now_ms)
{
    if (!bridge_may_change(bridge)) {
        return;
    }
    if (flow->flags & OFPFF_SEND_FLOW_REM) {
        put_flow_removed(bridge, flow, reason, now_ms);
    }
    timer_stop(&bridge->wheel, &flow->timer);
    bridge_count_flow(bridge, flow, -1);
    bridge_table_remove(bridge, flow);
    bridge->n_flows--;
    bridge_changed(bridge, (struct change) { CHANGE_FLOW, .before = flow });
}

void
bridge_flow_timer(struct timer *timer, void *bridge_)
{
    struct bridge *bridge = bridge_;
    struct flow *flow = (struct flow *) ((char *) timer - offsetof(struct flow, timer));
    uint64_t now_ms = bridge->wheel.now * TICK_MS;
    uint64_t hard = flow->created_ms + flow->hard_timeout * UINT64_C(1000);

    if (deadline(bridge, flow) > now_ms) {
        bridge_schedule_flow(bridge, flow);
    } else {
        bridge_remove_flow(bridge, flow, flow->hard_timeout && hard <= now_ms ? REMOVED_HARD
                                                                              : REMOVED_IDLE,
                           now_ms);
    }
}

/* --- Adding ---------------------------------------------------------------------------------- */

struct overlap {
    const struct flow_mod *mod;
    bool found;
};

/* Whether a packet could match both. */
static bool
find_overlap(struct flow *flow, void *overlap_)
{
    struct overlap *overlap = overlap_;
    const struct flow_filter *filter = &overlap->mod->filter;
    bool differ = flow->priority != filter->priority;

    for (unsigned i = 0; i < flow->n_words && !differ; i++) {
        unsigned word = flow->mask->word[i];
        uint64_t both = flow->mask->bits[i] & filter->match.mask.word[word];
        differ = (flow->words[i] ^ filter->match.key.word[word]) & both;
    }
    overlap->found |= !differ;
    return !overlap->found;
}

static bool
overlaps(const struct flow_mod *mod)
{
    struct overlap overlap = { mod, false };

    table_each(&mod->bridge->tables[mod->filter.table].table, find_overlap, &overlap);
    return overlap.found;
}

static bool
is_full(const struct bridge *bridge)
{
    return bridge->max_flows && bridge->n_flows >= bridge->max_flows;
}

/* Makes the flow that a flow-mod describes, in table 'mod->filter.table'; null without memory.
 * Takes a reference to 'program'. */
static struct flow *
make_flow(const struct flow_mod *mod, const struct program *program)
{
    struct table *table = &mod->bridge->tables[mod->filter.table].table;
    const struct flow_mask *mask = table_mask(table, &mod->filter.match.mask);
    struct flow *flow = mask ? flow_new(mask, &mod->filter.match.key, mod->args,
                                        mod->args_size) : NULL;

    if (!flow) {
        return NULL;
    }
    flow->program = program;
    flow->cookie = mod->filter.cookie;
    flow->priority = mod->filter.priority;
    flow->table = mod->filter.table;
    flow->flags = mod->flags;
    flow->idle_timeout = mod->idle_timeout;
    flow->hard_timeout = mod->hard_timeout;
    flow->created_ms = mod->now_ms;
    return flow;
}

/* Gives 'flow' a counter: that of the flow it replaces, or a fresh one. */
static bool
give_counter(struct bridge *bridge, struct flow *flow, struct flow *old, bool reset)
{
    if (old && !reset) {
        flow->counter = old->counter;
    } else {
        flow->counter = counter_new(&bridge->dataplane->counters);
    }
    return flow->counter != COUNTER_NONE;
}

/* Puts 'flow' in, in the place of 'old' if that is not null.  Takes over the reference to its
 * program; on failure frees it all. */
static uint32_t
put_flow(struct bridge *bridge, struct flow *flow, struct flow *old, bool reset)
{
    struct dataplane *dataplane = bridge->dataplane;
    struct flow *replaced;

    if (!bridge_may_change(bridge) || !give_counter(bridge, flow, old, reset)
        || bridge_table_insert(bridge, flow, &replaced)) {
        program_release(&dataplane->programs, flow->program);
        if (!old || reset) {
            counter_release(&dataplane->counters, flow->counter);
        }
        flow_free(flow);
        return OFWIRE_OFPFMFC_TABLE_FULL;
    }
    bridge_count_flow(bridge, flow, 1);
    if (replaced) {
        timer_stop(&bridge->wheel, &replaced->timer);
        bridge_count_flow(bridge, replaced, -1);
        replaced->counter_moved = !reset;
    } else {
        bridge->n_flows++;
    }
    bridge_schedule_flow(bridge, flow);
    bridge_changed(bridge, (struct change) { CHANGE_FLOW, replaced, flow, NULL, 0 });
    return OFWIRE_OK;
}

/* Returns a reference to the program of the entries that a flow-mod makes; null without memory. */
static const struct program *
take_program(struct flow_mod *mod)
{
    if (mod->template) {
        return program_refer(mod->template->program);
    }
    const struct program *program = program_intern(&mod->bridge->dataplane->programs,
                                                   mod->list.insns, mod->list.n);
    if (program) {
        mod->list.write = NULL;
    }
    return program;
}

static uint32_t
flow_add(struct flow_mod *mod)
{
    struct bridge *bridge = mod->bridge;
    const struct flow_filter *filter = &mod->filter;

    if (mod->flags & OFPFF_CHECK_OVERLAP && overlaps(mod)) {
        return OFWIRE_OFPFMFC_OVERLAP;
    }
    struct flow *old = table_find(&bridge->tables[filter->table].table, &filter->match.key,
                                  &filter->match.mask, filter->priority);
    if (!old && is_full(bridge)) {
        return OFWIRE_OFPFMFC_TABLE_FULL;
    }
    const struct program *program = take_program(mod);
    if (!program) {
        return OFWIRE_OFPFMFC_TABLE_FULL;
    }
    struct flow *flow = make_flow(mod, program);
    if (!flow) {
        program_release(&bridge->dataplane->programs, program);
        return OFWIRE_OFPFMFC_TABLE_FULL;
    }
    return put_flow(bridge, flow, old, mod->flags & OFPFF_RESET_COUNTS);
}

/* --- Modifying and deleting --------------------------------------------------------------------- */

/* Gives a flow the instructions of the flow-mod: a new flow with the old one's
 * everything else takes its place.  'mod->program' has been made already. */
struct modifying {
    struct flow_mod *mod;
    const struct program *program;
};

static void
modify_one(struct bridge *bridge, struct flow *old, void *modifying_)
{
    const struct modifying *modifying = modifying_;
    struct flow_mod *mod = modifying->mod;
    struct flow_key key, mask;

    flow_match(old, &key, &mask);
    struct flow *flow = flow_new(old->mask, &key, mod->args, mod->args_size);
    if (!flow) {
        mod->result = OFWIRE_OFPFMFC_TABLE_FULL;
        return;
    }
    flow->program = program_refer(modifying->program);
    flow->cookie = old->cookie;
    flow->priority = old->priority;
    flow->table = old->table;
    flow->flags = old->flags;
    flow->idle_timeout = old->idle_timeout;
    flow->hard_timeout = old->hard_timeout;
    flow->created_ms = old->created_ms;
    uint32_t result = put_flow(bridge, flow, old, mod->flags & OFPFF_RESET_COUNTS);
    mod->result = result == OFWIRE_OK ? mod->result : result;
}

static uint32_t
flow_modify(struct flow_mod *mod)
{
    struct program_store *programs = &mod->bridge->dataplane->programs;
    struct modifying modifying = { mod, take_program(mod) };

    if (!modifying.program) {
        return OFWIRE_OFPFMFC_TABLE_FULL;
    }
    mod->filter.out_port = PORT_ANY;
    mod->filter.out_group = GROUP_ANY;
    mod->result = OFWIRE_OK;
    bridge_filter_flows(mod->bridge, &mod->filter, modify_one, &modifying);
    program_release(programs, modifying.program);
    return mod->result;
}

static void
delete_one(struct bridge *bridge, struct flow *flow, void *mod_)
{
    const struct flow_mod *mod = mod_;

    bridge_remove_flow(bridge, flow, REMOVED_DELETE, mod->now_ms);
}

static uint32_t
flow_delete(struct flow_mod *mod)
{
    bridge_filter_flows(mod->bridge, &mod->filter, delete_one, mod);
    return OFWIRE_OK;
}

/* --- Decoding ------------------------------------------------------------------------------------- */

struct command {
    uint32_t (*run)(struct flow_mod *);
    bool strict;
    bool instructs;                 /* Has instructions, and a buffer; not for all tables. */
};

static const struct command commands[N_COMMANDS] = {
    [OFPFC_ADD] = { flow_add, true, true },
    [OFPFC_MODIFY] = { flow_modify, false, true },
    [OFPFC_MODIFY_STRICT] = { flow_modify, true, true },
    [OFPFC_DELETE] = { flow_delete, false, false },
    [OFPFC_DELETE_STRICT] = { flow_delete, true, false },
};

static void
get_fixed(struct flow_mod *mod, const uint8_t *message)
{
    mod->filter = (struct flow_filter) {
        .cookie = get_be64(message + 8), .cookie_mask = get_be64(message + 16),
        .table = message[24], .priority = get_be16(message + 30),
        .out_port = get_be32(message + 36), .out_group = get_be32(message + 40),
    };
    mod->command = message[25];
    mod->idle_timeout = get_be16(message + 26);
    mod->hard_timeout = get_be16(message + 28);
    mod->buffer_id = get_be32(message + 32);
    mod->flags = get_be16(message + 44);
}

static uint32_t
check_fixed(const struct flow_mod *mod)
{
    if (mod->command >= N_COMMANDS) {
        return OFWIRE_OFPFMFC_BAD_COMMAND;
    }
    if (mod->flags & ~OFPFF_KNOWN) {
        return OFWIRE_OFPFMFC_BAD_FLAGS;
    }
    if (commands[mod->command].instructs) {
        if (mod->filter.table == OFPTT_ALL) {
            return OFWIRE_OFPFMFC_BAD_TABLE_ID;
        }
        if (mod->buffer_id != OFP_NO_BUFFER) {
            return OFWIRE_OFPBRC_BUFFER_UNKNOWN;
        }
    }
    return OFWIRE_OK;
}

/* Whether it is about the table-miss entry. */
static bool
is_miss(const struct flow_mod *mod)
{
    static const struct flow_key nothing;

    return mod->filter.strict && !mod->filter.priority
           && !memcmp(&mod->filter.match.mask, &nothing, sizeof nothing);
}

/* The instructions are those of a template. */
static uint32_t
get_arguments(struct flow_mod *mod, const struct of_scope *scope, const struct entry_kind *kind,
              const struct of_template_use *use)
{
    mod->template = template_find(mod->bridge, use->id);
    mod->args = use->args;
    mod->args_size = use->size;
    if (!mod->template) {
        return OFWIRE_TEMPLATE(UNKNOWN);
    }
    return bridge_check_arguments(scope, kind, template_version(mod->template), use->args, use->size);
}

static uint32_t
get_instructions(struct flow_mod *mod, const uint8_t *match, const uint8_t *data, size_t size)
{
    const struct of_scope scope = {
        .bridge = mod->bridge, .match = &mod->filter.match, .table = mod->filter.table,
    };
    const struct entry_kind kind = { is_miss(mod), mod->command == OFPFC_ADD ? match : NULL };
    struct of_template_use use;
    uint32_t result = ofwire_get_template_use(data, size, &use);

    if (result != OFWIRE_OK) {
        return result;
    }
    if (use.found) {
        return get_arguments(mod, &scope, &kind, &use);
    }
    mod->args = data;
    mod->args_size = size;
    result = ofwire_get_instructions(&scope, data, size, &mod->list);
    if (result != OFWIRE_OK) {
        return result;
    }
    return bridge_check_features(mod->bridge, mod->filter.table, kind.miss, kind.match, data, size);
}

static uint32_t
get_variable(struct flow_mod *mod, const uint8_t *message, size_t size)
{
    size_t match_size;
    uint32_t result = ofwire_get_match(message + FLOW_MOD_MATCH, size - FLOW_MOD_MATCH,
                                       &mod->filter.match, &match_size);

    if (result != OFWIRE_OK || !commands[mod->command].instructs) {
        return result;
    }
    return get_instructions(mod, message + FLOW_MOD_MATCH, message + FLOW_MOD_MATCH + match_size,
                            size - FLOW_MOD_MATCH - match_size);
}

uint32_t
bridge_flow_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    struct flow_mod mod = { .bridge = bridge, .now_ms = now_ms };

    if (size < FLOW_MOD_MATCH) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    if (size > PART_MAX) {              /* Statistics of the flow are as long. */
        return OFWIRE_OFPBAC_TOO_MANY;
    }
    get_fixed(&mod, message);
    uint32_t result = check_fixed(&mod);
    if (result == OFWIRE_OK) {
        mod.filter.strict = commands[mod.command].strict;
        result = get_variable(&mod, message, size);
    }
    if (result == OFWIRE_OK) {
        if (mod.command == OFPFC_ADD) {
            mod.filter.cookie_mask = 0;
        }
        result = commands[mod.command].run(&mod);
    }
    bridge->flows_refused += result == OFWIRE_OFPFMFC_TABLE_FULL;
    if (mod.list.write) {
        program_release(&bridge->dataplane->programs, mod.list.write);
    }
    insn_list_close(&mod.list);
    return result;
}
