from tidegate.auth.remembered import REMEMBERED_FOR, RememberedLogins


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_success_is_remembered_for_a_minute() -> None:
    clock = Clock()
    logins = RememberedLogins(clock)
    mark = logins.mark("ann", "$hash", "secret")
    assert not logins.holds(mark)
    logins.add(mark)
    clock.now += REMEMBERED_FOR - 1
    assert logins.holds(mark)
    clock.now += 1
    assert not logins.holds(mark)


def test_a_mark_is_of_one_name_one_stored_hash_and_one_password() -> None:
    logins = RememberedLogins(Clock())
    marks = {
        logins.mark(*parts)
        for parts in (
            ("ann", "$hash", "secret"),
            ("bob", "$hash", "secret"),
            ("ann", "$other", "secret"),
            ("ann", "$hash", "Secret"),
            ("ann$hash", "", "secret"),
            ("ann", "$hashs", "ecret"),
        )
    }
    assert len(marks) == 6


def test_a_mark_means_nothing_in_another_process() -> None:
    first, second = RememberedLogins(Clock()), RememberedLogins(Clock())
    assert first.mark("ann", "$hash", "secret") != second.mark("ann", "$hash", "secret")


def test_no_password_is_kept() -> None:
    logins = RememberedLogins(Clock())
    logins.add(logins.mark("ann", "$hash", "a-secret-password"))
    assert b"a-secret-password" not in b"".join(logins._expiries)


def test_memory_is_bounded_and_what_expired_is_dropped() -> None:
    clock = Clock()
    logins = RememberedLogins(clock, capacity=10)
    for number in range(100):
        logins.add(logins.mark("ann", "$hash", str(number)))
    assert len(logins._expiries) == 10
    clock.now += REMEMBERED_FOR
    logins.add(logins.mark("ann", "$hash", "new"))
    assert len(logins._expiries) == 1


def test_remembering_again_prolongs() -> None:
    clock = Clock()
    logins = RememberedLogins(clock)
    mark = logins.mark("ann", "$hash", "secret")
    logins.add(mark)
    clock.now += REMEMBERED_FOR - 1
    logins.add(mark)
    clock.now += REMEMBERED_FOR - 1
    assert logins.holds(mark)
