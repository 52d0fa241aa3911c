/* Linkwatch: see linkwatch.h. */

#include "linkwatch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
linkwatch_open(struct linkwatch *watch)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

    watch->at = watch->len = 0;
    watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (watch->fd < 0) {
        return errno;
    }
    if (bind(watch->fd, (struct sockaddr *)&address, sizeof address)) {
        int error = errno;
        linkwatch_close(watch);
        return error;
    }
    return 0;
}

void
linkwatch_close(struct linkwatch *watch)
{
    close(watch->fd);
    watch->fd = -1;
}

/* Fills 'buffer' with what the kernel (port id 0), and no other process, sent. */
static int
refill(struct linkwatch *watch)
{
    struct sockaddr_nl from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(watch->fd, watch->buffer, sizeof watch->buffer, MSG_DONTWAIT,
                         (struct sockaddr *)&from, &size);

    if (n < 0) {
        return errno;
    }
    watch->at = 0;
    watch->len = from.nl_pid ? 0 : (size_t)n;
    return 0;
}

/* The next message in 'buffer', or null. */
static const struct nlmsghdr *
next_message(struct linkwatch *watch)
{
    const struct nlmsghdr *message = (const void *)(watch->buffer + watch->at);
    size_t left = watch->len - watch->at;

    if (left < sizeof *message || message->nlmsg_len < sizeof *message
        || message->nlmsg_len > left) {
        watch->at = watch->len;
        return NULL;
    }
    watch->at += NLMSG_ALIGN(message->nlmsg_len) < left ? NLMSG_ALIGN(message->nlmsg_len) : left;
    return message;
}

static void
read_name(const struct ifinfomsg *info, int len, char *name, size_t size)
{
    for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
        size_t n = RTA_PAYLOAD(a);
        if (a->rta_type == IFLA_IFNAME && n <= size) {
            memcpy(name, RTA_DATA(a), n);
            name[size - 1] = '\0';
        }
    }
}

/* Returns false if it is about something else.  A bridge tells of its members
 * in messages of family AF_BRIDGE, where "deleted" means "no longer a member". */
static bool
read_message(const struct nlmsghdr *message, struct link_event *event)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    bool gone = message->nlmsg_type == RTM_DELLINK;

    if ((message->nlmsg_type != RTM_NEWLINK && !gone)
        || message->nlmsg_len < NLMSG_LENGTH(sizeof *info) || info->ifi_family != AF_UNSPEC) {
        return false;
    }
    *event = (struct link_event){
        .index = info->ifi_index,
        .admin_up = !gone && (info->ifi_flags & IFF_UP),
        .up = !gone && (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING),
        .gone = gone,
    };
    read_name(info, (int)IFLA_PAYLOAD(message), event->name, sizeof event->name);
    return true;
}

int
linkwatch_next(struct linkwatch *watch, struct link_event *event)
{
    for (;;) {
        const struct nlmsghdr *message = next_message(watch);
        int error = message ? 0 : refill(watch);

        if (error) {
            return error;
        }
        if (message && read_message(message, event)) {
            return 0;
        }
    }
}
