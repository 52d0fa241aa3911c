/* Network interfaces of Linux: see netdevice.h. */

#include "netdevice.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>

/* Asks 'what' about the interface that 'ifr' names. */
static int
ask(int fd, unsigned long what, struct ifreq *ifr)
{
    return ioctl(fd, what, ifr) ? errno : 0;
}

/* Fills in the name that the interface has now. */
static int
name_it(int fd, int index, struct ifreq *ifr)
{
    *ifr = (struct ifreq){.ifr_ifindex = index};
    return ask(fd, SIOCGIFNAME, ifr);
}

int
netdevice_find(int fd, const char *name, int *index)
{
    struct ifreq ifr = {.ifr_ifindex = 0};
    size_t len = strlen(name);

    if (len >= sizeof ifr.ifr_name) {
        return ENAMETOOLONG;
    }
    memcpy(ifr.ifr_name, name, len);
    int error = ask(fd, SIOCGIFINDEX, &ifr);
    if (!error) {
        *index = ifr.ifr_ifindex;
    }
    return error;
}

int
netdevice_is_ethernet(int fd, int index, bool *ethernet)
{
    struct ifreq ifr;
    int error = name_it(fd, index, &ifr);

    if (!error && !(error = ask(fd, SIOCGIFHWADDR, &ifr))) {
        *ethernet = ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER
                    || ifr.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
    }
    return error;
}

/* Mbit/s; 0 if it is not known. */
static uint32_t
speed(int fd, struct ifreq *ifr)
{
    struct ethtool_cmd settings = {.cmd = ETHTOOL_GSET};

    ifr->ifr_data = (void *)&settings;
    if (ask(fd, SIOCETHTOOL, ifr) || ethtool_cmd_speed(&settings) == (uint32_t)SPEED_UNKNOWN) {
        return 0;
    }
    return ethtool_cmd_speed(&settings);
}

int
netdevice_link(int fd, int index, struct port_link *link)
{
    struct port_link seen = {.mtu = 0};
    struct ifreq ifr;
    int error = name_it(fd, index, &ifr);

    if (!error && !(error = ask(fd, SIOCGIFFLAGS, &ifr))) {
        seen.admin_up = ifr.ifr_flags & IFF_UP;
        seen.up = seen.admin_up && (ifr.ifr_flags & IFF_RUNNING);
        error = ask(fd, SIOCGIFMTU, &ifr);
    }
    if (!error) {
        seen.mtu = (uint32_t)ifr.ifr_mtu;
        error = ask(fd, SIOCGIFHWADDR, &ifr);
    }
    if (!error) {
        memcpy(seen.mac, ifr.ifr_hwaddr.sa_data, sizeof seen.mac);
        seen.speed = speed(fd, &ifr);
        *link = seen;
    }
    return error;
}

int
netdevice_set_up(int fd, int index, bool up)
{
    struct ifreq ifr;
    int error = name_it(fd, index, &ifr);

    if (!error && !(error = ask(fd, SIOCGIFFLAGS, &ifr))) {
        ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
        error = ask(fd, SIOCSIFFLAGS, &ifr);
    }
    return error;
}

int
netdevice_set_mtu(int fd, int index, uint32_t mtu)
{
    struct ifreq ifr;
    int error = name_it(fd, index, &ifr);

    if (!error) {
        ifr.ifr_mtu = (int)mtu;
        error = ask(fd, SIOCSIFMTU, &ifr);
    }
    return error;
}
