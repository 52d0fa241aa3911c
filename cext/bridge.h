#ifndef RAICHO_BRIDGE_H
#define RAICHO_BRIDGE_H

/* Bridge: an OpenFlow datapath: flow tables, groups, meters and the ports under their numbers.
 *
 * Threads
 * =======
 * The control thread changes it; workers read tables, groups, meters and the port map
 * without locks (each is replaced as a whole or entry by entry, and retired by
 * epochs). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge_features.h"
#include "buffer.h"
#include "dataplane.h"
#include "group.h"
#include "interface.h"
#include "mac.h"
#include "meter.h"
#include "port.h"
#include "queue.h"
#include "table.h"
#include "timer.h"
#include "vlan.h"

enum {
    BRIDGE_TABLES = 255,            /* Tables 0 to OFPTT_MAX. */
    BRIDGE_NAME_MAX = 64,
};

struct fanout;
struct snoop;
struct punt;
struct snooping;

/* OFPP_*: reserved port numbers. */
enum ofp_port_no {
    PORT_MAX = 0xffffff00u, PORT_IN_PORT = 0xfffffff8u, PORT_TABLE = 0xfffffff9u,
    PORT_NORMAL = 0xfffffffau, PORT_FLOOD = 0xfffffffbu, PORT_ALL = 0xfffffffcu,
    PORT_CONTROLLER = 0xfffffffdu, PORT_LOCAL = 0xfffffffeu, PORT_ANY = 0xffffffffu,
};

/* OFPPC_*: what a controller may ask of a port; and OFPPS_*: its state. */
enum { PORT_DOWN = 1, PORT_NO_RECV = 4, PORT_NO_FWD = 32, PORT_NO_PACKET_IN = 64 };
enum { LINK_DOWN = 1, LINK_BLOCKED = 2, LINK_LIVE = 4 };

/* Reasons of a packet-in. */
enum { PUNT_NO_MATCH, PUNT_ACTION, PUNT_INVALID_TTL };

/* In its place, of a copy for the bridge's own snooping (bridge_hear()): its metadata is the VLAN. */
enum { PUNT_SNOOPED = 8 };

/* Reasons of a packet that goes to the control thread's part of a router (routing.h): its cookie is the
 * id of its adjacency in the high half and the index of the interface it came by in the low one. */
enum route_reason {
    ROUTE_LOCAL = 16,                   /* To us, or to a group address. */
    ROUTE_RESOLVE,                      /* The address of its next hop is not known. */
    ROUTE_TTL,                          /* Its time to live is used up. */
    ROUTE_TOO_BIG,                      /* It does not fit into the MTU. */
    ROUTE_NO_ROUTE,
    ROUTE_UNREACHABLE,
    ROUTE_PROHIBIT,
    ROUTE_SEEN,                         /* A copy that somebody wants (escalation.h). */
    ROUTE_REDIRECT,                     /* A copy: it leaves by the interface it came by. */
    ROUTE_GROUP,                        /* To a group to which no tree leads, not from where it came. */
    ROUTE_GROUP_TOO_BIG,                /* To a group: in the place of an adjacency, the interface whose MTU it is. */
    ROUTE_TOO_BIG_NAT64,                /* Too big with a header of the other family. */
    ROUTE_REASONS_END,
};

/* A queue of a port's device, and the worker that serves it.  A port has one lane or several. */
struct lane {
    struct attachment *attachment;
    struct port *port;
    uint8_t worker;                     /* Id of the worker that owns it.  It changes only while all
                                         * workers stand still. */

    /* The owning worker's: packets waiting to go out. */
    bool queued;                        /* Is in the worker's list. */
    unsigned n_tx;
    struct packet *tx[PACKET_VECTOR];
    uint8_t apart[64];                  /* Lanes in a row share no cache line. */
};

/* What a lane is made of. */
struct lane_config {
    struct port *port;
    unsigned worker;
};

