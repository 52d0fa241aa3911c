/* What the packets of a port start in: a program that is always there, or a template of the bridge.
 *
 * A port that waits for a template is closed. */

#include "bridge_private.h"

static const struct program *
start_of(const struct attachment *attachment)
{
    return atomic_load_explicit(&attachment->program, memory_order_relaxed);
}

/* One store: a vector of packets goes one way as a whole. */
static void
publish(struct attachment *attachment, const struct program *program)
{
    const struct program *old = start_of(attachment);

    if (old != program) {
        atomic_store_explicit(&attachment->program, program_refer(program), memory_order_release);
        if (old) {
            dataplane_retire_program(attachment->bridge->dataplane, old);
        }
    }
}

/* Opens a port whose template is there, and closes one whose is not. */
static void
settle(struct attachment *attachment)
{
    const struct bridge *bridge = attachment->bridge;
    const struct template *template = template_find(bridge, attachment->template_id);
    bool open = template && template_is_whole(template_version(template));

    publish(attachment, open ? template->start : bridge->dataplane->pipelines[PIPELINE_template]);
}

void
bridge_set_pipeline(struct attachment *attachment, enum pipeline pipeline)
{
    attachment->by_template = false;
    publish(attachment, attachment->bridge->dataplane->pipelines[pipeline]);
}

void
bridge_set_template(struct attachment *attachment, uint32_t id)
{
    attachment->by_template = true;
    attachment->template_id = id;
    settle(attachment);
}

bool
bridge_is_closed(const struct attachment *attachment)
{
    return start_of(attachment) == attachment->bridge->dataplane->pipelines[PIPELINE_template];
}

void
bridge_settle_starts(struct bridge *bridge)
{
    const struct port_map *map = atomic_load_explicit(&bridge->ports, memory_order_relaxed);

    for (uint32_t i = 0; i < map->n; i++) {
        if (map->list[i]->by_template) {
            settle(map->list[i]);
        }
    }
}

uint32_t
bridge_count_starts(const struct bridge *bridge, const struct template *template)
{
    const struct port_map *map = atomic_load_explicit(&bridge->ports, memory_order_relaxed);
    uint32_t n = 0;

    for (uint32_t i = 0; i < map->n; i++) {
        n += start_of(map->list[i]) == template->start;
    }
    return n;
}
