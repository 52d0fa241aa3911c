"""Matches that a given packet fits, or just misses."""

from collections.abc import Sequence
from random import Random

from .fields import FIELDS, PRESENT, Key
from .match import Match


def derived_match(rng: Random, key: Key, names: Sequence[str], n_fields: int) -> Match:
    """Make a match that fits the packet, or just misses it."""
    match: dict[str, tuple[int, int]] = {}
    present = [name for name in names if key.present(name)]
    for _ in range(n_fields):
        pool = present if rng.random() < 0.95 else names
        _add_field(rng, match, key, rng.choice(pool))
    return match


def _add_field(
    rng: Random, match: dict[str, tuple[int, int]], key: Key, name: str, exact: bool = False
) -> bool:
    """Add a field after those that it needs; return False if the packet is not of the kind."""
    if name in match:
        return True
    row = FIELDS[name]
    for needed, values in row.needs:
        if (values and key[needed] not in values) or not _add_field(rng, match, key, needed, True):
            return False
    if name == "vlan_pcp" and not key["vlan_vid"]:
        return False
    value, mask = key[name], (1 << row.bits) - 1
    if not exact:
        if row.maskable and rng.random() < 0.5:
            mask = _mask(rng, row.bits)
        if rng.random() < 0.08:
            value ^= 1 << rng.randrange(row.bits)
    elif name == "vlan_vid" and rng.random() < 0.5:
        mask = PRESENT
    if mask:
        match[name] = (value & mask, mask)
    return True


def _mask(rng: Random, bits: int) -> int:
    ones = (1 << bits) - 1
    prefix = ones & ones << rng.randrange(bits)
    return rng.choice((prefix, prefix, ones >> rng.randrange(bits), rng.getrandbits(bits)))