/* A port on a bridge. */
struct attachment {
    struct port *port;                  /* Of the first lane: its name, link and capabilities. */
    struct bridge *bridge;
    uint32_t number;
    _Atomic uint32_t config;            /* PORT_* bits. */
    _Atomic uint32_t state;             /* LINK_* bits. */
    uint32_t speed;                     /* Mbit/s, for descriptions. */
    uint8_t mac[6];
    uint64_t created_ms;
    _Atomic(const struct program *) program;    /* What its packets start in. */
    _Atomic(struct bridging *) bridging;        /* How it takes part in OFPP_NORMAL; null: in all VLANs. */
    _Atomic uint32_t n_macs;            /* Addresses learned behind it since they were last counted, if
                                         * there is a limit. */
    _Atomic(struct interface_map *) interfaces; /* Of routers; null: none. */
    _Atomic(struct queue_set *) queues; /* What waits to leave, by the first lane; null: nothing
                                         * ever does. */
    struct lane *leave_by[DATAPLANE_WORKERS];   /* For each worker the lane by which its packets
                                         * leave: one of its own, or one whose owner gets them. */
    uint32_t n_lanes;
    uint32_t template_id;               /* Control thread's: its packets are to start in that one, */
    bool by_template;                   /* if this is so. */
    uint8_t apart[64];                  /* All workers read what is above. */
    struct lane lanes[];
};

/* The ports of a bridge, replaced as a whole. */
struct port_map {
    uint32_t n;                         /* Ports. */
    uint32_t n_slots;                   /* A power of two, > n. */
    struct attachment **slots;          /* By number; behind 'list'. */
    struct attachment *list[];          /* In the order of their numbers. */
};

/* What the agent may set (OFPT_SET_CONFIG). */
enum { FRAG_NORMAL = 0, FRAG_DROP = 1, FRAG_REASM = 2 };

struct flow_table {
    struct table table;
    uint32_t lookups, matches;          /* Counter ids.  In the place of bytes, lookups have the cycles
                                         * that those took which were measured (profile.h), and
                                         * matches, how many these were. */
    uint32_t config;                    /* OFPTC_*; nothing is defined in 1.3. */
    struct table_features *features;    /* What flows may be; null: all that can be. */
};

struct bridge {
    char name[BRIDGE_NAME_MAX];
    struct dataplane *dataplane;
    uint64_t datapath_id;
    uint32_t index;                     /* In the dataplane: punted packets carry it. */
    _Atomic(struct port_map *) ports;
    struct flow_table tables[BRIDGE_TABLES];
    _Atomic uint64_t generation;        /* Another one after every change of an entry; no two bridges
                                         * ever have the same (cache.h). */
    struct group_table groups;
    struct meter_table meters;
    struct idmap templates;
    struct timer_wheel wheel;           /* Of flows; ticks of TICK_MS. */
    _Atomic uint32_t frag_mode;         /* FRAG_*. */
    uint16_t miss_send_len;
    uint32_t max_flows;                 /* In all tables; 0: no limit but memory. */
    uint32_t n_flows;
    uint64_t flows_refused;             /* Flow-mods that found no room. */
    struct mac_table macs;              /* What OFPP_NORMAL has learned. */
    uint32_t macs_learned, macs_moved, macs_refused;    /* Counter ids, of packets that made it so. */
    uint64_t macs_counted_ms;           /* When those behind ports with a limit were counted. */
    _Atomic(struct vlan_map *) vlans;   /* Null: all ports are in all VLANs. */
    _Atomic(struct fanout *) fanout;    /* Where multicast groups go; null: they are flooded. */
    struct snooping *snooping;          /* Null: nobody listens who wants which.  Control thread's. */
    _Atomic(struct interface_map *) interfaces; /* Of routers, on the bridge itself; null: none. */
    _Atomic bool standalone;            /* Packets are forwarded as by OFPP_NORMAL, the tables wait. */
    struct buffer events;               /* Whole OpenFlow messages for the controllers: flow-removed,
                                         * port-status; taken by bridge_events(). */
    uint32_t events_lost;               /* Messages that did not fit. */
    struct bundle *bundle;              /* That is being applied, or null. */
};

