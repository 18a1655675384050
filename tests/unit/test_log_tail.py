"""The last lines of a training: bounded, and one line for parts that only count."""

from models_app.log_tail import LogTail
from storage.mongo_schema import MAX_LOG_LINES


def test_the_last_lines_are_kept_and_parts_that_are_counted_are_one_line():
    tail = LogTail(job_id="65f000000000000000000000", owner="owner")
    for number in range(50):
        tail.note(f"LightGBM{'x' * number}: fitting")
    assert len(tail.lines) == MAX_LOG_LINES
    for number in range(50):
        tail.note(f"Cross-validating, part {number} of 50")
    last = [line.text for line in tail.lines[-2:]]
    assert last == [f"LightGBM{'x' * 49}: fitting", "Cross-validating, part 49 of 50"]
