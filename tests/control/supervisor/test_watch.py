"""When a component is started, given up and started again: no process, no clock."""

import random

import pytest

from raicho.control.supervisor.watch import Policy, State, Watch

POLICY = Policy(heartbeat=1.0, misses=3, start_timeout=15, first_pause=0.1, last_pause=10)


def up(now: float = 0.0) -> Watch:
    watch = Watch(POLICY, now)
    watch.started(now)
    watch.heard(now)
    return watch


def test_a_component_is_due_at_once_and_up_when_it_answers() -> None:
    watch = Watch(POLICY, 5.0)
    assert (watch.state, watch.due) == (State.WAIT, 5.0)
    watch.started(5.0)
    assert watch.state is State.STARTING
    watch.heard(5.5)
    assert (watch.state, watch.since, watch.restarts) == (State.UP, 5.5, 0)


def test_the_pause_doubles_up_to_a_cap() -> None:
    """C13."""
    watch, now, pauses = Watch(POLICY, 0.0), 0.0, []
    for _ in range(10):
        watch.started(now)
        watch.ended(now)
        pauses.append(round(watch.due - now, 3))
        now = watch.due
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]
    assert watch.restarts == 9


def test_a_component_that_was_up_for_long_is_restarted_quickly_again() -> None:
    watch = up()
    for _ in range(5):
        watch.ended(1.0)
        watch.started(1.0)
    watch.heard(1.0)
    watch.ended(1.0 + POLICY.settled)
    assert watch.due == pytest.approx(1.1 + POLICY.settled)


def test_three_heartbeats_without_an_answer_mean_that_it_hangs() -> None:
    """C12: questions go out each second, the last one that was answered at 0."""
    watch = up()
    assert [watch.complaint(now) for now in (1.0, 2.0)] == [None, None]
    assert watch.complaint(2.999) == "hangs: no answer for 3.0 s"


def test_time_in_which_nobody_asked_does_not_count() -> None:
    """C12: the supervisor was stopped for ten seconds, and its component was not."""
    watch = up()
    watch.excuse(10.0)
    assert watch.complaint(12.0) is None
    assert watch.complaint(12.999) == "hangs: no answer for 3.0 s"


def test_who_works_is_given_longer() -> None:
    """C12: much to do is no hang, for a while."""
    watch = up()
    assert watch.complaint(29.9, works=True) is None
    assert watch.complaint(30.0, works=True) == "hangs: no answer for 30.0 s"
    watch = Watch(POLICY, 0.0)
    watch.started(0.0)
    assert watch.complaint(29.9, works=True) is None
    assert watch.complaint(30.0, works=True) == "did not answer within 30 s of its start"


def test_an_answer_takes_the_suspicion_back() -> None:
    watch = up()
    watch.heard(2.4)
    assert watch.complaint(4.0) is None


def test_a_start_that_never_answers_is_given_up() -> None:
    watch = Watch(POLICY, 0.0)
    watch.started(0.0)
    assert watch.complaint(14.9) is None
    assert watch.complaint(15.0) == "did not answer within 15 s of its start"


def test_an_adopted_component_is_up_and_was_not_restarted() -> None:
    watch = Watch(POLICY, 0.0)
    watch.adopted(1.0)
    assert (watch.state, watch.restarts, watch.complaint(2.0)) == (State.UP, 0, None)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_a_restart_is_never_further_off_than_the_cap(seed: int) -> None:
    rng, now = random.Random(seed), 0.0
    watch = Watch(POLICY, now)
    for _ in range(500):
        now += rng.expovariate(1)
        rng.choice([watch.started, watch.heard, watch.ended, watch.adopted])(now)
        assert watch.due <= now + POLICY.last_pause
        if watch.state is State.WAIT:
            assert watch.complaint(now) is None
