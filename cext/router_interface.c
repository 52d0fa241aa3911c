/* Interfaces of routers: on ports and bridges, their addresses, and what follows from those.
 *
 * An interface that is down is on no port: no packet finds it, and nothing leads there. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "router_private.h"
#include "worker.h"

/* Errors of each kind for packets that came by one interface. */
static const struct bucket_rate icmp_rate = { .per_second = 100, .burst = 50 };

/* --- Maps --------------------------------------------------------------------------------- */

/* Where the map of a port, or of a bridge, is; null if there is no such port. */
static _Atomic(struct interface_map *) *
map_place(struct bridge *bridge, uint32_t port)
{
    if (port == PORT_LOCAL) {
        return &bridge->interfaces;
    }
    struct attachment *attachment = bridge_port(bridge, port);
    return attachment ? &attachment->interfaces : NULL;
}

/* A map like 'old' with 'interface' (or null) for a VLAN; null without memory. */
static struct interface_map *
map_with(const struct interface_map *old, uint16_t vlan, const struct interface *interface)
{
    uint32_t n_tagged = vlan || (old && old->n_tagged) ? INTERFACE_VLANS : 0;
    struct interface_map *map = calloc(1, sizeof *map + n_tagged * sizeof map->tagged[0]);

    if (!map) {
        return NULL;
    }
    map->n_tagged = n_tagged;
    if (old) {
        map->untagged = old->untagged;
        memcpy(map->tagged, old->tagged, old->n_tagged * sizeof map->tagged[0]);
    }
    if (vlan) {
        map->tagged[vlan] = interface;
    } else {
        map->untagged = interface;
    }
    return map;
}

static void
publish_map(struct dataplane *dataplane, _Atomic(struct interface_map *) *place,
            struct interface_map *map)
{
    struct interface_map *old = atomic_load_explicit(place, memory_order_relaxed);

    atomic_store_explicit(place, map, memory_order_release);
    epoch_free(&dataplane->epoch, old);
}

/* Lets packets of the interface's port and VLAN find 'interface', or none with null. */
static int
bind_view(const struct router_interface *own, const struct interface *interface)
{
    _Atomic(struct interface_map *) *place = map_place(own->bridge, own->port);

    if (!place) {
        return interface ? ENOENT : 0;
    }
    struct interface_map *map = map_with(atomic_load_explicit(place, memory_order_relaxed),
                                         own->vlan, interface);
    if (!map) {
        return ENOMEM;
    }
    publish_map(own->router->dataplane, place, map);
    return 0;
}

/* --- Addresses ------------------------------------------------------------------------------- */

static struct ip_prefix
link_of(const struct ip_prefix *address)
{
    struct ip_address mask = ip_mask(address->family, address->len);
    struct ip_prefix link = *address;

    link.address.word[0] &= mask.word[0];
    link.address.word[1] &= mask.word[1];
    return link;
}

static struct ip_prefix
host_of(uint8_t family, const struct ip_address *address)
{
    return (struct ip_prefix) { *address, family, (uint8_t) ip_bits(family) };
}

struct own_address *
interface_address(const struct router_interface *own, uint8_t family, const struct ip_address *address)
{
    for (unsigned i = 0; i < own->n_addresses; i++) {
        const struct ip_prefix *mine = &own->addresses[i].address;
        if (mine->family == family && ip_equal(&mine->address, address)) {
            return &own->addresses[i];
        }
    }
    return NULL;
}

bool
interface_has(const struct router_interface *own, uint8_t family, const struct ip_address *address)
{
    const struct own_address *mine = interface_address(own, family, address);

    return mine && mine->state == ADDRESS_VALID;
}

static const struct own_address *
covering(const struct router_interface *own, uint8_t family, const struct ip_address *address)
{
    for (unsigned i = 0; i < own->n_addresses; i++) {
        struct ip_prefix link = link_of(&own->addresses[i].address);
        if (own->addresses[i].state == ADDRESS_VALID && link.family == family
            && ip_matches(&link, address)) {
            return &own->addresses[i];
        }
    }
    return NULL;
}

