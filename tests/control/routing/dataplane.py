"""What a router of the dataplane makes of records, as simply as can be."""

import numpy as np

from raicho.control.message.routes import PUT, ROUTE, Hop, unpack_groups

NO_GROUP, NOT_FOUND, IN_USE = 4, 6, 7
Key = tuple[int, bytes]  # source, prefix


class Tables:
    """Groups and routes, by source; each operation returns a code, as the contract has it."""

    def __init__(self) -> None:
        self.groups: dict[tuple[int, int], tuple[Hop, ...]] = {}
        self.routes: dict[Key, int] = {}
        self.marked: dict[int, set[Key]] = {}
        self.n_records = 0

    def hops(self, source: int) -> dict[bytes, tuple[Hop, ...]]:
        """Return where the routes of a source lead, by their keys."""
        found = self.routes.items()
        return {key: self.groups[of, via] for (of, key), via in found if of == source}

    def mod_group(self, record: bytes) -> int:
        (group,) = unpack_groups(record)
        key = group.source, group.id
        if record[0] == PUT:
            self.groups[key] = group.hops
        elif key not in self.groups:
            return NOT_FOUND
        elif any(of == group.source and via == group.id for (of, _), via in self.routes.items()):
            return IN_USE
        else:
            del self.groups[key]
        return 0

    def mod_route(self, record: bytes) -> int:
        self.n_records += 1
        (read,) = np.frombuffer(record, ROUTE)
        source, via = int(read["source"]), int(read["via"])
        key = source, record[1:3] + record[16:]
        if record[0] != PUT:
            return 0 if self.routes.pop(key, None) is not None else NOT_FOUND
        if (source, via) not in self.groups:
            return NO_GROUP
        self.marked.get(source, set()).discard(key)
        self.routes[key] = via
        return 0

    def begin(self, source: int) -> None:
        self.marked[source] = {key for key in self.routes if key[0] == source}

    def sweep(self, source: int) -> int:
        swept = self.marked.pop(source, set()) & self.routes.keys()
        for key in swept:
            del self.routes[key]
        return len(swept)
