/* port_pcap.c: what is read, what is written, and files that make no sense. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "port.h"

struct fixture {
    struct pool small, large;
    struct port port;
    char folder[32];
    char in[64], out[64];       /* File names in it. */
    char why[256];
};

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->port = (struct port){.ops = port_kind("pcap"), .name = "p"};
    strcpy(f->folder, "/tmp/raicho-pcap-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->in, sizeof f->in, "%s/in.pcap", f->folder);
    snprintf(f->out, sizeof f->out, "%s/out.pcap", f->folder);
    assert_int_equal(pool_open(&f->small, 16, PACKET_SMALL), 0);
    assert_int_equal(pool_open(&f->large, 2, PACKET_LARGE), 0);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->port.state) {
        f->port.ops->close(&f->port);
    }
    unlink(f->in);
    unlink(f->out);
    rmdir(f->folder);
    assert_int_equal(f->small.n_free, 16);
    assert_int_equal(f->large.n_free, 2);
    pool_close(&f->small);
    pool_close(&f->large);
    free(f);
    return 0;
}

static int
open_port(struct fixture *f, const char *device)
{
    struct port_config config = {.mtu = 0};

    snprintf(config.device, sizeof config.device, "%s", device);
    return f->port.ops->open(&f->port, &config, f->why, sizeof f->why);
}

static int
open_in(struct fixture *f)
{
    char device[80];

    snprintf(device, sizeof device, "in:%s", f->in);
    return open_port(f, device);
}

static void
put32(FILE *file, bool big_endian, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        fputc((int)(value >> (big_endian ? 24 - 8 * i : 8 * i) & 0xff), file);
    }
}

/* Begins a file with a header. */
static FILE *
begin(struct fixture *f, bool big_endian, uint32_t magic, uint32_t link_type)
{
    FILE *file = fopen(f->in, "w");

    put32(file, big_endian, magic);
    put32(file, big_endian, big_endian ? 0x00020004 : 0x00040002);
    put32(file, big_endian, 0);
    put32(file, big_endian, 0);
    put32(file, big_endian, 65535);
    put32(file, big_endian, link_type);
    return file;
}

/* Adds a frame of 'len' bytes, each 'byte', that says it has 'said' bytes. */
static void
add(FILE *file, bool big_endian, uint8_t byte, uint32_t len, uint32_t said)
{
    put32(file, big_endian, 1000);
    put32(file, big_endian, 1);
    put32(file, big_endian, said);
    put32(file, big_endian, said);
    for (uint32_t i = 0; i < len; i++) {
        fputc(byte, file);
    }
}

/* Receives all there is and frees it; returns how many, and their first bytes in 'first'. */
static unsigned
receive_all(struct fixture *f, uint8_t *first)
{
    struct packet *packets[4];
    unsigned n_all = 0, n;

    while ((n = f->port.ops->receive(&f->port, &f->small, &f->large, packets, 4))) {
        for (unsigned i = 0; i < n; i++) {
            first[n_all++] = packets[i]->data[0];
        }
        packet_free(packets, n);
    }
    return n_all;
}

static bool
is_readable(const struct port *port)
{
    struct pollfd pollfd = {.fd = port->fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) == 1;
}

static void
test_files_of_both_byte_orders_and_resolutions_are_read(void **state)
{
    struct fixture *f = *state;
    const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};

    for (unsigned i = 0; i < 4; i++) {
        bool big_endian = i & 1;
        uint8_t first[16];
        FILE *file = begin(f, big_endian, magics[i / 2], 1);
        add(file, big_endian, 1, 60, 60);
        add(file, big_endian, 2, 9000, 9000);
        fclose(file);

        assert_int_equal(open_in(f), 0);
        assert_true(is_readable(&f->port));
        assert_int_equal(receive_all(f, first), 2);
        assert_memory_equal(first, "\1\2", 2);
        assert_false(is_readable(&f->port));
        assert_int_equal(receive_all(f, first), 0);
        f->port.ops->close(&f->port);
    }
    assert_int_equal(f->port.counters.rx_packets, 8);
    assert_int_equal(f->port.counters.rx_bytes, 4 * 9060);
    assert_int_equal(f->port.counters.rx_errors, 0);
}

static void
test_what_was_sent_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[3];
    char device[80];
    uint8_t first[16];

    snprintf(device, sizeof device, "out:%s", f->out);
    assert_int_equal(open_port(f, device), 0);
    assert_int_equal(pool_get(&f->small, packets, 3), 3);
    for (unsigned i = 0; i < 3; i++) {
        packet_set_len(packets[i], 60 + i);
        memset(packets[i]->data, (int)i + 5, 60 + i);
    }
    assert_int_equal(f->port.ops->transmit(&f->port, packets, 3), 3);
    assert_int_equal(f->port.counters.tx_packets, 3);
    assert_int_equal(f->port.counters.tx_bytes, 183);
    f->port.ops->close(&f->port);

    snprintf(device, sizeof device, "in:%s", f->out);
    assert_int_equal(open_port(f, device), 0);
    assert_int_equal(receive_all(f, first), 3);
    assert_memory_equal(first, "\5\6\7", 3);
}

static void
test_a_port_may_have_both_an_input_and_an_output(void **state)
{
    struct fixture *f = *state;
    struct packet *packet;
    struct stat stat_of;
    char device[160];
    FILE *file = begin(f, false, 0xa1b2c3d4, 1);

    add(file, false, 1, 60, 60);
    fclose(file);
    snprintf(device, sizeof device, "in:%s,out:%s", f->in, f->out);
    assert_int_equal(open_port(f, device), 0);
    assert_int_equal(f->port.ops->receive(&f->port, &f->small, &f->large, &packet, 1), 1);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 1);
    f->port.ops->close(&f->port);
    assert_int_equal(stat(f->out, &stat_of), 0);
    assert_int_equal(stat_of.st_size, 24 + 16 + 60);
}

