/* Whatever frames come, and whatever is put and removed in between: no crash; every record has a result; every
 * packet is accounted for; nothing goes out that is no frame; and when the router is closed, nothing of it is
 * left.
 *
 * An input is a run of records: a byte that says what it is (see 'kinds'), two bytes of length,
 * and that many bytes. */

#include "driver.h"

#include "../cext/labels.h"
#include "../cext/trees.h"

enum { HEADER = 3, MAX_RESULTS = 64, RENEW = 256 /* Inputs that a router serves. */ };

/* --- Records --------------------------------------------------------------------------------- */

static void
check_results(const uint8_t *results, size_t n)
{
    CHECK(n <= MAX_RESULTS);
    for (size_t i = 0; i < n; i++) {
        CHECK(get_be32(results + 4 * i) <= ROUTE_IN_USE);
    }
}

/* The last byte says by which port. */
static void
try_packet(struct routing_rig *r, const uint8_t *data, size_t size)
{
    if (size >= ETH_SIZE) {
        port_memory_put(&r->rig->ports[1 + data[size - 1] % 3], data, size, NULL);
    }
    routing_run(r);
}

/* The same to the interface's own address, behind an Ethernet header that is right. */
static void
try_ip(struct routing_rig *r, const uint8_t *data, size_t size)
{
    struct frame f;
    unsigned port = size ? 1 + data[size - 1] % 3 : 1;

    if (!size || size > 2000) {
        return;
    }
    frame_eth(&f, data[0] >> 4 == 6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
    put_be48(f.data, MAC_OF(port));
    frame_add(&f, data, size);
    if (data[0] >> 4 == 4 && size >= IPV4_SIZE && (data[0] & 15u) * 4 <= size) {
        csum_ipv4(f.data + ETH_SIZE);
    }
    port_memory_put(&r->rig->ports[port], f.data, f.len, NULL);
    routing_run(r);
}

static void
try_routes(struct routing_rig *r, const uint8_t *data, size_t size)
{
    uint8_t results[4 * MAX_RESULTS];

    size = size < MAX_RESULTS * ROUTE_RECORD ? size : MAX_RESULTS * ROUTE_RECORD;
    check_results(results, router_route_mod(r->router, data, size, results));
}

static void
try_groups(struct routing_rig *r, const uint8_t *data, size_t size)
{
    uint8_t results[4 * MAX_RESULTS];

    check_results(results, router_next_hop_mod(r->router, data, size, results, MAX_RESULTS));
}

static void
try_trees(struct routing_rig *r, const uint8_t *data, size_t size)
{
    uint8_t results[4 * MAX_RESULTS];

    check_results(results, router_tree_mod(r->router, data, size, results, MAX_RESULTS));
}

/* One byte: the source whose trees are marked, and of the odd ones swept. */
static void
try_sweep(struct routing_rig *r, const uint8_t *data, size_t size)
{
    uint8_t source = size ? data[0] >> 1 : ROUTE_FPM;

    if (size && data[0] & 1) {
        tib_sweep(&r->router->tib, source);
    } else {
        tib_begin(&r->router->tib, source);
    }
}

static void
try_neighbours(struct routing_rig *r, const uint8_t *data, size_t size)
{
    uint8_t results[4 * MAX_RESULTS];

    size = size < MAX_RESULTS * NEIGHBOUR_RECORD ? size : MAX_RESULTS * NEIGHBOUR_RECORD;
    check_results(results, router_neighbour_mod(r->router, data, size, results, r->rig->now));
}

/* Two bytes: which interface and what it is like from now on. */
static void
try_interface(struct routing_rig *r, const uint8_t *data, size_t size)
{
    if (size < 2) {
        return;
    }
    unsigned i = 1 + data[0] % 3;
    struct interface_config config = interface_on(r->rig, i);
    config.up = data[1] & 1;
    config.reverse_path = data[1] >> 1 & 3 ? data[1] >> 1 & 1 ? REVERSE_PATH_LOOSE : REVERSE_PATH_STRICT
                                           : REVERSE_PATH_OFF;
    config.proxy_arp = data[1] & 8;
    config.redirects = data[1] & 32;
    config.detects = data[1] & 64;
    config.mtu = data[1] & 16 ? 1280 : MTU;
    CHECK(!router_set_interface(r->router, r->index[i], &config));
}

static void
try_time(struct routing_rig *r, const uint8_t *data, size_t size)
{
    routing_tick(r, size ? data[0] * 100u : 10);
}

static void (*const kinds[])(struct routing_rig *, const uint8_t *, size_t) = {
    try_packet, try_ip, try_routes, try_groups, try_neighbours, try_interface, try_time,
    try_trees, try_sweep,
};

/* --- What holds then --------------------------------------------------------------------------- */

static void
check_frames(struct routing_rig *r)
{
    struct frame f;
    size_t len;

    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        while ((len = port_memory_take(&r->rig->ports[port], f.data, sizeof f.data, NULL))) {
            CHECK(len >= ETH_SIZE);
            CHECK(port > 3 || get_be48(f.data + 6) == MAC_OF(port));
        }
    }
}

