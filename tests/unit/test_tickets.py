"""Tickets: one id for one person and one purpose, for a week."""

import time
from unittest import mock

import pytest

from accounts import tickets
from storage.ids import is_id

ADA, BOB = "6b05b4c9612a332a647ee0c5", "6b05b4c9612a332a647ee0c6"


def test_a_ticket_gives_the_same_id_each_time():
    ticket = tickets.issue(user_id=ADA, purpose="upload")
    first, second = (tickets.redeem(ticket, user_id=ADA, purpose="upload") for _ in range(2))
    assert is_id(first)
    assert first == second
    assert tickets.redeem(tickets.issue(user_id=ADA, purpose="upload"), user_id=ADA, purpose="upload") != first


@pytest.mark.parametrize(("days", "good"), [(6.9, True), (7.1, False)])
def test_a_ticket_is_good_for_a_week(days, good):
    with mock.patch("django.core.signing.time.time", return_value=time.time() - days * 24 * 3600):
        ticket = tickets.issue(user_id=ADA, purpose="upload")
    if good:
        assert tickets.redeem(ticket, user_id=ADA, purpose="upload")
    else:
        with pytest.raises(tickets.StaleTicket):
            tickets.redeem(ticket, user_id=ADA, purpose="upload")


@pytest.mark.parametrize("bad", ["", "x", "0" * 24, f"{'0' * 24}.1.x", "é", "\x00", "." * 99, "a.b.c.d"])
def test_what_was_never_given_out_is_refused_in_a_sentence(bad):
    with pytest.raises(tickets.StaleTicket, match="out of date"):
        tickets.redeem(bad, user_id=ADA, purpose="upload")


@pytest.mark.parametrize(("user_id", "purpose"), [(BOB, "upload"), (ADA, "training")])
def test_a_ticket_is_for_one_person_and_one_purpose(user_id, purpose):
    ticket = tickets.issue(user_id=ADA, purpose="upload")
    with pytest.raises(tickets.StaleTicket):
        tickets.redeem(ticket, user_id=user_id, purpose=purpose)
