"""When the routes of a source that has gone are withdrawn."""

from raicho.control.routing.restart import Phase, Restart


def test_what_a_source_said_stays_until_it_had_time_to_come_back() -> None:
    """F10: the timer of graceful restart."""
    restart = Restart(0, restart_time=120, stale_time=30)
    restart.came(1)
    assert (restart.is_due(30), restart.is_due(31)) == (False, True)
    assert (restart.phase, restart.is_complete) == (Phase.PRESENT, True)
    restart.lost(100)
    assert (restart.phase, restart.is_complete) == (Phase.AWAITED, False)
    assert (restart.is_due(219), restart.is_due(220), restart.is_due(221)) == (False, True, False)
    assert restart.phase is Phase.WITHDRAWN


def test_a_source_that_comes_back_has_time_to_say_all_again() -> None:
    restart = Restart(0, restart_time=120, stale_time=30)
    restart.came(1)
    assert restart.is_due(40)
    restart.lost(100)
    restart.came(219)
    assert (restart.is_due(248), restart.is_due(249)) == (False, True)
    assert restart.phase is Phase.PRESENT


def test_a_new_component_awaits_who_may_have_been_there() -> None:
    restart = Restart(50, restart_time=120, stale_time=30)
    assert (restart.is_complete, restart.is_due(169), restart.is_due(170)) == (False, False, True)