bool
interface_covers(const struct router_interface *own, uint8_t family,
                 const struct ip_address *address)
{
    return covering(own, family, address);
}

const struct ip_address *
interface_source(const struct router_interface *own, uint8_t family, const struct ip_address *to)
{
    const struct own_address *best = covering(own, family, to);

    for (unsigned i = 0; !best && i < own->n_addresses; i++) {
        if (own->addresses[i].state == ADDRESS_VALID && own->addresses[i].address.family == family
            && !own->addresses[i].automatic) {
            best = &own->addresses[i];
        }
    }
    for (unsigned i = 0; !best && i < own->n_addresses; i++) {
        if (own->addresses[i].state == ADDRESS_VALID && own->addresses[i].address.family == family) {
            best = &own->addresses[i];
        }
    }
    return best ? &best->address.address : NULL;
}

/* The routes that an address makes: to it, to the broadcast addresses of its link (RFC 1122, 3.3.6),
 * and while the interface is up, to its link.  Link-local addresses are no matter of routes. */
struct own_routes {
    struct ip_prefix local[3];
    unsigned n_local;
    struct ip_prefix link;
    bool has_link;
};

static struct own_routes
routes_of(const struct own_address *address)
{
    const struct ip_prefix *mine = &address->address;
    struct own_routes routes = { .n_local = 0 };

    if (mine->family == IP_V6 && mine->address.word[0] >> 54 == 0xfe80 >> 6) {
        return routes;
    }
    routes.link = link_of(mine);
    routes.local[routes.n_local++] = host_of(mine->family, &mine->address);
    routes.has_link = mine->len < ip_bits(mine->family);
    if (mine->family == IP_V4 && mine->len <= 30) {
        struct ip_address last = routes.link.address, first = routes.link.address;
        last.word[1] |= UINT32_MAX >> mine->len;
        routes.local[routes.n_local++] = host_of(IP_V4, &first);
        routes.local[routes.n_local++] = host_of(IP_V4, &last);
    }
    return routes;
}

static enum route_result
put_link(struct router_interface *own, const struct own_address *address)
{
    struct own_routes routes = routes_of(address);

    if (address->state != ADDRESS_VALID) {
        return ROUTE_DONE;
    }
    return routes.has_link ? router_put_own_route(own->router, ROUTE_CONNECTED, &routes.link, own->link)
                           : ROUTE_DONE;
}

static void
remove_link(struct router_interface *own, const struct own_address *address)
{
    struct own_routes routes = routes_of(address);

    if (routes.has_link) {
        router_remove_route(own->router, ROUTE_CONNECTED, &routes.link);
    }
}

static enum route_result
put_routes(struct router_interface *own, const struct own_address *address)
{
    struct own_routes routes = routes_of(address);
    uint32_t local = own->router->dataplane->routing.local;
    enum route_result result = ROUTE_DONE;

    if (address->state != ADDRESS_VALID) {
        return ROUTE_DONE;
    }
    for (unsigned i = 0; i < routes.n_local && !result; i++) {
        result = router_put_own_route(own->router, ROUTE_CONNECTED, &routes.local[i], local);
    }
    return !result && interface_view(own)->up ? put_link(own, address) : result;
}

static void
remove_routes(struct router_interface *own, const struct own_address *address)
{
    struct own_routes routes = routes_of(address);

    for (unsigned i = 0; i < routes.n_local; i++) {
        router_remove_route(own->router, ROUTE_CONNECTED, &routes.local[i]);
    }
    remove_link(own, address);
}

static void
set_state(struct router_interface *own, struct own_address *address, enum address_state state)
{
    uint32_t *n_tentative = &own->router->dataplane->routing.n_tentative;

    *n_tentative += (state == ADDRESS_TENTATIVE) - (address->state == ADDRESS_TENTATIVE);
    address->state = state;
    address->due_ms = 0;
}

