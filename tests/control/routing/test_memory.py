"""What is told of a source's routes leads every packet where the source said, at every moment."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raicho.control.message.routes import Hop, Kind
from raicho.control.routing.events import NextHop, Route
from raicho.control.routing.memory import Batch, Memory
from raicho.control.routing.protocols import distance_of

from .dataplane import NOT_FOUND, Tables

FPM = 5
OURS = {3: 103, 4: 104}  # the kernel's numbers of interfaces; 9 is none of ours


def resolve(index: int) -> int:
    return OURS.get(index, 0)


def key(number: int) -> bytes:
    return bytes([4, 24, 10, 0, number]) + bytes(13)


def gateway(interface: int, last: int = 1) -> Hop:
    return Hop(Kind.GATEWAY, interface, bytes([10, 0, 0, last]))


def route(number: int, *, via: int = 0, hops: tuple[Hop, ...] = ()) -> Route:
    return Route(False, key(number), 254, 186, 20, via, hops)


def tell(tables: Tables, batch: Batch) -> None:
    """Apply a batch; nothing of it may be refused but the removal of what is not there."""
    assert not any(map(tables.mod_group, batch.groups))
    records = [batch.routes[at : at + 32] for at in range(0, len(batch.routes), 32)]
    assert set(map(tables.mod_route, records)) <= {0, NOT_FOUND}
    assert not any(map(tables.mod_group, batch.gone))


def our(*hops: Hop) -> tuple[Hop, ...]:
    """Return hops as the dataplane shall have them."""
    return tuple(
        Hop(hop.kind, resolve(hop.interface), hop.gateway, hop.weight)
        for hop in hops
        if hop.interface != 9
    )


def single(ident: int, hop: Hop) -> NextHop:
    return NextHop(False, ident, hop, ())


def group(ident: int, *members: tuple[int, int]) -> NextHop:
    return NextHop(False, ident, None, members)


def gone(ident: int) -> NextHop:
    return NextHop(True, ident, None, ())


def test_a_next_hop_that_changes_is_one_record() -> None:
    """BGP's next hop moves 1 000 routes by one message."""
    memory, tables = Memory(FPM), Tables()
    memory.take_next_hop(single(21, gateway(3)))
    for number in range(200):
        memory.put_route(route(number, via=21))
    tell(tables, memory.batch(resolve))
    memory.take_next_hop(single(21, gateway(4)))
    batch = memory.batch(resolve)
    assert (len(batch.groups), batch.routes, batch.gone) == (1, b"", [])
    tell(tables, batch)
    assert set(tables.hops(FPM).values()) == {our(gateway(4))}


def test_labels_are_routes_like_others() -> None:
    """P4: of their own family, by next hops with labels or by none, and gone as they came."""
    memory, tables = Memory(FPM), Tables()
    name = bytes([20, 20, 0, 0, 0, 100]) + bytes(12)
    swap = Hop(Kind.GATEWAY, 3, bytes([10, 0, 0, 1]), 1, (200, 300))
    memory.put_route(Route(False, name, 0, 11, 0, 0, (swap,)))
    tell(tables, memory.batch(resolve))
    (hops,) = tables.hops(FPM).values()
    assert list(tables.hops(FPM)) == [name]
    assert (hops[0].interface, hops[0].labels) == (103, (200, 300))
    memory.put_route(Route(False, name, 0, 11, 0, 0, (Hop(Kind.LOCAL),)))
    tell(tables, memory.batch(resolve))
    assert list(tables.hops(FPM).values()) == [(Hop(Kind.LOCAL),)]
    memory.remove_route(name)
    tell(tables, memory.batch(resolve))
    assert (tables.hops(FPM), tables.groups) == ({}, {})


def test_a_group_follows_its_members_and_weights() -> None:
    memory, tables = Memory(FPM), Tables()
    memory.take_next_hop(single(21, gateway(3)))
    memory.take_next_hop(single(22, gateway(4)))
    memory.take_next_hop(group(20, (21, 1), (22, 3)))
    memory.put_route(route(1, via=20))
    tell(tables, memory.batch(resolve))
    weighted = Hop(Kind.GATEWAY, 4, gateway(4).gateway, 3)
    assert tables.hops(FPM) == {key(1): our(gateway(3), weighted)}
    memory.take_next_hop(group(20, (21, 1)))
    tell(tables, memory.batch(resolve))
    assert tables.hops(FPM) == {key(1): our(gateway(3))}


def test_a_source_that_comes_back_with_other_ids_changes_nothing() -> None:
    """F10: the routes that it says again are not touched, the others go when it is time."""
    memory, tables = Memory(FPM), Tables()
    for ident, interface in ((21, 3), (22, 4)):
        memory.take_next_hop(single(ident, gateway(interface)))
    memory.put_route(route(1, via=21))
    memory.put_route(route(2, via=22))
    memory.put_route(route(3, via=22))
    tell(tables, memory.batch(resolve))
    before = tables.hops(FPM)

    memory.mark()
    for ident, interface in ((22, 3), (21, 4)):  # the other way round
        memory.take_next_hop(single(ident, gateway(interface)))
    memory.put_route(route(1, via=22))
    memory.put_route(route(2, via=21))
    assert not memory.batch(resolve)
    assert tables.hops(FPM) == before
    assert memory.sweep() == 1
    tell(tables, memory.batch(resolve))
    assert tables.hops(FPM) == {k: v for k, v in before.items() if k != key(3)}


def test_ids_outlive_the_component() -> None:
    memory, other = Memory(FPM), Memory(FPM)
    tables, again = Tables(), Tables()
    memory.put_route(route(1, hops=(gateway(3),)))
    tell(tables, memory.batch(resolve))
    other.take_next_hop(single(99, gateway(3)))
    other.put_route(route(1, via=99))
    tell(again, other.batch(resolve))
    assert tables.routes == again.routes


