"""Repeated rows are counted in parts where their hashes would not fit into memory at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ml import duplicates
from ml.duplicates import count_repeated_rows
from ml.scan import open_table


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MAX_HASHES", 500)


def written(tmp_path: Path, rows: Sequence[str]) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{row}\n" for row in rows))
    return path


def counted(path: Path, rows: int, telling: Sequence[int] = ()) -> tuple[int | None, bool]:
    with open_table(path, 2) as table:
        return count_repeated_rows(table.connection, rows=rows, width=2, telling=telling)


@pytest.mark.parametrize("telling", [(), (0,), (1,)])
def test_two_parts_are_exact(few_at_once, tmp_path, telling):
    rows = [f"{n},{n % 7}" for n in range(700)]
    assert counted(written(tmp_path, rows), 700, telling) == (0, True)
    # Those that repeat stand far apart, and fall into either part.
    assert counted(written(tmp_path, rows + rows[:60]), 760, telling) == (60, True)


def test_of_more_rows_a_share_is_counted_and_said_to_be_no_more(few_at_once, tmp_path):
    rows = [f"{n // 2},x" for n in range(5000)]
    found, exact = counted(written(tmp_path, rows), 5000)
    assert not exact
    assert found == pytest.approx(2500, rel=0.15)
    assert counted(written(tmp_path, [f"{n},x" for n in range(5000)]), 5000, (0,)) == (0, False)
