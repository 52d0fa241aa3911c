"""Logging of a component: one line a message, the level from the configuration."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

DEFAULT_LEVEL = "info"
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def start_logging(identity: str, first_level: str) -> None:
    """Send what this process logs to standard error."""
    layout = f"%(asctime)s {identity}[%(process)d] %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, format=layout)
    set_level(first_level)


def set_level(name: str, special: Mapping[str, str] = {}) -> None:
    """Log messages of the level *name* and above from now on; of *special* topics, of another.

    A topic is the name of a logger without "raicho.", and covers those below it.
    """
    for topic in topics():
        logging.getLogger(f"raicho.{topic}").setLevel(logging.NOTSET)
    logging.getLogger("raicho").setLevel(LEVELS[name])
    for topic, other in special.items():
        logging.getLogger(f"raicho.{topic}").setLevel(LEVELS[other])


def level() -> str:
    """Return the level that holds now."""
    number = logging.getLogger("raicho").getEffectiveLevel()
    return next((name for name, value in LEVELS.items() if value == number), str(number))


def topics() -> dict[str, str]:
    """Return the topics that have a level of their own."""
    loggers = logging.root.manager.loggerDict.items()
    names = {number: name for name, number in LEVELS.items()}
    return {
        known.removeprefix("raicho."): names[logger.level]
        for known, logger in loggers
        if known.startswith("raicho.") and isinstance(logger, logging.Logger) and logger.level
    }


class Settings(msgspec.Struct, frozen=True):
    """What the configuration says of one component; no level means the one of its start."""

    level: str | None = None
    traces_messages: bool = False
    topics: Mapping[str, str] = {}  # their levels by name


def settings_in(config: dict[str, Any], identity: str) -> Settings:
    """Find the settings of *identity* in a configuration tree."""
    tree = config.get("raicho", config)
    for entry in tree.get("log", {}).get("component", []):
        if entry.get("name") == identity:
            level = entry.get("level")
            traces = entry.get("trace-messages", False)
            topics = {topic["name"]: topic["level"] for topic in entry.get("topic", [])}
            return Settings(level if level in LEVELS else None, traces, topics)
    return Settings()
