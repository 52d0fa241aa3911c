/* The kinds of ports by name: see port.h. */

#include "port.h"

#include <string.h>

#define X(NAME) extern const struct port_ops port_##NAME##_ops;
PORT_KINDS(X)
#undef X

static const struct port_ops *const kinds[] = {
#define X(NAME) &port_##NAME##_ops,
    PORT_KINDS(X)
#undef X
};

const struct port_ops *
port_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!strcmp(kinds[i]->kind, name)) {
            return kinds[i];
        }
    }
    return NULL;
}
