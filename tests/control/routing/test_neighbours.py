"""Neighbours of the kernel and of the dataplane, each in the table of the other."""

import numpy as np

from raicho.control.message.routes import NEIGHBOUR, PUT, REMOVE, address_text
from raicho.control.routing.encode import EXTERNALLY_LEARNED
from raicho.control.routing.events import Neighbour
from raicho.control.routing.neighbours import NUD_PERMANENT, Neighbours, Order

A, B = bytes([10, 0, 1, 2]), bytes([10, 0, 1, 3])
MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
OURS = {3: 103}


def told(neighbours: Neighbours) -> list[tuple[int, int, str, bytes]]:
    """Return what the dataplane is told."""
    return [
        (int(row["op"]), int(row["interface"]), address_text(row), row["mac"].tobytes())
        for row in np.frombuffer(neighbours.records(OURS), NEIGHBOUR)
    ]


def test_the_kernel_is_told_of_what_comes_changes_and_goes() -> None:
    """K18: the dataplane asks and hears, the kernel need not."""
    both = Neighbours()
    assert both.take_dataplane({(3, A): MAC}) == [Order((3, A), MAC)]
    assert both.take_dataplane({(3, A): MAC}) == []
    assert both.take_dataplane({(3, A): OTHER}) == [Order((3, A), OTHER)]
    assert both.take_dataplane({(3, B): MAC}) == [Order((3, A), b""), Order((3, B), MAC)]
    both.take_kernel(Neighbour(True, 3, B, 0, 0, b""))  # flushed by an operator
    assert both.take_dataplane({(3, B): MAC}) == [Order((3, B), MAC)]


def test_what_an_operator_sets_in_the_kernel_is_set_in_the_dataplane() -> None:
    """K18: and what we told the kernel does not come back."""
    both = Neighbours()
    both.take_kernel(Neighbour(False, 3, A, NUD_PERMANENT, 0, MAC))
    both.take_kernel(Neighbour(False, 9, A, NUD_PERMANENT, 0, MAC))  # on no interface of ours
    both.take_kernel(Neighbour(False, 3, B, NUD_PERMANENT, EXTERNALLY_LEARNED, MAC))
    assert told(both) == [(PUT, 103, "10.0.1.2", MAC)]
    assert both.take_dataplane({(3, A): MAC}) == []
    both.tell_again()
    assert told(both) == [(PUT, 103, "10.0.1.2", MAC)]
    both.take_kernel(Neighbour(False, 3, A, 2, 0, MAC))
    assert told(both) == [(REMOVE, 103, "10.0.1.2", bytes(6))]
    assert told(both) == []


def test_what_the_kernel_does_not_say_again_is_removed() -> None:
    both = Neighbours()
    both.take_kernel(Neighbour(False, 3, A, NUD_PERMANENT, 0, MAC))
    both.records(OURS)
    both.clear()
    assert told(both) == [(REMOVE, 103, "10.0.1.2", bytes(6))]
