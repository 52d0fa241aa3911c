"""route, and show routes, next-hops and neighbours: volatile state of routers.

The registry says where the API of routes is; routes themselves go to the dataplane and never by
the datastore.  When that is away, the dataplane is where it is in every run directory.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from .output import emit, emit_rows
from .place import keys_folder, placed

if TYPE_CHECKING:
    from ..message.retry import Result
    from ..message.routes import Hop, RouteClient

T = TypeVar("T")
Names = dict[int, str]  # of interfaces, by the dataplane's number

DISCARDS = ("blackhole", "unreachable", "prohibit")
MAX_LABELS = 4  # of a next hop
MAX_WEIGHT = 0xFFFF
AWAY = ("TIMEOUT", "UNAVAILABLE", "NOT_FOUND")  # the datastore, or what it knows


@click.group()
def route() -> None:
    """Add and remove routes that last as long as the dataplane.

    Those that are to outlast it are configuration: `config set /raicho/router[name=...]/route`.
    """


class Way(click.ParamType["Via"]):
    """A next hop as people write it."""

    name = "way"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Via":
        """Read ADDRESS, ADDRESS@INTERFACE or @INTERFACE, then *WEIGHT, then +LABELS, if any."""
        from ipaddress import ip_address

        whole, plus, labels = str(value).partition("+")
        way, _, weight = whole.partition("*")
        address, _, interface = way.partition("@")
        try:
            packed = ip_address(address).packed if address else b""
            pushed = tuple(map(_label, labels.split("/"))) if plus else ()
            via = Via(packed, interface, _weight(weight or "1"), pushed)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if pushed and (not address or len(pushed) > MAX_LABELS):
            self.fail(f"{value!r}: up to {MAX_LABELS} labels, and an address", param, ctx)
        if not way:
            self.fail(f"{value!r} is not ADDRESS, ADDRESS@INTERFACE or @INTERFACE", param, ctx)
        return via


class Via(NamedTuple):
    """A next hop: an address, an interface, or both."""

    gateway: bytes
    interface: str
    weight: int
    labels: tuple[int, ...]


def _weight(text: str) -> int:
    """Read the weight of a next hop; ValueError if it is none."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_WEIGHT:
        raise ValueError(f"weight {text!r}; a number from 1 to {MAX_WEIGHT} is right")
    return int(text)


def _label(text: str) -> int:
    """Read a label to push; ValueError if it is none."""
    from ..message.routes import IMPLICIT_NULL, IPV4_NULL, IPV6_NULL, read_label

    number = int(text)
    return number if number in (IPV4_NULL, IPV6_NULL, IMPLICIT_NULL) else read_label(text)


tries = click.option(
    "--tries",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How often to try while the table is full or the dataplane does not answer.",
)


@route.command()
@placed
@click.argument("router")
@click.argument("prefix")
@click.option(
    "--via",
    "ways",
    type=Way(),
    multiple=True,
    metavar="ADDRESS[@INTERFACE][*WEIGHT][+LABEL/...]",
    help="A next hop, and the MPLS labels for it; flows are spread over several by weight.",
)
@click.option("--pop", is_flag=True, help="The label ends here: look up what is below it.")
@click.option("--discard", type=click.Choice(DISCARDS), help="Drop packets instead.")
@click.option(
    "--distance",
    type=click.IntRange(0, 255),
    default=1,
    show_default=True,
    help="The source with the least one wins.",
)
@click.option(
    "--metric",
    type=click.IntRange(0, 0xFFFFFFFF),
    default=0,
    show_default=True,
    help="Decides where distances are equal.",
)
@tries
def add(
    router: str,
    prefix: str,
    ways: Sequence[Via],
    pop: bool,
    discard: str | None,
    distance: int,
    metric: int,
    tries: int,
) -> None:
    """Let packets for PREFIX go --via one or several next hops, or --discard them.

    PREFIX may be an MPLS label, as label:100.
    """
    from ..message.retry import Retry
    from ..message.routes import LABEL_TEXT, Group, Source, group_id, pack_group

    if bool(ways) + bool(discard) + pop != 1:
        raise click.UsageError("a route has either --via or --discard, or of a label --pop")
    if pop and not prefix.startswith(LABEL_TEXT):
        raise click.UsageError(f"--pop is for a label, {LABEL_TEXT}NUMBER")
    hops = _hops(router, ways, "local" if pop else discard)
    ident = group_id(hops)
    record = _route(prefix, ident, metric=metric, distance=distance)

    async def put(client: "RouteClient") -> None:
        group = pack_group(Group(Source.OPERATOR, ident, hops))
        for op, each in (("next_hop_mod", group), ("route_mod", record)):
            check(await client.carry_out(op, [each], Retry(tries)))

    _converse(router, put)
    emit({"router": router, "prefix": prefix}, f"{router} has a route to {prefix}")


