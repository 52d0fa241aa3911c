"""Ports on DPDK devices; importing it fails where raicho was built, or runs, without DPDK."""

from typing import Final

from .port import Kind

KIND: Final[Kind]
