"""How many cores a fit uses, and a plan counts on."""

import os

import pytest

from ml.cores import usable_cores


@pytest.mark.parametrize(("named", "used"), [("1", 1), ("3", 3)])
def test_the_operator_names_a_number(monkeypatch, named, used):
    monkeypatch.setenv("AG_CPU_COUNT", named)
    assert usable_cores() == used


@pytest.mark.parametrize("named", ["", "0", "auto"])
def test_anything_else_is_all_that_the_process_may_use(monkeypatch, named):
    monkeypatch.setenv("AG_CPU_COUNT", named)
    assert usable_cores() == len(os.sched_getaffinity(0))
