"""Which events concern which ports, without any interface."""

from raicho.dataplane.links import LinkEvent
from raicho.dataplane.presence import Presence, Step


def event(index: int, name: str, *, gone: bool = False) -> LinkEvent:
    return LinkEvent(index, name, not gone, not gone, gone)


def heard(presence: Presence, event: LinkEvent | None) -> list[tuple[str, Step]]:
    return list(presence.hear(event))


def test_a_port_is_known_by_the_index_of_its_interface_also_after_a_rename() -> None:
    presence = Presence()
    presence.arrive("p1", 7)
    assert heard(presence, event(7, "eth1")) == [("p1", Step.LOOK)]
    assert heard(presence, event(7, "renamed")) == [("p1", Step.LOOK)]
    assert heard(presence, event(8, "eth1")) == []


def test_an_interface_that_goes_is_lost_and_one_with_its_name_opened() -> None:
    presence = Presence()
    presence.arrive("p1", 7)
    assert heard(presence, event(7, "eth1", gone=True)) == [("p1", Step.LOSE)]
    presence.wait("p1", "eth1")
    assert heard(presence, event(7, "eth1", gone=True)) == []
    assert heard(presence, event(9, "eth2")) == []
    assert heard(presence, event(9, "eth1")) == [("p1", Step.OPEN)]
    presence.arrive("p1", 9)
    assert heard(presence, event(9, "eth1")) == [("p1", Step.LOOK)]


def test_events_that_were_lost_concern_all_ports() -> None:
    presence = Presence()
    presence.arrive("p1", 7)
    presence.wait("p2", "eth2")
    assert heard(presence, None) == [("p1", Step.LOOK), ("p2", Step.OPEN)]


def test_a_port_that_is_forgotten_hears_nothing() -> None:
    presence = Presence()
    presence.arrive("p1", 7)
    presence.wait("p2", "eth2")
    presence.forget("p1")
    presence.forget("p2")
    assert heard(presence, event(7, "eth1")) == heard(presence, event(8, "eth2")) == []
    assert heard(presence, None) == []
