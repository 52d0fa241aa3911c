# Declarations of epoch.h for Cython.

cdef extern from "epoch.h" nogil:
    struct epoch:
        pass

    void epoch_quiesce(epoch *, unsigned reader)
    void epoch_offline(epoch *, unsigned reader)