static void
check_lists(struct routing_rig *r)
{
    struct buffer out = { 0 };
    uint32_t cursor = 0, n = 0;

    do {
        size_t before = out.len;
        router_list_routes(r->router, 0, &cursor, 7, &out);
        n += (out.len - before) / ROUTE_RECORD;
    } while (cursor);
    CHECK(n == r->router->rib.n_routes);
    do {
        router_list_groups(r->router, 0, &cursor, 2, &out);
    } while (cursor);
    do {
        router_list_neighbours(r->router, r->rig->now, &cursor, 3, &out);
    } while (cursor);
    do {
        router_list_trees(r->router, 0, &cursor, 2, &out);
    } while (cursor);
    CHECK(!out.failed);
    buffer_close(&out);
}

static struct routing_rig *r;

static void
close_router(void)
{
    if (r) {
        routing_free(r);
        r = NULL;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned n_inputs;

    if (!n_inputs) {
        atexit(close_router);
    }
    if (!r) {
        r = routing_new();
    }
    while (size >= HEADER) {
        size_t len = (size_t) data[1] << 8 | data[2];
        len = len < size - HEADER ? len : size - HEADER;
        /* Exactly its bytes, so that none behind them is read unnoticed. */
        uint8_t *record = malloc(len ? len : 1);
        CHECK(record);
        memcpy(record, data + HEADER, len);
        kinds[data[0] % (sizeof kinds / sizeof kinds[0])](r, record, len);
        free(record);
        check_frames(r);
        data += HEADER + len;
        size -= HEADER + len;
    }
    check_lists(r);
    if (++n_inputs % RENEW == 0) {
        close_router();
    }
    return 0;
}

/* --- Seeds --------------------------------------------------------------------------------------- */

static size_t
begin(uint8_t *buf, unsigned kind, size_t len)
{
    buf[0] = (uint8_t) kind;
    put_be16(buf + 1, (uint16_t) len);
    return HEADER;
}

static size_t
add(uint8_t *buf, unsigned kind, const void *data, size_t len)
{
    size_t at = begin(buf, kind, len);

    memcpy(buf + at, data, len);
    return at + len;
}

/* A way out by interface 2 or 3 with its neighbour, and a packet that takes it. */
static size_t
seed_route(unsigned i, uint8_t *buf)
{
    bool v6 = i & 1;
    uint8_t group[8 + 40] = { 1, ROUTE_FPM, 0, 1, 0, 0, 0, 1 }, *hop = group + 8;
    uint8_t route[ROUTE_RECORD] = { 1, v6 ? 6 : 4, v6 ? 32 : 8, ROUTE_FPM, 0, 0, 0, 1 };
    uint8_t neighbour[NEIGHBOUR_RECORD] = { 1, v6 ? 6 : 4 };
    struct ip_address gateway = v6 ? V6(2, 9) : V4(10, 0, 2, 9), net = v6 ? V6(0, 0) : V4(192, 0, 0, 0);
    struct frame f;
    size_t n = 0;

    hop[0] = NEXT_HOP_GATEWAY;
    hop[1] = v6 ? 6 : 4;
    put_be32(hop + 4, 2);
    ip_write(hop[1], &gateway, hop + 8);
    memset(hop + 24, 0xff, 16);
    net.word[0] &= ~UINT64_C(0xffffffff);
    ip_write(route[1], &net, route + 16);
    put_be32(neighbour + 4, 2);
    ip_write(hop[1], &gateway, neighbour + 8);
    put_be48(neighbour + 24, MAC_OF_HOST(2, 9));
    n += add(buf + n, 3, group, sizeof group);
    n += add(buf + n, 2, route, sizeof route);
    if (i & 2) {
        n += add(buf + n, 4, neighbour, sizeof neighbour);
    }
    if (v6) {
        udp_packet(&f, 1, IP_V6, V6(1, 9), V6(77, 1), i & 4 ? 1 : 64, 30);
    } else {
        udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), i & 4 ? 1 : 64, i & 8 ? 1400 : 30);
    }
    n += add(buf + n, 1, f.data + ETH_SIZE, f.len - ETH_SIZE);
    n += add(buf + n, 6, "\5", 1);
    n += add(buf + n, 5, "\1\21", 2);
    return n + add(buf + n, 1, f.data + ETH_SIZE, f.len - ETH_SIZE);
}

