"""What a log may say of an error that came out of somebody's data."""

from smartml.errors import trace_without_values


def _read() -> None:
    try:
        float("Alice Smith")
    except ValueError as error:
        raise RuntimeError("row 7: Alice Smith, 12 High Street") from error


def test_types_and_places_are_told_and_no_value():
    try:
        _read()
    except RuntimeError as error:
        told = trace_without_values(error)
    assert "builtins.RuntimeError at " in told
    assert "caused by builtins.ValueError at " in told
    assert "test_error_traces.py:" in told
    assert "_read" in told
    assert "Alice" not in told
    assert "High Street" not in told
