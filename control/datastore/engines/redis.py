"""The store of several hosts, in Redis.

What: NAME:value and NAME:revision (hashes by key), NAME:keys (all keys in order), NAME:head (the
newest revision) and NAME:log, a stream with one entry for each of the last commits, whose id is
the revision: who was away reads on from where it was.
How: one script checks everything that was read, then writes; Redis runs nothing between.
Cost: a round trip. It is as durable as the server is told to be: `appendfsync always` keeps what
was acknowledged through power cuts, `everysec`, its default, may lose a second. A replica that
takes over may lack the last commits, unless `min-replicas-to-write` says how many must be there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import KEPT, Commit, Conflict, EngineError, Gap, Value, Writes
from .address import parse_address
from .sqlite import chosen

TIMEOUT = 2.0  # seconds that the server has to answer
BATCH = 4000  # values that one call in a script may name

COMMIT = """
local work = cjson.decode(ARGV[1])
for key, revision in pairs(work.reads) do
    local found = tonumber(redis.call('HGET', KEYS[2], key) or '0')
    if found ~= revision then return {0, key, found} end
end
local number = redis.call('INCR', KEYS[4])
for at, key in ipairs(work.puts) do
    redis.call('HSET', KEYS[1], key, ARGV[3 + at])
    redis.call('HSET', KEYS[2], key, number)
    redis.call('ZADD', KEYS[3], 0, key)
end
for _, key in ipairs(work.removes) do
    redis.call('HDEL', KEYS[1], key)
    redis.call('HDEL', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
end
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[3], number .. '-0', 'writes', ARGV[2])
return {1, number}
"""

READ = """
local names = ARGV
if #ARGV == 1 and string.sub(ARGV[1], 1, 1) == '[' then
    names = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], ARGV[1] .. '\\255')
end
local found = {redis.call('GET', KEYS[4]) or '0'}
for first = 1, #names, BATCH do
    local some = {unpack(names, first, math.min(#names, first + BATCH - 1))}
    local values = redis.call('HMGET', KEYS[1], unpack(some))
    local revisions = redis.call('HMGET', KEYS[2], unpack(some))
    for at, name in ipairs(some) do
        if values[at] then
            table.insert(found, name)
            table.insert(found, values[at])
            table.insert(found, revisions[at])
        end
    end
end
return found
""".replace("BATCH", str(BATCH))


class RedisEngine:
    """See engines.Engine."""

    shared = True

    def __init__(self, address: str) -> None:
        it = parse_address(address)
        self._address = address
        self._keys = [
            f"{{{it.name}}}:{key}" for key in ("value", "revision", "keys", "head", "log")
        ]
        self._redis = redis.Redis(
            it.host,
            it.port,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),  # what was not answered may have been done: never twice
        )
        self._run_commit: Callable[..., Any] = self._redis.register_script(COMMIT)
        self._run_read: Callable[..., Any] = self._redis.register_script(READ)
        with self._errors():
            self._redis.ping()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def get(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return those of the keys that are there."""
        names = list(keys)
        return self._read(names)[1] if names else {}

    def below(self, prefix: str) -> tuple[int, dict[str, Value]]:
        """Return the newest revision, and all keys that begin with *prefix*."""
        return self._read([f"[{prefix}"])

    def _read(self, names: list[str]) -> tuple[int, dict[str, Value]]:
        with self._errors():
            head, *found = self._run_read(keys=self._keys, args=names)
        triples = zip(found[::3], found[1::3], found[2::3], strict=True)
        return int(head), {key.decode(): Value(data, int(number)) for key, data, number in triples}

    def commit(self, reads: Mapping[str, int], writes: Writes) -> int | Conflict:
        """Write all if everything that was read is still of its revision, or nothing."""
        puts = {key: data for key, data in writes.items() if data is not None}
        removes = [key for key, data in writes.items() if data is None]
        work = msgspec.json.encode({"reads": reads, "puts": list(puts), "removes": removes})
        with self._errors():
            arguments = [work, msgspec.msgpack.encode(writes), KEPT, *puts.values()]
            done, *rest = self._run_commit(keys=self._keys, args=arguments)
        return int(rest[0]) if done else Conflict(rest[0].decode(), int(rest[1]))

    def watch(self, prefix: str, since: int, wait: float) -> list[Commit]:
        """Return the commits after revision *since*; wait for the first."""
        stream = self._keys[4]
        slice_ = min(wait, TIMEOUT / 2)  # a longer one would look like a server that is gone
        with self._errors():
            answer: Any = self._redis.xread({stream: f"{since}-0"}, block=int(slice_ * 1000) or 1)
            entries = answer[0][1] if isinstance(answer, list) and answer else []
            if isinstance(answer, dict) and answer:
                entries = next(iter(answer.values()))
            newest = int(self._redis.get(self._keys[3]) or 0)
        commits = [
            Commit(int(name.split(b"-")[0]), chosen(fields[b"writes"], prefix))
            for name, fields in entries
        ]
        first = commits[0].revision if commits else newest + 1
        if first != since + 1 and newest != since:
            raise Gap(f"{self._address} is at revision {newest}, and has not all since {since}")
        return commits

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise EngineError(f"the store {self._address} does not answer: {error}") from error
