#ifndef RAICHO_POOL_H
#define RAICHO_POOL_H

/* Packet pools: where packets come from and go back to.
 *
 * How
 * ===
 * A pool is an array of slots: a struct packet, its struct walk, headroom and
 * room for a frame.  Slots are an odd number of cache lines long, so that the
 * headers of consecutive packets do not fall into the same cache sets (a
 * stride of a power of two costs 6-11 ns per header touched, 64 bytes more cost 1).
 * Free slots are a stack, so a slot is used again while it is in the cache.
 *
 * A lent pool has no slots: its packets lie in memory that a port's driver gave,
 * and it only keeps, as 'free', those that have come back, until the port gives
 * them back to the driver.  Whoever frees a packet does the same for both.
 *
 * Threads
 * =======
 * A pool belongs to one worker.  Packets go back to their own pool. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct pool {
    uint8_t *memory;            /* The slots; null in a lent pool. */
    size_t stride;              /* Bytes from one slot to the next. */
    uint32_t size;              /* Bytes of frame a packet of this pool holds. */
    uint32_t n_slots;
    uint32_t n_free;
    struct packet **free;       /* Stack of free packets. */
    const void *lender;         /* Whose memory it is: says what is behind its packets; null: ours. */
    struct packet fresh;        /* What every new packet is, apart from where its frame lies. */
    _Atomic uint32_t n_keepers; /* Ports that keep packets of it while they wait for frames, and
                                 * share what there is.  The control thread's. */
};

/* Makes a pool of 'n_slots' packets for frames of 'size' bytes.  Returns 0 or
 * ENOMEM.  Memory is touched only when used; small packets ask for huge pages. */
int pool_open(struct pool *pool, uint32_t n_slots, uint32_t size);

/* Makes a pool for packets in the memory of 'lender', of which at most 'n_slots' are with
 * us at a time; 'n_free' is how many more can come.  Returns 0 or ENOMEM. */
int pool_open_lent(struct pool *pool, uint32_t n_slots, const void *lender);

/* Makes the packet at 'p', with its walk behind it (once all zeros), a new one of a lent pool. Its
 * frame, 'headroom' and 'tailroom' lie where the lender says. */
void packet_lent(struct packet *p, struct pool *pool, uint8_t *data, uint32_t len,
                 uint16_t headroom, uint16_t tailroom);

/* Lets go of the memory of all its packets, wherever they are.  A pool of
 * zeros, or one that is closed, stays as it is. */
void pool_close(struct pool *pool);

/* Takes up to 'n' packets; returns how many there were.  A new packet has its
 * full headroom, len 0, no offload, no offsets, and an empty walk apart from
 * the key, which parse_vector() clears. */
unsigned pool_get(struct pool *pool, struct packet *packets[], unsigned n);

/* Gives packets back, each to its own pool. */
void packet_free(struct packet *packets[], unsigned n);

/* Bytes from a packet to the frame of a new one. */
size_t pool_frame_at(void);

/* Sets the length of a frame that is now in a packet of a pool, and its tailroom.
 * 'len' bytes behind 'data' must be inside the slot. */
void packet_set_len(struct packet *p, uint32_t len);

/* Grows or shrinks the front of a frame: moves 'data' by 'n' bytes and leaves
 * the bytes behind it where they are.  Returns false (nothing changed) if
 * there is no such headroom.  'n' bytes that are pulled must be in the frame.
 * Offsets, also offload.csum_start, are the caller's business. */
bool packet_push(struct packet *p, unsigned n);
void packet_pull(struct packet *p, unsigned n);

#endif
