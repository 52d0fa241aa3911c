#ifndef RAICHO_BUFFER_H
#define RAICHO_BUFFER_H

/* A growing run of bytes that the control thread writes messages into. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t len, size;
    bool failed;                /* Memory ran out: the contents are not complete. */
};

/* Returns room for 'n' more bytes, zeroed, or null (and sets 'failed').  The
 * address is good until the next call. */
uint8_t *buffer_put(struct buffer *buffer, size_t n);

/* Appends 'n' bytes. */
void buffer_add(struct buffer *buffer, const void *data, size_t n);

void buffer_close(struct buffer *buffer);

#endif