@route.command()
@placed
@click.argument("router")
@click.argument("prefix")
@tries
def remove(router: str, prefix: str, tries: int) -> None:
    """Remove the route to PREFIX that `route add` has made."""
    from ..message.retry import Retry
    from ..message.routes import REMOVE, Group, Source, pack_group

    record = _route(prefix, 0, op=REMOVE)

    async def take_away(client: "RouteClient") -> None:
        check(await client.carry_out("route_mod", [record], Retry(tries)))
        used = {int(row["via"]) for row in await client.routes(Source.OPERATOR)}
        groups = await client.next_hops(Source.OPERATOR)
        idle = [Group(Source.OPERATOR, each.id, ()) for each in groups if each.id not in used]
        await client.next_hops_mod([pack_group(each, REMOVE) for each in idle])

    _converse(router, take_away)
    emit({"router": router, "prefix": prefix}, f"{router} has no route to {prefix} of yours")


@click.command()
@placed
@click.argument("router", required=False)
def routes(router: str | None) -> None:
    """List the routes of ROUTER, or of all routers, with who told them."""
    from ..message.routes import prefix_text

    rows = []
    for name, names in _routers(router):
        found, groups = _converse(name, _routes_and_groups)
        hops = {(group.source, group.id): _texts(group.hops, names) for group in groups}
        rows += [
            {
                "router": name,
                "prefix": prefix_text(row),
                "source": _source(int(row["source"])),
                "distance": int(row["distance"]),
                "metric": int(row["metric"]),
                "via": hops.get((int(row["source"]), int(row["via"])), []),
            }
            for row in found
        ]
    emit_rows(rows, ("router", "prefix", "source", "distance", "metric", "via"), "no routes")


@click.command(name="next-hops")
@placed
@click.argument("router", required=False)
def next_hops(router: str | None) -> None:
    """List the groups of next hops of ROUTER, or of all routers."""
    rows = [
        {
            "router": name,
            "source": _source(group.source),
            "id": group.id,
            "via": _texts(group.hops, names),
        }
        for name, names in _routers(router)
        for group in _converse(name, lambda client: client.next_hops())
    ]
    emit_rows(rows, ("router", "source", "id", "via"), "no next hops")


@click.command()
@placed
@click.argument("router", required=False)
def neighbours(router: str | None) -> None:
    """List the neighbours on the links of ROUTER, or of all routers."""
    from ..message.routes import State, address_text

    rows = [
        {
            "router": name,
            "interface": names.get(int(row["interface"])),
            "address": address_text(row),
            "mac": row["mac"].tobytes().hex(":"),
            "state": State(row["state"]).name.lower(),
            "seconds": int(row["age"]) // 1000,
        }
        for name, names in _routers(router)
        for row in _converse(name, lambda client: client.neighbours())
    ]
    columns = ("router", "interface", "address", "mac", "state", "seconds")
    emit_rows(rows, columns, "no neighbours")