def test_a_route_by_what_is_not_ours_is_told_when_it_becomes_ours() -> None:
    memory, tables = Memory(FPM), Tables()
    ours: dict[int, int] = {}
    memory.put_route(route(1, hops=(gateway(3),)))
    tell(tables, memory.batch(lambda index: ours.get(index, 0)))
    assert tables.routes == {}
    ours[3] = 103
    memory.resolve_again()
    tell(tables, memory.batch(lambda index: ours.get(index, 0)))
    assert tables.hops(FPM) == {key(1): our(gateway(3))}
    ours.clear()
    memory.resolve_again()
    tell(tables, memory.batch(lambda index: ours.get(index, 0)))
    assert (tables.routes, tables.groups) == ({}, {})


def test_a_route_without_a_next_hop_is_counted_and_none() -> None:
    memory, tables = Memory(FPM), Tables()
    memory.put_route(route(1, hops=(gateway(3),)))
    memory.put_route(route(1, via=77))
    tell(tables, memory.batch(resolve))
    assert tables.routes == {}
    assert memory.counters["without_next_hop"] == 1


def test_protocols_have_the_distances_that_daemons_use() -> None:
    assert [distance_of(number) for number in (2, 196, 186, 188, 77)] == [0, 1, 20, 110, 250]


hops = st.builds(gateway, st.sampled_from([3, 4, 9]), st.integers(1, 2))
ids = st.integers(1, 4)
group_ids = st.integers(5, 6)
numbers = st.integers(0, 5)


class Sources(RuleBasedStateMachine):
    """A source and what it means; the dataplane is told after any step, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.tables = Memory(FPM), Tables()
        self.singles: dict[int, Hop] = {}
        self.groups: dict[int, tuple[tuple[int, int], ...]] = {}
        self.routes: dict[int, int | tuple[Hop, ...]] = {}
        self.is_told = True

    def _used(self, ident: int) -> bool:
        return ident in self.routes.values() or any(
            ident == member for members in self.groups.values() for member, _ in members
        )

    @rule(ident=ids, hop=hops)
    def put_single(self, ident: int, hop: Hop) -> None:
        self.singles[ident] = hop
        self.memory.take_next_hop(single(ident, hop))
        self.is_told = False

    @rule(ident=group_ids, members=st.dictionaries(ids, st.integers(1, 3), min_size=1))
    def put_group(self, ident: int, members: dict[int, int]) -> None:
        if members.keys() & self.singles.keys():  # zebra tells of the others later
            self.groups[ident] = tuple(members.items())
            self.memory.take_next_hop(group(ident, *members.items()))
            self.is_told = False

    @rule(ident=st.integers(1, 6))
    def remove_next_hop(self, ident: int) -> None:
        if not self._used(ident):
            self.singles.pop(ident, None)
            self.groups.pop(ident, None)
            self.memory.take_next_hop(gone(ident))
            self.is_told = False

    @rule(number=numbers, ident=st.integers(1, 6))
    def put_route(self, number: int, ident: int) -> None:
        if ident in self.singles or ident in self.groups:
            self.routes[number] = ident
            self.memory.put_route(route(number, via=ident))
            self.is_told = False

    @rule(number=numbers, hops=st.lists(hops, min_size=1, max_size=2).map(tuple))
    def put_own_hops(self, number: int, hops: tuple[Hop, ...]) -> None:
        self.routes[number] = hops
        self.memory.put_route(route(number, hops=hops))
        self.is_told = False

    @rule(number=numbers)
    def remove_route(self, number: int) -> None:
        self.routes.pop(number, None)
        self.memory.remove_route(key(number))
        self.is_told = False

    @rule()
    def come_back_with_less(self) -> None:
        self.memory.mark()
        self.singles, self.groups, self.routes = {}, {}, {}
        self.memory.sweep()
        self.is_told = False

    @rule()
    def tell(self) -> None:
        tell(self.tables, self.memory.batch(resolve))
        self.is_told = True

    @rule()
    def tell_a_new_dataplane(self) -> None:
        self.tables = Tables()
        self.memory.forget_sent()
        self.tell()

    def _wanted(self, number: int) -> tuple[Hop, ...]:
        meant = self.routes[number]
        if isinstance(meant, tuple):
            return our(*meant)
        if meant in self.singles:
            return our(self.singles[meant])
        return tuple(
            Hop(hop.kind, hop.interface, hop.gateway, weight)
            for member, weight in self.groups[meant]
            if member in self.singles
            for hop in our(self.singles[member])
        )

    @invariant()
    def the_dataplane_has_what_the_source_means(self) -> None:
        if self.is_told:
            wanted = {key(number): self._wanted(number) for number in self.routes}
            assert self.tables.hops(FPM) == {k: v for k, v in wanted.items() if v}
            used = {via for via in self.tables.routes.values()}
            assert {ident for _, ident in self.tables.groups} == used


TestSources = Sources.TestCase
TestSources.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@given(st.lists(st.tuples(numbers, hops), max_size=20))
def test_all_is_forgotten_when_all_has_gone(puts: list[tuple[int, Hop]]) -> None:
    memory, tables = Memory(FPM), Tables()
    for number, hop in puts:
        memory.put_route(route(number, hops=(hop,)))
    tell(tables, memory.batch(resolve))
    for number, _ in puts:
        memory.remove_route(key(number))
    tell(tables, memory.batch(resolve))
    assert (tables.routes, tables.groups, memory._contents, memory._sent) == ({}, {}, {}, {})
