import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.auth.errors import Throttled
from tidegate.auth.throttle import (
    FORGOTTEN_AFTER,
    PER_NETWORK,
    PER_USER,
    PER_USER_AND_NETWORK,
    Throttle,
    network_of,
)

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def fail(throttle: Throttle, name: str, client: str, times: int = 1) -> None:
    for _ in range(times):
        throttle.enter(name, client).failed()


def is_refused(throttle: Throttle, name: str, client: str) -> bool:
    try:
        throttle.enter(name, client).abandoned()
    except Throttled:
        return True
    return False


def guesses_in(
    throttle: Throttle, clock: Clock, seconds: int, name: str, clients: list[str]
) -> int:
    """Wrong guesses that somebody gets in who never lets up."""
    guesses = 0
    for second in range(seconds):
        clock.now += 1
        for client in clients:
            try:
                throttle.enter(f"{name}".replace("#", str(second)), client).failed()
            except Throttled:
                continue
            guesses += 1
    return guesses


def test_a_few_mistakes_cost_nothing(throttle: Throttle) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    assert is_refused(throttle, "ann", HERE)
    assert not is_refused(throttle, "bob", HERE)


def test_each_failure_doubles_the_wait_up_to_a_longest(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    waits = []
    for _ in range(9):
        with pytest.raises(Throttled) as refusal:
            throttle.enter("ann", HERE)
        waits.append(refusal.value.retry_after)
        clock.now += refusal.value.retry_after
        fail(throttle, "ann", HERE)
    assert waits == sorted(waits)
    assert waits[0] <= 2
    assert PER_USER_AND_NETWORK.longest <= waits[-1] <= PER_USER_AND_NETWORK.longest + 1


def test_attempts_that_were_refused_do_not_prolong_the_wait(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    for _ in range(100):
        assert is_refused(throttle, "ann", HERE)
    clock.now += 1
    assert not is_refused(throttle, "ann", HERE)


def test_a_success_clears_the_users_failures_there(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    clock.now += 1
    throttle.enter("ann", HERE).succeeded()
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    assert is_refused(throttle, "ann", HERE)


def test_failures_are_forgotten_after_a_quiet_while(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    clock.now += FORGOTTEN_AFTER + 1
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    assert is_refused(throttle, "ann", HERE)


def test_guessing_in_parallel_gains_nothing(throttle: Throttle) -> None:
    under_way = [throttle.enter("ann", HERE) for _ in range(PER_USER_AND_NETWORK.free)]
    assert is_refused(throttle, "ann", HERE)
    for attempt in under_way:
        attempt.failed()
    assert is_refused(throttle, "ann", HERE)


def test_beyond_the_free_failures_one_attempt_runs_at_a_time(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    clock.now += 10
    attempt = throttle.enter("ann", HERE)
    assert is_refused(throttle, "ann", HERE)
    attempt.abandoned()
    assert not is_refused(throttle, "ann", HERE)


def test_one_password_tried_on_many_users_is_slowed_by_the_network(
    throttle: Throttle, clock: Clock
) -> None:
    got_in = guesses_in(throttle, clock, 3600, "user#", [HERE])
    assert got_in <= PER_NETWORK.free + 3600 / PER_NETWORK.longest + 10


def test_many_networks_that_guess_one_password_are_slowed_together(
    throttle: Throttle, clock: Clock
) -> None:
    botnet = [f"203.0.113.{number}" for number in range(200)]
    got_in = guesses_in(throttle, clock, 600, "ann", botnet)
    assert got_in <= PER_USER.free + 600 / PER_USER.longest + 10


def test_an_own_account_does_not_reset_the_count_of_guesses_at_others(
    throttle: Throttle, clock: Clock
) -> None:
    got_in = 0
    for second in range(600):
        clock.now += 1
        throttle.enter("mallory", HERE).succeeded()
        got_in += guesses_in(throttle, clock, 1, f"victim{second}", [HERE])
    assert got_in <= PER_NETWORK.free + 15


def test_a_user_cannot_be_locked_out_by_failures_in_her_name_from_elsewhere(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.enter("ann", HERE).succeeded()
    botnet = [f"203.0.113.{number}" for number in range(200)]
    for _ in range(50):
        guesses_in(throttle, clock, 10, "ann", botnet)
        throttle.enter("ann", HERE).succeeded()


def test_a_user_is_not_locked_out_by_neighbours_behind_the_same_address(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.enter("ann", HERE).succeeded()
    guesses_in(throttle, clock, 100, "user#", [HERE])
    assert is_refused(throttle, "newcomer", HERE)
    throttle.enter("ann", HERE).succeeded()


def test_a_user_on_a_new_network_is_slowed_but_not_locked_out(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    for number in range(PER_USER.free - PER_USER_AND_NETWORK.free + 10):
        clock.now += PER_USER.longest
        fail(throttle, "ann", f"203.0.113.{number}")
    assert is_refused(throttle, "ann", THERE)
    clock.now += PER_USER.longest
    throttle.enter("ann", THERE).succeeded()


def test_ipv6_addresses_of_one_subscriber_count_together(throttle: Throttle) -> None:
    for number in range(PER_USER_AND_NETWORK.free):
        fail(throttle, "ann", f"2001:db8:1:2::{number}")
    assert is_refused(throttle, "ann", "2001:db8:1:2:ffff::1")
    assert not is_refused(throttle, "ann", "2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(client: str, network: str) -> None:
    assert network_of(client) == network


def test_memory_stays_bounded_whatever_names_and_addresses_are_tried(clock: Clock) -> None:
    throttle = Throttle(clock, capacity=10)
    for number in range(200):
        throttle.enter(f"user{number}", f"203.0.113.{number}").failed()
        throttle.enter(f"good{number}", f"198.51.100.{number}").succeeded()
    for counts in (throttle._pairs, throttle._networks, throttle._users):
        assert len(counts._counts) == 10
    assert len(throttle._known) == 10


def test_a_flood_of_names_does_not_forget_the_user_under_attack(clock: Clock) -> None:
    throttle = Throttle(clock, capacity=10)
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    for number in range(100):
        is_refused(throttle, f"user{number}", THERE)
        assert is_refused(throttle, "ann", HERE)


def test_a_network_that_is_refused_anyway_pushes_out_nobodys_count(clock: Clock) -> None:
    throttle = Throttle(clock, capacity=50)
    fail(throttle, "ann", HERE, PER_USER_AND_NETWORK.free)
    for number in range(PER_NETWORK.free):
        fail(throttle, f"user {number % 40}", THERE)
    assert is_refused(throttle, "ann", HERE)
    for number in range(1000):
        assert is_refused(throttle, f"made up {number}", THERE)
    assert is_refused(throttle, "ann", HERE)


def test_a_refusal_tells_whole_seconds_of_at_least_one() -> None:
    assert [Throttled(wait).retry_after for wait in (0.0, 0.2, 1.0, 29.6)] == [1, 1, 1, 30]


steps = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([HERE, THERE, "2001:db8::1"]),
        st.sampled_from(["succeeded", "failed", "abandoned"]),
        st.floats(0, 100),
    ),
    max_size=60,
)


@given(steps)
@settings(max_examples=50)
def test_no_history_refuses_anybody_for_longer_than_the_longest_wait(
    history: list[tuple[str, str, str, float]],
) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for name, client, outcome, pause in history:
        clock.now += pause
        wait = 0
        try:
            getattr(throttle.enter(name, client), outcome)()
        except Throttled as refusal:
            wait = refusal.retry_after
        assert wait <= PER_NETWORK.longest
    clock.now += PER_NETWORK.longest
    assert not is_refused(throttle, "ann", HERE)
