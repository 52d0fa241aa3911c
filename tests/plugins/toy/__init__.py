"""Toy, a protocol of which raicho knows nothing: stations have a number, and frames a type."""

from .toy import STATION, TOY, Toy, address

__all__ = ["STATION", "TOY", "Toy", "address"]
