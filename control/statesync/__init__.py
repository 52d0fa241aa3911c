"""State sync: it copies the dataplane's counters into the datastore, in whole samples."""

from .statesync import StateSync

__all__ = ["StateSync"]
