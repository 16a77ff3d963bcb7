import pytest

from tidegate.apimachinery.errors import TooManyRequests
from tidegate.apimachinery.http.unread import Unread


def test_who_leaves_much_unread_is_refused_more_until_some_was_read() -> None:
    unread = Unread(of_one=100, of_all=1000)
    with unread.held("una", 60):
        with pytest.raises(TooManyRequests) as refused, unread.held("una", 60):
            pass
        assert refused.value.retry_after == 1
        with unread.held("una", 40), unread.held("ugo", 60):
            pass
    with unread.held("una", 100):
        pass


def test_ones_only_answer_may_be_larger_than_her_share() -> None:
    unread = Unread(of_one=100, of_all=1000)
    with unread.held("una", 500):
        with pytest.raises(TooManyRequests):
            unread.check("una", 1)
        unread.check("ugo", 300)


def test_all_together_hold_no_more_than_their_bound_but_for_one_answer_each() -> None:
    unread = Unread(of_one=100, of_all=150)
    with unread.held("una", 80), unread.held("ugo", 60):
        with pytest.raises(TooManyRequests):
            unread.check("ugo", 20)
        unread.check("ulf", 20)


def test_what_fails_while_it_is_written_is_let_go_of() -> None:
    unread = Unread(of_one=100, of_all=100)
    with pytest.raises(ValueError, match="gone"), unread.held("una", 90):
        raise ValueError("gone")
    unread.check("una", 100)