/* Makes a bridge without ports.  Returns null without memory. */
struct bridge *bridge_open(struct dataplane *dataplane, const char *name, uint64_t datapath_id,
                           uint64_t now_ms);

/* Lets go of everything; its ports must be detached before.  Waits for readers. */
void bridge_close(struct bridge *bridge);

/* How a port begins in a bridge. */
struct joining {
    enum pipeline pipeline;
    uint32_t template_id;               /* If that is PIPELINE_template. */
    const struct bridging *bridging;    /* Copied; null: in all VLANs. */
    uint32_t config;                    /* PORT_* bits. */
};

/* Puts a port in under 'number', with 'n' lanes, one at least; their workers begin to poll them.
 * Returns 0, EEXIST (number in use), EINVAL (number 0 or reserved, no such worker) or ENOMEM. */
int bridge_attach_lanes(struct bridge *bridge, const struct lane_config *lanes, uint32_t n,
                        uint32_t number, const struct joining *joining, uint64_t now_ms,
                        struct attachment **attachment);

/* The same for a port of one lane that begins with everything 0. */
int bridge_attach(struct bridge *bridge, struct port *port, uint32_t number, unsigned worker,
                  uint64_t now_ms, struct attachment **attachment);

/* Gives a lane to another worker while packets pass.  The workers stand still for some 10 us; what
 * waits in the device and in the port's queues goes on waiting.  Only packets that were on their way
 * from one worker to another may leave later than some behind them.  (A port that is bound to the
 * packets of its worker loses what it has, and they stand still until it is bound again.)  Returns 0,
 * EINVAL (no such worker) or ENOMEM (nothing changed), or what the port could not be bound again for. */
int bridge_move_lane(struct lane *lane, unsigned worker);

/* Gives a port queues, in place of those it has, and a rate in bit/s that they share; without any
 * and with rate 0 packets leave at once.  Queues that stay keep their packets and counters.  Numbers
 * must differ and be QUEUES_MAX at most.  Returns 0 or ENOMEM (nothing changed). */
int bridge_set_queues(struct attachment *attachment, const struct queue_config *configs, uint32_t n,
                      uint64_t rate, uint64_t now_ms);

/* What its packets start in from now on.  Each goes one way as a whole. */
void bridge_set_pipeline(struct attachment *attachment, enum pipeline pipeline);

/* The same with a template of the bridge, whether it is there or not.  While there is none by that number
 * without parameters, the port is closed: its packets are dropped (DROP_no_program).  A template in which
 * packets start can be changed to another one without parameters; it cannot be deleted. */
void bridge_set_template(struct attachment *attachment, uint32_t id);

/* Whether it waits for its template. */
bool bridge_is_closed(const struct attachment *attachment);

/* How it takes part in OFPP_NORMAL from now on (null: in all VLANs).  Addresses behind it are forgotten, if that
 * is another way.  Returns 0 or ENOMEM (nothing changed). */
int bridge_set_bridging(struct attachment *attachment, const struct bridging *bridging);

/* Counts the addresses behind ports that may have only so many. */
void bridge_count_macs(struct bridge *bridge, uint64_t now_ms);

/* What a bridge does with multicast groups. */
struct multicast {
    bool snoops;                        /* They go only where somebody wants them; the rest is of that. */
    bool querier;                       /* The bridge asks, where no router does. */
    bool floods_unknown;                /* What nobody has joined goes to all, not just to routers. */
    uint32_t max_groups;                /* By VLAN; routers of a VLAN count as one. */
};

/* Returns 0 or ENOMEM (nothing changed). */
int bridge_set_multicast(struct bridge *bridge, const struct multicast *multicast);

/* What is known of groups; null: nobody listens. */
const struct snoop *bridge_snooped(const struct bridge *bridge);

/* Takes what a worker has copied for snooping; and does what is due. */
void bridge_hear(struct dataplane *dataplane, const struct punt *punt, uint64_t now_ms);
void bridge_snoop(struct bridge *bridge, uint64_t now_ms);

