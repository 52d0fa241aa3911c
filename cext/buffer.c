/* Buffer: see buffer.h. */

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

uint8_t *
buffer_put(struct buffer *buffer, size_t n)
{
    if (buffer->size - buffer->len < n) {
        size_t size = buffer->size ? buffer->size * 2 : 4096;
        while (size - buffer->len < n) {
            size *= 2;
        }
        uint8_t *data = realloc(buffer->data, size);
        if (!data) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->size = size;
    }
    uint8_t *room = buffer->data + buffer->len;
    buffer->len += n;
    return memset(room, 0, n);
}

void
buffer_add(struct buffer *buffer, const void *data, size_t n)
{
    uint8_t *room = buffer_put(buffer, n);

    if (room) {
        memcpy(room, data, n);
    }
}

void
buffer_close(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer) { 0 };
}
