"""The packet pipeline: Cython faces of cext, the switch, and the process that serves it."""