/* Takes it out.  When it returns no worker uses the port any more. */
void bridge_detach(struct bridge *bridge, struct attachment *attachment);

/* Whether packets may leave by a port now. */
static inline bool
attachment_forwards(const struct attachment *to)
{
    return !(atomic_load_explicit(&to->config, memory_order_relaxed) & (PORT_DOWN | PORT_NO_FWD))
           && !(atomic_load_explicit(&to->state, memory_order_relaxed) & LINK_DOWN);
}

/* Worker or control: null if there is no such port. */
struct attachment *bridge_port(const struct bridge *bridge, uint32_t number);

/* --- Worker: the packet's way (bridge_walk.c, bridge_replay.c) ---------------- */

/* Sends packets that were just parsed, and are in no entry's hands, through the tables, or the way
 * that the worker's cache remembers; takes all of them. */
void bridge_enter(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n);

/* Sends packets through the tables from 'table' on; takes all of them. */
void bridge_walk(struct worker *worker, struct bridge *bridge, struct packet **packets, unsigned n,
                 unsigned table);

/* The same, each from walk->table on. */
void bridge_walk_on(struct worker *worker, struct bridge *bridge, struct packet **packets,
                    unsigned n);

/* Sends packets through the tables, each from walk->table on.  It takes all of them but those that
 * are held. */
void bridge_resubmit(struct worker *worker, struct bridge *bridge, struct packet *const *packets,
                     unsigned n);

/* --- Control: OpenFlow messages (bridge_apply.c, bridge_flow.c, bridge_*.c) ----- */

/* Applies one whole OpenFlow 1.3 message of a kind that changes state or sends a packet:
 * FLOW_MOD, GROUP_MOD, METER_MOD, TABLE_MOD, PORT_MOD, PACKET_OUT, EXPERIMENTER (a template).  Returns OFWIRE_OK
 * (see ofwire.h) or the error of the specification; on error nothing has changed. */
uint32_t bridge_apply(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms);

/* Applies consecutive whole messages; results[i] for each.  Returns how many
 * there were; stops at a length that does not fit. */
size_t bridge_apply_all(struct bridge *bridge, const uint8_t *messages, size_t size,
                        uint32_t *results, size_t max, uint64_t now_ms);

/* Applies consecutive whole messages, all or none.  All of these but TABLE_MOD may be among them; packets go out when all else is done.  With 'atomic' the workers
 * stand still meanwhile, so that no packet meets a part of it.  Returns OFWIRE_OK or the error of
 * message number '*failed', and then nothing has changed.  Costs what its messages cost. */
uint32_t bridge_apply_bundle(struct bridge *bridge, const uint8_t *messages, size_t size,
                             bool atomic, uint32_t *failed, uint64_t now_ms);

/* Answers a multipart request.  'out' receives the reply bodies; 'ends' gets the offset behind each
 * part (a part is at most 65000 bytes; entries are never split).  Returns OFWIRE_OK or an error. */
uint32_t bridge_multipart(struct bridge *bridge, uint16_t type, const uint8_t *body, size_t size,
                          struct buffer *out, struct buffer *ends /* uint32_t each */,
                          uint64_t now_ms);

/* Answers a QUEUE_GET_CONFIG_REQUEST: appends the queues of port 'number' (OFPP_ANY: of all ports)
 * to 'out', as many as fit into one message.  Returns OFWIRE_OK or an error. */
uint32_t bridge_queue_config(struct bridge *bridge, uint32_t number, struct buffer *out);

/* Appends a PACKET_IN to 'out'. */
void bridge_packet_in(const struct punt *punt, struct buffer *out);

/* The timer of a flow has come: its idle or hard timeout may be over.  For
 * timer_wheel_advance(); 'bridge' is its context. */
void bridge_flow_timer(struct timer *timer, void *bridge);

/* Appends a PORT_STATUS (reason OFPPR_*: 0 add, 1 delete, 2 modify) to the events. */
void bridge_port_status(struct bridge *bridge, const struct attachment *attachment, uint8_t reason);

#endif
