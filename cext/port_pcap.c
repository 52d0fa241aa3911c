/* The pcap port: receives the frames of one file once, appends what it sends to another.
 *
 * What
 * ====
 * The device is "in:FILE", "out:FILE" or both with a comma between.  Files are
 * of the classic format [1] and of link type Ethernet.  Read are both byte orders, with
 * times in micro- or nanoseconds; written are nanoseconds in this host's order.
 * The file that is written is complete once the port is closed.
 *
 * A file that is cut short or makes no sense ends the input there, and counts
 * in rx_errors.  port->fd is an eventfd, readable until the input ends.
 *
 * [1] draft-ietf-opsawg-pcap, "PCAP Capture File Format". */

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "headers.h"
#include "port_private.h"

enum {
    LINK_TYPE_ETHERNET = 1,
    MAGIC_USEC = 0xa1b2c3d4,
    MAGIC_NSEC = 0xa1b23c4d,
    MAGIC_NG = 0x0a0d0d0a,      /* pcapng: another format. */
};

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2];
    uint32_t snaplen;
    uint32_t link_type;         /* And in the upper bits, about the FCS. */
};

struct record_header {
    uint32_t seconds, fraction;
    uint32_t len;               /* Bytes that follow. */
    uint32_t original_len;
};

struct pcap {
    FILE *in;                   /* Null: there is none, or it came to its end. */
    FILE *out;                  /* Null: there is none, or it could not be written. */
    bool swapped;               /* 'in' is in the other byte order. */
};

/* --- Open and close ------------------------------------------------------ */

static uint32_t
in_order(const struct pcap *pcap, uint32_t value)
{
    return pcap->swapped ? __builtin_bswap32(value) : value;
}

static bool
is_magic(uint32_t magic)
{
    return magic == (uint32_t)MAGIC_USEC || magic == (uint32_t)MAGIC_NSEC;
}

static int
open_in(struct pcap *pcap, const char *name, char *why, size_t why_size)
{
    struct file_header header;

    pcap->in = fopen(name, "rbe");
    if (!pcap->in) {
        return port_refuse(why, why_size, errno, "cannot read \"%s\": %s", name, strerror(errno));
    }
    if (fread(&header, sizeof header, 1, pcap->in) != 1) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" is too short for a pcap file", name);
    }
    if (header.magic == MAGIC_NG) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" is a pcapng file, not pcap", name);
    }
    pcap->swapped = is_magic(__builtin_bswap32(header.magic));
    if (!pcap->swapped && !is_magic(header.magic)) {
        return port_refuse(why, why_size, EINVAL, "\"%s\" is not a pcap file", name);
    }
    uint16_t link_type = in_order(pcap, header.link_type) & 0xffff;
    if (link_type != LINK_TYPE_ETHERNET) {
        return port_refuse(why, why_size, EINVAL,
                           "\"%s\" holds frames of link type %u, not Ethernet", name, link_type);
    }
    return 0;
}

static int
open_out(struct pcap *pcap, const char *name, char *why, size_t why_size)
{
    struct file_header header = {
        .magic = MAGIC_NSEC, .major = 2, .minor = 4,
        .snaplen = PACKET_LARGE, .link_type = LINK_TYPE_ETHERNET,
    };

    pcap->out = fopen(name, "wbe");
    if (!pcap->out || fwrite(&header, sizeof header, 1, pcap->out) != 1) {
        return port_refuse(why, why_size, errno, "cannot write \"%s\": %s", name, strerror(errno));
    }
    return 0;
}

/* Opens the files that 'device' names; may leave some open on failure. */
static int
open_files(struct pcap *pcap, const char *device, char *why, size_t why_size)
{
    char names[sizeof ((struct port_config *)0)->device];
    int error = 0;

    snprintf(names, sizeof names, "%s", device);
    for (char *rest = names, *part; !error && (part = strsep(&rest, ","));) {
        if (!strncmp(part, "in:", 3) && !pcap->in) {
            error = open_in(pcap, part + 3, why, why_size);
        } else if (!strncmp(part, "out:", 4) && !pcap->out) {
            error = open_out(pcap, part + 4, why, why_size);
        } else {
            error = port_refuse(why, why_size, EINVAL,
                                "bad device \"%s\": want in:FILE, out:FILE or in:FILE,out:FILE",
                                device);
        }
    }
    return error;
}

static void
close_file(FILE **file)
{
    if (*file) {
        fclose(*file);
    }
    *file = NULL;
}