static void
test_a_port_without_an_output_drops_what_it_is_sent(void **state)
{
    struct fixture *f = *state;
    struct packet *packet;

    fclose(begin(f, false, 0xa1b2c3d4, 1));
    assert_int_equal(open_in(f), 0);
    assert_int_equal(pool_get(&f->small, &packet, 1), 1);
    packet_set_len(packet, 60);
    assert_int_equal(f->port.ops->transmit(&f->port, &packet, 1), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_int_equal(f->port.counters.tx_errors, 0);
}

static void
test_a_disk_that_is_full_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[16];

    assert_int_equal(open_port(f, "out:/dev/full"), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pool_get(&f->small, packets, 16), 16);
        for (unsigned j = 0; j < 16; j++) {
            packet_set_len(packets[j], 1514);
        }
        f->port.ops->transmit(&f->port, packets, 16);
    }
    assert_int_equal(f->port.counters.tx_errors, 1);
    assert_true(f->port.counters.tx_dropped > 40);
}

static void
test_a_frame_that_is_cut_short_ends_the_input(void **state)
{
    struct fixture *f = *state;
    uint8_t first[16];
    FILE *file = begin(f, false, 0xa1b2c3d4, 1);

    add(file, false, 1, 60, 60);
    add(file, false, 2, 59, 60);
    fclose(file);
    assert_int_equal(open_in(f), 0);
    assert_int_equal(receive_all(f, first), 1);
    assert_int_equal(f->port.counters.rx_errors, 1);
    assert_false(is_readable(&f->port));
}

static void
test_a_record_header_that_is_cut_short_ends_the_input(void **state)
{
    struct fixture *f = *state;
    uint8_t first[16];
    FILE *file = begin(f, false, 0xa1b2c3d4, 1);

    put32(file, false, 1000);
    fclose(file);
    assert_int_equal(open_in(f), 0);
    assert_int_equal(receive_all(f, first), 0);
    assert_int_equal(f->port.counters.rx_errors, 1);
}

static void
test_a_length_beyond_all_reason_ends_the_input(void **state)
{
    struct fixture *f = *state;
    uint8_t first[16];
    FILE *file = begin(f, false, 0xa1b2c3d4, 1);

    add(file, false, 1, 60, 0xfffffff0);
    fclose(file);
    assert_int_equal(open_in(f), 0);
    assert_int_equal(receive_all(f, first), 0);
    assert_int_equal(f->port.counters.rx_errors, 1);
}

static void
test_a_frame_shorter_than_its_header_is_skipped(void **state)
{
    struct fixture *f = *state;
    uint8_t first[16];
    FILE *file = begin(f, false, 0xa1b2c3d4, 1);

    add(file, false, 1, 13, 13);
    add(file, false, 2, 14, 14);
    fclose(file);
    assert_int_equal(open_in(f), 0);
    assert_int_equal(receive_all(f, first), 1);
    assert_int_equal(first[0], 2);
    assert_int_equal(f->port.counters.rx_errors, 1);
}

static void
test_what_is_no_pcap_file_is_refused_by_name(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_port(f, "in:/nowhere/x"), ENOENT);
    assert_string_equal(f->why, "cannot read \"/nowhere/x\": No such file or directory");
    assert_int_equal(open_port(f, "out:/nowhere/x"), ENOENT);
    assert_string_equal(f->why, "cannot write \"/nowhere/x\": No such file or directory");
    assert_int_equal(open_port(f, "in:/dev/null"), EINVAL);
    assert_string_equal(f->why, "\"/dev/null\" is too short for a pcap file");
    assert_int_equal(open_port(f, "in:/dev/zero"), EINVAL);
    assert_string_equal(f->why, "\"/dev/zero\" is not a pcap file");

    fclose(begin(f, false, 0x0a0d0d0a, 1));
    assert_int_equal(open_in(f), EINVAL);
    assert_non_null(strstr(f->why, "is a pcapng file, not pcap"));
    fclose(begin(f, true, 0xa1b2c3d4, 101));
    assert_int_equal(open_in(f), EINVAL);
    assert_non_null(strstr(f->why, "holds frames of link type 101, not Ethernet"));
}

static void
test_a_device_that_names_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const devices[] = {"", "x.pcap", "in:/dev/null,", "out:/dev/null,out:/dev/null"};

    for (unsigned i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        assert_int_equal(open_port(f, devices[i]), EINVAL);
        assert_null(f->port.state);
    }
    assert_int_equal(open_port(f, "x.pcap"), EINVAL);
    assert_string_equal(f->why,
                        "bad device \"x.pcap\": want in:FILE, out:FILE or in:FILE,out:FILE");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_of_both_byte_orders_and_resolutions_are_read),
        TEST(what_was_sent_is_read_back),
        TEST(a_port_may_have_both_an_input_and_an_output),
        TEST(a_port_without_an_output_drops_what_it_is_sent),
        TEST(a_disk_that_is_full_is_an_error),
        TEST(a_frame_that_is_cut_short_ends_the_input),
        TEST(a_record_header_that_is_cut_short_ends_the_input),
        TEST(a_length_beyond_all_reason_ends_the_input),
        TEST(a_frame_shorter_than_its_header_is_skipped),
        TEST(what_is_no_pcap_file_is_refused_by_name),
        TEST(a_device_that_names_no_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
