#ifndef RAICHO_DPDK_H
#define RAICHO_DPDK_H

/* Ports on DPDK devices: any device or virtual device that DPDK has a driver for.
 *
 * What
 * ====
 * A kind of port (port.h) whose device is what DPDK calls devargs: the name or
 * address of a device, a comma and what its driver wants to be told.
 * The files of this folder are no part of the core.  They are compiled into one
 * extension module, which is there only if DPDK was when raicho was built.
 *
 * How
 * ===
 * eal.c starts DPDK, device.c attaches devices and shares one among the ports that are
 * its queues, lane.h says how a packet lies in a buffer of DPDK's.
 *
 * Threads
 * =======
 * DPDK keeps its state for the whole process, and cannot be started twice.  So does
 * this folder: the only one with variables that outlive a call.  The control
 * thread alone opens, closes and asks. */

#include "port.h"

extern const struct port_ops port_dpdk_ops;

#endif
