"""The plug-ins of the configuration: shared objects that bring instructions (docs/templates.md).

One that was taken stays until the process ends, as flow entries point to its instructions.
"""

import logging
from collections.abc import Iterable, Mapping

from .config import BadConfig, PluginConfig
from .datapath import Dataplane, Plugin

log = logging.getLogger(__name__)


class Plugins:
    """Those that are loaded, by name and file."""

    def __init__(self, dataplane: Dataplane) -> None:
        self.loaded: dict[PluginConfig, Plugin] = {}
        self._dataplane = dataplane

    def prepare(
        self, wanted: Mapping[str, PluginConfig], *, lenient: bool
    ) -> dict[PluginConfig, Plugin]:
        """Open what is new; raise BadConfig.  If *lenient*, what cannot be opened is left out."""
        opened: dict[PluginConfig, Plugin] = {}
        for config in wanted.values():
            if config in self.loaded:
                continue
            try:
                opened[config] = self._open(config, opened.values())
            except ValueError as error:
                if not lenient:
                    close(opened)
                    raise BadConfig(f"{config.path}/file", f"{config.file}: {error}") from error
                log.error("plug-in %s is left out: %s: %s", config.name, config.file, error)
        return opened

    def _open(self, config: PluginConfig, others: Iterable[Plugin]) -> Plugin:
        plugin = Plugin(self._dataplane, config.file)
        taken = {subtype for other in others for _, subtype, _ in other.instructions}
        for name, subtype, _ in plugin.instructions:
            if subtype in taken:
                plugin.close()
                raise ValueError(f"{name} has subtype {subtype:#x}, as that of another plug-in")
        return plugin

    def commit(self, opened: Mapping[PluginConfig, Plugin]) -> None:
        """Let actions use what was opened."""
        for config, plugin in opened.items():
            plugin.take()
            self.loaded[config] = plugin


def close(opened: Mapping[PluginConfig, Plugin]) -> None:
    """Close what will not be used."""
    for plugin in opened.values():
        plugin.close()