/* An address, or the link, is another one: somebody may have it (RFC 4862, 5.4). */
static void
try_again(struct router_interface *own, struct own_address *address)
{
    if (own->detects && address->address.family == IP_V6) {
        if (address->state == ADDRESS_VALID) {
            remove_routes(own, address);
        }
        set_state(own, address, ADDRESS_TENTATIVE);
    }
}

int
interface_validate(struct router_interface *own, struct own_address *address)
{
    set_state(own, address, ADDRESS_VALID);
    if (put_routes(own, address)) {
        remove_routes(own, address);
        set_state(own, address, ADDRESS_TENTATIVE);
        return ENOMEM;
    }
    router_refresh_groups(own->router->dataplane);
    return 0;
}

void
router_conflict(struct router_interface *own, uint8_t family, const struct ip_address *address)
{
    struct own_address *mine = interface_address(own, family, address);

    if (mine && mine->state == ADDRESS_TENTATIVE) {
        set_state(own, mine, ADDRESS_DUPLICATE);
    }
}

const struct ip_prefix *
router_duplicate(const struct router *router, uint32_t index, unsigned *i)
{
    const struct router_interface *own = interface_own(router->dataplane, index);

    while (own && own->router == router && *i < own->n_addresses) {
        const struct own_address *address = &own->addresses[(*i)++];
        if (address->state == ADDRESS_DUPLICATE) {
            return &address->address;
        }
    }
    return NULL;
}

static int
add_address(struct router_interface *own, const struct ip_prefix *address, bool automatic)
{
    struct own_address *grown = realloc(own->addresses, (own->n_addresses + 1) * sizeof *grown);

    if (!grown) {
        return ENOMEM;
    }
    own->addresses = grown;
    own->addresses[own->n_addresses] = (struct own_address) { .address = *address, .automatic = automatic };
    if (own->detects && address->family == IP_V6) {
        set_state(own, &own->addresses[own->n_addresses], ADDRESS_TENTATIVE);
    }
    if (put_routes(own, &own->addresses[own->n_addresses])) {
        remove_routes(own, &own->addresses[own->n_addresses]);
        return ENOMEM;
    }
    own->n_addresses++;
    return 0;
}

static void
drop_address(struct router_interface *own, unsigned i)
{
    struct own_address gone = own->addresses[i];

    set_state(own, &own->addresses[i], ADDRESS_VALID);  /* It is not asked for any more. */
    own->addresses[i] = own->addresses[--own->n_addresses];
    if (gone.state == ADDRESS_VALID) {
        remove_routes(own, &gone);
    }
}

int
router_add_address(struct router *router, uint32_t index, const struct ip_prefix *address)
{
    struct router_interface *own = interface_own(router->dataplane, index);

    if (!own || own->router != router) {
        return ENOENT;
    }
    if (interface_address(own, address->family, &address->address)) {
        return EEXIST;
    }
    if ((address->family != IP_V4 && address->family != IP_V6)
        || address->len > ip_bits(address->family)) {
        return EINVAL;
    }
    int error = add_address(own, address, false);
    router_refresh_groups(router->dataplane);
    return error;
}

int
router_remove_address(struct router *router, uint32_t index, const struct ip_prefix *address)
{
    struct router_interface *own = interface_own(router->dataplane, index);

    for (unsigned i = 0; own && own->router == router && i < own->n_addresses; i++) {
        const struct ip_prefix *mine = &own->addresses[i].address;
        if (mine->family == address->family && mine->len == address->len
            && ip_equal(&mine->address, &address->address)) {
            drop_address(own, i);
            router_flush_uncovered(own);
            router_refresh_groups(router->dataplane);
            return 0;
        }
    }
    return ENOENT;
}

/* RFC 4291, 2.5.6 and appendix A. */
static struct ip_prefix
link_local_of(uint64_t mac)
{
    uint64_t low = (mac >> 24 ^ 0x020000) << 40 | 0xfffeull << 24 | (mac & 0xffffff);

    return (struct ip_prefix) { { { 0xfe80ull << 48, low } }, IP_V6, 64 };
}