@click.command()
@placed
def routing() -> None:
    """List the routers with a side for the host: whether zebra is there, and what it has told."""
    from ..message import Get
    from .ask import ask

    rows = [{**row, **row["routes"]} for row in ask("routing", Get("/router")).data]
    columns = ("name", "host-namespace", "zebra", "fpm", "kernel", "stale", "trouble")
    emit_rows(rows, columns, "no router has a side for the host")


def check(results: "Sequence[Result]") -> None:
    """Raise CallError if a record was refused, and say why."""
    from ..message import CallError, Failure

    for result in results:
        if result.code:
            often = f", tried {result.tries} times" if result.tries > 1 else ""
            raise CallError(Failure(result.code, f"{result.text}{often}"))


def _hops(router: str, ways: Sequence[Via], discard: str | None) -> "tuple[Hop, ...]":
    from ..message.routes import Hop, Kind

    if discard:
        return (Hop(Kind[discard.upper()]),)
    numbers = {name: number for _, names in _routers(router) for number, name in names.items()}
    for way in ways:
        if way.interface and way.interface not in numbers:
            raise click.BadParameter(f"router {router} has no interface {way.interface}")
    return tuple(
        Hop(
            Kind.LINK if not way.gateway else Kind.GATEWAY if way.interface else Kind.RECURSIVE,
            numbers.get(way.interface, 0),
            way.gateway,
            way.weight,
            way.labels,
        )
        for way in ways
    )


def _route(prefix: str, via: int, **more: int) -> bytes:
    from ..message.routes import Source, pack_route

    try:
        return pack_route(prefix, via, Source.OPERATOR, **more)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="PREFIX") from error


def _routers(wanted: str | None) -> Iterator[tuple[str, Names]]:
    """Yield the routers that are meant, and the names of their interfaces."""
    from ..message import CallError, Code, Failure, Get
    from .ask import ask

    found = [row for row in ask("dataplane", Get("/router")).data if wanted in (None, row["name"])]
    if wanted and not found:
        raise CallError(Failure(Code.NOT_FOUND, f"there is no router {wanted}"))
    for row in found:
        yield row["name"], {each["index"]: each["name"] for each in row["interface"]}


async def _routes_and_groups(client: "RouteClient") -> tuple[Any, Any]:
    return await client.routes(), await client.next_hops()


def _source(number: int) -> str:
    from ..message.routes import Source

    return Source(number).name.lower() if number in set(Source) else str(number)


def _texts(hops: "Sequence[Hop]", names: Names) -> list[str]:
    return [_text(hop, names) for hop in hops]


def _text(hop: "Hop", names: Names) -> str:
    from ipaddress import ip_address

    words = [str(ip_address(hop.gateway))] if hop.gateway else []
    if hop.interface:
        words.append(f"dev {names.get(hop.interface, hop.interface)}")
    if hop.weight != 1:
        words.append(f"weight {hop.weight}")
    words += [f"label {label}" for label in hop.labels]
    return " ".join(words) or hop.kind.name.lower()


def _converse(router: str, conversation: "Callable[[RouteClient], Awaitable[T]]") -> T:
    """Talk with the API of the routes of a router."""
    import asyncio

    from ..message import BulkClient
    from ..message.keys import context_with, load
    from ..message.routes import RouteClient
    from .ask import check_running

    check_running("dataplane")
    where, keys = _endpoint(), load(keys_folder())

    async def hold() -> T:
        context = context_with(keys)
        bulk = BulkClient(context, where)
        try:
            return await conversation(RouteClient(bulk.request, router))
        finally:
            bulk.close()
            context.term()

    return asyncio.run(hold())


def _endpoint() -> str:
    """Ask the datastore where the API is."""
    from ..message import CallError
    from ..message.routes import ROUTE_API
    from .ask import endpoint, find

    try:
        return find(ROUTE_API, 1.0)
    except CallError as error:
        if error.failure.code not in AWAY:
            raise
        return endpoint("dataplane", "bulk")
