"""What is collected and how often, as raicho-statesync.yang has it."""

from typing import Any

import msgspec

USUAL = (
    *("port", "queue", "bridge", "table", "worker", "drops", "fdb"),
    *("router", "interface", "neighbour", "tree"),
)


class Settings(msgspec.Struct, frozen=True, rename="kebab"):
    """The period in milliseconds, and the sets that a sample holds."""

    period: int = 1000
    set: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The time from one sample to the next."""
        return self.period / 1000

    @property
    def sets(self) -> tuple[str, ...]:
        """The names to ask for."""
        return self.set or USUAL


def settings_of(config: dict[str, Any]) -> Settings:
    """Return the settings in a configuration tree."""
    return msgspec.convert(config.get("raicho", {}).get("statistics", {}), Settings)
