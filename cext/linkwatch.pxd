# Declarations of linkwatch.h for Cython.

cdef extern from "linkwatch.h" nogil:
    struct linkwatch:
        int fd

    struct link_event:
        int index
        char name[16]
        bint admin_up
        bint up
        bint gone

    int linkwatch_open(linkwatch *)
    int linkwatch_next(linkwatch *, link_event *)
    void linkwatch_close(linkwatch *)
