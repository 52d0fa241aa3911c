"""Matches that a given packet fits, or just misses."""

from collections.abc import Sequence
from random import Random

from .fields import FIELDS, PRESENT, Key
from .match import Match


def derived_match(rng: Random, key: Key, names: Sequence[str], n_fields: int) -> Match:
    """Make a match that fits the packet, or just misses it."""
    match: dict[str, tuple[int, int]] = {}
    present = [name for name in names if key.present(name)]
    if rng.random() < 0.4:
        # All packets of a kind: no more than what the deepest of some fields needs.
        deepest = max(rng.choices(present, k=4), key=lambda name: len(FIELDS[name].needs))
        _add_needs(rng, match, key, deepest)
        n_fields = rng.choice((0, 0, 1))
    for _ in range(n_fields):
        pool = present if rng.random() < 0.95 else names
        # The deeper a field lies, the rarer its packets.
        weights = [1 + len(FIELDS[name].needs) for name in pool]
        _add_field(rng, match, key, rng.choices(pool, weights)[0])
    return match


def _add_field(rng: Random, match: dict[str, tuple[int, int]], key: Key, name: str) -> None:
    """Add a field and those that it needs, unless the packet or the match is not of the kind."""
    if name in match or not _add_needs(rng, match, key, name):
        return
    row = FIELDS[name]
    value, mask = key[name], (1 << row.bits) - 1
    if row.maskable and rng.random() < 0.5:
        mask = _mask(rng, row.bits)
    if rng.random() < 0.08:
        value ^= 1 << rng.randrange(row.bits)
    if name == "vlan_vid" and mask & PRESENT and not value & PRESENT:
        value = 0  # A number without a tag is no match, but an error (7.2.3.7).
    if mask:
        match[name] = (value & mask, mask)


def _add_needs(rng: Random, match: dict[str, tuple[int, int]], key: Key, name: str) -> bool:
    """Add the prerequisites of a field; tell if all of them hold."""
    if name == "vlan_pcp" and key["vlan_vid"]:
        match.setdefault("vlan_vid", (key["vlan_vid"], rng.choice((PRESENT, 0x1FFF))))
        value, mask = match["vlan_vid"]
        match["vlan_vid"] = (value & mask, mask)
        return bool(value & mask & PRESENT)
    for needed, values in FIELDS[name].needs:
        value = match.get(needed, (key[needed], 0))[0]
        if not value or (values and value not in values):
            return False
        match[needed] = (value, (1 << FIELDS[needed].bits) - 1)
    return True


def needs_of(name: str, key: Key) -> dict[str, tuple[int, int]]:
    """Return the prerequisites of a field, as the packet has them."""
    found = {}
    for needed, _ in FIELDS[name].needs:
        exact = (1 << FIELDS[needed].bits) - 1
        found[needed] = (0x1000, 0x1000) if needed == "vlan_vid" else (key[needed], exact)
    return found


def _mask(rng: Random, bits: int) -> int:
    ones = (1 << bits) - 1
    prefix = ones & ones << rng.randrange(bits)
    return rng.choice((prefix, prefix, ones >> rng.randrange(bits), rng.getrandbits(bits)))
