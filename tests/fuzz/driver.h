/* What a fuzz target offers: one input tried, and the inputs that mutation starts from. */
#ifndef FUZZ_DRIVER_H
#define FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/* Try one input. Aborts when the invariant of the target does not hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Write seed number 'i' to 'buf', at most 'cap' bytes. Returns its size, 0 when there is no more. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap);

#endif
