"""A profile takes no more memory than is promised, whatever the shape of the table. In a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 300 * 2**20

PROFILE = """
import json, sys
from pathlib import Path
from ml.profile import profile_table

table = profile_table(Path(sys.argv[1]), overrides={})
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
types = sorted({column.type for column in table.columns})
print(json.dumps({"rows": table.rows, "columns": len(table.columns), "types": types, "peak": peak}))
"""


def numbers(row: int, column: int) -> str:
    return f"{1 + (row * 7919 + column * 104_729) % 1_000_003 / 1000:.3f}"


def whole_numbers(row: int, column: int) -> str:
    return str((row * 7919 + column * 104_729) % 1_000_003)


def dates(row: int, column: int) -> str:
    return f"{1950 + (row + column) % 70}-{1 + row % 12:02}-{1 + (row * column) % 28:02}"


def texts(row: int, column: int) -> str:
    return f"house {row * 7919 % 9973} by the river {column}"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read as Linux tells it")
@pytest.mark.parametrize(
    ("cell", "width", "rows", "kind"),
    [
        (numbers, 60, 80_000, "numeric"),
        (whole_numbers, 60, 90_000, "integer"),
        (dates, 60, 60_000, "date"),
        (texts, 60, 24_000, "category"),
        # The rows are few enough for every one to be looked at, some columns at a time.
        (numbers, 600, 24_000, "numeric"),
    ],
)
def test_the_peak_stays_below_300_megabytes(tmp_path, cell, width, rows, kind):
    path = tmp_path / "table.csv"
    block = "".join(",".join(cell(row, column) for column in range(width)) + "\n" for row in range(1, 501))
    with path.open("w") as file:
        file.write(",".join(f"c{column}" for column in range(width)) + "\n")
        for number in range(rows // 500):
            file.write(block.replace(".", f"{number:03}."))  # hardly a number is there twice
    assert path.stat().st_size > 32 << 20  # it counts as large

    done = subprocess.run(
        [sys.executable, "-c", PROFILE, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])  # DuckDB may show progress above
    assert (found["rows"], found["columns"], found["types"]) == (rows, width, [kind])
    assert found["peak"] < MOST