static void
close_files(struct pcap *pcap)
{
    close_file(&pcap->in);
    close_file(&pcap->out);
    free(pcap);
}

static int
pcap_open(struct port *port, const struct port_config *config, char *why, size_t why_size)
{
    struct pcap *pcap = calloc(1, sizeof *pcap);
    int error = pcap ? open_files(pcap, config->device, why, why_size)
                     : port_refuse(why, why_size, ENOMEM, "no memory");

    if (!error) {
        port->fd = eventfd(pcap->in ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
        error = port->fd < 0
                ? port_refuse(why, why_size, errno, "no eventfd: %s", strerror(errno)) : 0;
    }
    if (error) {
        if (pcap) {
            close_files(pcap);
        }
        return error;
    }
    port->state = pcap;
    return 0;
}

static void
pcap_close(struct port *port)
{
    close_files(port->state);
    close(port->fd);
    port->state = NULL;
    port->fd = -1;
}

/* --- Receive and transmit ------------------------------------------------ */

static void
end_input(struct port *port, struct pcap *pcap)
{
    close_file(&pcap->in);
    unsignal_fd(port->fd);
}

/* The same, because the file makes no sense from here on. */
static struct packet *
give_up(struct port *port, struct pcap *pcap)
{
    counter_bump(&port->counters.rx_errors, 1);
    end_input(port, pcap);
    return NULL;
}

/* The next frame of the file.  Returns null if there is none, or if it was
 * skipped (then pcap->in is still there). */
static struct packet *
read_frame(struct port *port, struct pcap *pcap, struct pool *small, struct pool *large)
{
    struct record_header header;
    size_t n = fread(&header, 1, sizeof header, pcap->in);

    if (n == 0) {
        end_input(port, pcap);
        return NULL;
    }
    uint32_t len = n == sizeof header ? in_order(pcap, header.len) : UINT32_MAX;
    if (len > PACKET_LARGE) {
        return give_up(port, pcap);
    }
    struct packet *p = len < ETH_SIZE ? NULL : packet_for(small, large, len);
    if (!p) {
        counter_bump(len < ETH_SIZE ? &port->counters.rx_errors : &port->counters.rx_dropped, 1);
        return fseek(pcap->in, len, SEEK_CUR) ? give_up(port, pcap) : NULL;
    }
    if (fread(p->data, 1, len, pcap->in) != len) {
        packet_free(&p, 1);
        return give_up(port, pcap);
    }
    return p;
}

static unsigned
pcap_receive(struct port *port, struct pool *small, struct pool *large, struct packet **packets,
             unsigned limit)
{
    struct pcap *pcap = port->state;
    unsigned n = 0;

    while (n < limit && pcap->in && small->n_free) {
        struct packet *p = read_frame(port, pcap, small, large);
        if (p) {
            packets[n++] = p;
        }
    }
    if (n) {
        counter_bump(&port->counters.rx_packets, n);
        counter_bump(&port->counters.rx_bytes, packets_size(packets, n));
    }
    return n;
}

static bool
write_frame(FILE *out, const struct timespec *now, const struct packet *p)
{
    struct record_header header = {
        .seconds = (uint32_t)now->tv_sec, .fraction = (uint32_t)now->tv_nsec,
        .len = p->len, .original_len = p->len,
    };

    return fwrite(&header, sizeof header, 1, out) == 1 && fwrite(p->data, p->len, 1, out) == 1;
}

static unsigned
pcap_transmit(struct port *port, struct packet **packets, unsigned n)
{
    struct pcap *pcap = port->state;
    unsigned n_sent = 0;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    while (pcap->out && n_sent < n && write_frame(pcap->out, &now, packets[n_sent])) {
        n_sent++;
    }
    if (pcap->out && n_sent < n) {
        counter_bump(&port->counters.tx_errors, 1);
        close_file(&pcap->out);     /* What follows half a record could not be read. */
    }
    counter_bump(&port->counters.tx_packets, n_sent);
    counter_bump(&port->counters.tx_bytes, packets_size(packets, n_sent));
    counter_bump(&port->counters.tx_dropped, n - n_sent);
    packet_free(packets, n);
    return n_sent;
}

static int
pcap_link(struct port *port, struct port_link *link)
{
    virtual_link(port, true, link);
    return 0;
}

extern const struct port_ops port_pcap_ops;
const struct port_ops port_pcap_ops = {
    .kind = "pcap",
    .open = pcap_open,
    .receive = pcap_receive,
    .transmit = pcap_transmit,
    .link = pcap_link,
    .close = pcap_close,
};