/* Gives it the link-local address of its link-layer address, in the place of the one it had. */
static int
set_link_local(struct router_interface *own, uint64_t mac)
{
    struct ip_prefix address = link_local_of(mac);

    for (unsigned i = 0; i < own->n_addresses; i++) {
        struct own_address *mine = &own->addresses[i];
        if (mine->automatic) {
            if (!ip_equal(&mine->address.address, &address.address)) {
                mine->address = address;
                try_again(own, mine);
            }
            return 0;
        }
    }
    return add_address(own, &address, true);
}

/* --- Interfaces ---------------------------------------------------------------------------------- */

static struct interface *
make_view(const struct router_interface *own, const struct interface_config *config,
          const struct interface *old)
{
    struct interface *view = calloc(1, sizeof *view);

    if (!view) {
        return NULL;
    }
    *view = (struct interface) {
        .mac = config->mac, .router = own->router, .index = own->index, .vlan = own->vlan,
        .mtu = config->mtu, .reverse_path = config->reverse_path, .up = config->up,
        .nat_side = config->nat_side, .nat = config->nat,
        .redirects = config->redirects && config->nat_side == NAT_SIDE_NONE,
        .port = own->port, .bridge = own->bridge,
        .received = old->received, .sent = old->sent,
    };
    strncpy(view->name, config->name, sizeof view->name - 1);
    return view;
}

static void
publish_view(struct dataplane *dataplane, uint32_t index, struct interface *view)
{
    _Atomic(struct interface *) *slot = &dataplane->routing.interfaces[index];
    struct interface *old = atomic_load_explicit(slot, memory_order_relaxed);

    atomic_store_explicit(slot, view, memory_order_release);
    epoch_free(&dataplane->epoch, old);
}

static void
put_links(struct router_interface *own)
{
    for (unsigned i = 0; i < own->n_addresses; i++) {
        put_link(own, &own->addresses[i]);
    }
}

static void
remove_links(struct router_interface *own)
{
    for (unsigned i = 0; i < own->n_addresses; i++) {
        remove_link(own, &own->addresses[i]);
    }
}

/* Makes the adjacency of its link say what the interface is like now. */
static int
publish_link(struct router_interface *own, const struct interface *view)
{
    struct adjacency_table *table = &own->router->dataplane->routing.adjacencies;
    struct adjacency *link = adjacency_make(ADJACENCY_LINK, 0);

    if (!link) {
        return ENOMEM;
    }
    link->interface = own->index;
    link->mtu = view->mtu;
    if (own->link) {
        adjacency_publish(table, own->link, link);
        return 0;
    }
    own->link = adjacency_new(table, link);
    if (!own->link) {
        adjacency_drop(link);
        return ENOMEM;
    }
    return 0;
}

static void
flush_neighbours(struct router_interface *own, bool permanent)
{
    struct neighbours *neighbours = &own->router->dataplane->routing.neighbours;

    neighbour_flush(neighbours, &own->neighbours, permanent, neighbours->now_ms);
}

/* Another one may have got the former number already. */
static void
set_number(struct router_interface *own, uint16_t number)
{
    _Atomic uint16_t *numbered = own->router->dataplane->routing.numbered;

    if (own->number && numbered[own->number] == own->index) {
        atomic_store_explicit(&numbered[own->number], 0, memory_order_relaxed);
    }
    own->number = number;
    if (number) {
        atomic_store_explicit(&numbered[number], own->index, memory_order_release);
    }
}