/* A next hop with labels, two or four, a label that leads there and one that ends here, and packets that take
 * them. */
static size_t
seed_label(unsigned i, uint8_t *buf)
{
    uint8_t group[8 + 40] = { 1, ROUTE_FPM, 0, 1, 0, 0, 0, 1 }, here[8 + 40] = { 1, ROUTE_FPM, 0, 1, 0, 0, 0, 2 };
    uint8_t labels[2][ROUTE_RECORD] = { { 1, IP_LABEL, IP_LABEL_LEN, ROUTE_FPM, 0, 0, 0, 1 },
                                        { 1, IP_LABEL, IP_LABEL_LEN, ROUTE_FPM, 0, 0, 0, 2 } };
    uint8_t neighbour[NEIGHBOUR_RECORD] = { 1, 4 };
    const struct ip_address gateway = V4(10, 0, 2, 9);
    struct frame f;
    size_t n = 0;

    here[8] = NEXT_HOP_LOCAL;
    memset(here + 8 + 24, 0xff, 16);
    group[8] = i & 1 ? NEXT_HOP_RECURSIVE : NEXT_HOP_GATEWAY;
    group[9] = 4;
    put_be32(group + 8 + 4, 2);
    ip_write(IP_V4, &gateway, group + 8 + 8);
    memset(group + 8 + 24, 0xff, 16);
    for (unsigned j = 0; j < (i & 2 ? 4 : 2); j++) {
        put_be32(group + 8 + 24 + 4 * j, LABEL_FREE + j);
    }
    put_be32(labels[0] + 16, 100);
    put_be32(labels[1] + 16, 101);
    put_be32(neighbour + 4, 2);
    ip_write(IP_V4, &gateway, neighbour + 8);
    put_be48(neighbour + 24, MAC_OF_HOST(2, 9));
    n += add(buf + n, 3, group, sizeof group);
    n += add(buf + n, 3, here, sizeof here);
    n += add(buf + n, 2, labels, sizeof labels);
    if (i & 4) {
        n += add(buf + n, 4, neighbour, sizeof neighbour);
    }
    udp_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    add_stack(&f, &(const struct stack) { 3, { { 101, 0, 9 }, { i & 8 ? 0 : 100, 0, 9 }, { 100, 0, 9 } } });
    f.data[f.len++] = 0;                        /* By port 1. */
    n += add(buf + n, 0, f.data, f.len);
    n += add(buf + n, 6, "\5", 1);
    return n + add(buf + n, 0, f.data, f.len);
}

/* A tree by interfaces 2 and 3, and a packet that takes it. */
static size_t
seed_tree(unsigned i, uint8_t *buf)
{
    static const struct routing_rig indices = { .index = { 0, 1, 2, 3 } };
    bool v6 = i & 1;
    struct ip_address group = v6 ? GROUP6(1) : GROUP4(1), from = v6 ? V6(1, 9) : V4(10, 0, 1, 9);
    const struct tree_words words = {
        .source = ROUTE_FPM, .family = v6 ? IP_V6 : IP_V4, .incoming = i & 2 ? 1 : 0, .outgoing = 0xe,
        .group = group, .from = i & 4 ? from : any_source, .is_local = i & 1,
    };
    uint8_t record[TREE_RECORD + 12];
    struct frame f;
    size_t n = add(buf, 7, record, tree_write(&indices, &words, record));

    group_packet(&f, 1, words.family, from, group, 64, i & 8 ? 1400 : 30);
    n += add(buf + n, 1, f.data + ETH_SIZE, f.len - ETH_SIZE);
    n += add(buf + n, 5, "\1\21", 2);
    n += add(buf + n, 0, f.data, f.len);
    return n + add(buf + n, 8, i & 8 ? "\12" : "\13", 1);
}

/* One of each kind of frame. */
static size_t
seed_frame(unsigned i, uint8_t *buf)
{
    struct frame f;

    if (i >= N_SAMPLES) {
        return 0;
    }
    frame_sample(&f, (enum sample) i);
    put_be48(f.data, i & 1 ? MAC_OF(1) : UINT64_C(0xffffffffffff));
    return add(buf, 0, f.data, f.len);
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static uint8_t seed[8192];
    size_t n = i < 16 ? seed_route(i, seed) : i < 32 ? seed_label(i - 16, seed)
               : i < 48 ? seed_tree(i - 32, seed) : seed_frame(i - 48, seed);

    if (n > cap) {
        return 0;
    }
    memcpy(buf, seed, n);
    return n;
}
