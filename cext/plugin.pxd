# Declarations of plugin.h for Cython.

from libc.stdint cimport uint16_t, uint32_t

from raicho.cext.dataplane cimport dataplane


cdef extern from "plugin.h" nogil:
    struct raicho_instruction:
        const char *name
        uint16_t subtype
        uint16_t args_size

    struct raicho_plugin:
        uint32_t n
        const raicho_instruction *instructions

    struct plugin:
        const raicho_plugin *symbol

    plugin *plugin_open(const dataplane *, const char *path, char *why, size_t size)
    void plugin_close(plugin *)
    void plugin_take(dataplane *, plugin *)