int
router_set_interface(struct router *router, uint32_t index, const struct interface_config *config)
{
    struct dataplane *dataplane = router->dataplane;
    struct router_interface *own = interface_own(dataplane, index);

    if (!own || own->router != router) {
        return ENOENT;
    }
    const struct interface *old = interface_view(own);
    bool was_up = old->up, moved = old->mac != config->mac || old->mtu != config->mtu;
    struct interface *view = make_view(own, config, old);
    if (!view) {
        return ENOMEM;
    }
    own->detects = config->detects;
    int error = set_link_local(own, config->mac);
    error = error ? error : publish_link(own, view);
    error = error ? error : bind_view(own, view->up ? view : NULL);
    if (error) {
        free(view);
        return error;
    }
    own->proxy_arp = config->proxy_arp;
    publish_view(dataplane, index, view);
    set_number(own, config->number);
    own->neighbours.mac = config->mac;
    if (was_up && (!view->up || moved)) {
        flush_neighbours(own, false);
    }
    if (was_up != view->up) {
        (view->up ? put_links : remove_links)(own);
    }
    for (unsigned i = 0; !was_up && view->up && i < own->n_addresses; i++) {
        try_again(own, &own->addresses[i]);
    }
    router_refresh_groups(dataplane);
    return 0;
}

static uint32_t
find_index(struct routing *routing)
{
    for (unsigned i = 0; i < INTERFACES_MAX; i++) {
        uint32_t index = routing->next_interface++ % (INTERFACES_MAX - 1) + 1;
        if (!routing->own[index]) {
            return index;
        }
    }
    return 0;
}

static void
free_own(struct router_interface *own)
{
    struct dataplane *dataplane = own->router->dataplane;

    if (own->link) {
        adjacency_free(&dataplane->routing.adjacencies, own->link);
    }
    free(own->addresses);
    free(own);
}

/* A down interface with an index of its own; null without memory. */
static struct router_interface *
make_own(struct router *router, const struct interface_config *config)
{
    struct routing *routing = &router->dataplane->routing;
    struct router_interface *own = calloc(1, sizeof *own);
    struct interface *view = calloc(1, sizeof *view);
    uint32_t index = find_index(routing);

    if (!own || !view || !index) {
        free(own);
        free(view);
        return NULL;
    }
    *own = (struct router_interface) {
        .router = router, .index = index, .bridge = config->bridge, .port = config->port,
        .vlan = config->vlan, .host = -1, .neighbours.interface = index,
        .icmp.rate = icmp_rate,
    };
    *view = (struct interface) {
        .router = router, .index = index, .bridge = config->bridge, .port = config->port,
        .received = counter_new(&router->dataplane->counters),
        .sent = counter_new(&router->dataplane->counters),
    };
    routing->own[index] = own;
    publish_view(router->dataplane, index, view);
    return own;
}

static bool
is_taken(const struct interface_config *config)
{
    _Atomic(struct interface_map *) *place = map_place(config->bridge, config->port);
    const struct interface_map *map = place ? atomic_load_explicit(place, memory_order_relaxed) : NULL;

    return interface_find(map, config->vlan ? config->vlan | VID_PRESENT : 0);
}

int
router_add_interface(struct router *router, const struct interface_config *config, uint32_t *index)
{
    if (is_taken(config)) {
        return EEXIST;
    }
    struct router_interface *own = make_own(router, config);
    if (!own) {
        return ENOMEM;
    }
    int error = router_set_interface(router, own->index, config);
    if (error) {
        router_remove_interface(router, own->index);
        return error;
    }
    *index = own->index;
    return 0;
}

void
router_remove_interface(struct router *router, uint32_t index)
{
    struct dataplane *dataplane = router->dataplane;
    struct router_interface *own = interface_own(dataplane, index);
    struct interface *view = atomic_load_explicit(&dataplane->routing.interfaces[index],
                                                  memory_order_relaxed);
    uint32_t received = view->received, sent = view->sent;

    set_number(own, 0);
    router_set_advertised(router, index, NULL);
    router_set_listening(router, index, false, 0);
    while (bind_view(own, NULL)) {
        epoch_synchronize(&dataplane->epoch);
    }
    atomic_store_explicit(&view->up, false, memory_order_relaxed);
    router_refresh_groups(dataplane);           /* They let go of its neighbours. */
    flush_neighbours(own, true);
    while (own->n_addresses) {
        drop_address(own, own->n_addresses - 1);
    }
    dataplane->routing.own[index] = NULL;
    publish_view(dataplane, index, NULL);
    dataplane_retire_counter(dataplane, received);
    dataplane_retire_counter(dataplane, sent);
    free_own(own);
}
