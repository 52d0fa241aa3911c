"""A pcap file of equal frames, for the ports of peers that read one."""

import struct
from pathlib import Path

import numpy as np

from .openflow import Bytes

MAGIC, ETHERNET, SNAP = 0xA1B2C3D4, 1, 65535


def write(path: Path, frames: Bytes) -> None:
    """Write the frames in their order; all of them at time 0."""
    n, size = frames.shape
    record = np.frombuffer(struct.pack("<IIII", 0, 0, size, size), np.uint8)
    rows = np.hstack([np.tile(record, (n, 1)), frames])
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP, ETHERNET))
        file.write(rows.tobytes())
