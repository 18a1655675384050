"""Whose training is next."""

from models_app.fair_order import Waiting, in_turn


def order(waiting: str, running: dict[str, int] | None = None) -> str:
    """Each letter is a person's training, the longest waiting first."""
    found = in_turn([Waiting(job_id=str(n), user_id=who) for n, who in enumerate(waiting)], running or {})
    assert len({each.job_id for each in found}) == len(waiting)
    return "".join(each.user_id for each in found)


def test_people_take_turns_however_many_one_has_asked_for():
    assert order("aaaabc") == "abcaaa"
    assert order("aabbcc") == "abcabc"


def test_one_persons_trainings_begin_in_the_order_asked_for():
    found = in_turn([Waiting(job_id=str(n), user_id="a") for n in range(5)], {"a": 1})
    assert [each.job_id for each in found] == list("01234")


def test_whoever_has_one_running_waits_for_those_who_have_none():
    assert order("ab", {"a": 1}) == "ba"
    assert order("abb", {"b": 1}) == "abb"
    assert order("", {"a": 3}) == ""
