"""How long does a full profile of a stored dataset take, and how much memory?

Stored blob to finished profile in a process of its own: download, normalise, profile. Against what a person would
write in pandas for the same figures, in a process of its own too: download the whole blob, read_csv, types and
dates, gaps and disguised gaps, numbers among and in texts, different values, whether equal ones stand together,
moments, quantiles, outliers, histograms, most frequent values, repeated rows and columns, and how much the columns
say about each other. At 10 MB, 100 MB and 1 GB, without the imports.

    python -m benchmarks.profile [MEGABYTES ...]
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

from benchmarks._bench import MIB, make_user, peak_rss, stack

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SIZES = {10: (5, 4.0), 100: (3, 4.0), 1024: (1, 8.0)}  # megabytes: (repetitions, at least so many times faster)
PEAK_MB = 300
MISSING = ("", "NA", "N/A", "NULL", "null", "None", "nan", "-", "?", "missing", "unknown")
# A number with a sign or a unit, such as "$1,200" or "45 %".
MEASURE = r"[$€£]?\s*-?[\d.,]+\s*(?:%|[A-Za-z]{1,3})?"


def table_chunks(size: int) -> Iterator[bytes]:
    """About ``size`` bytes of a mixed 20-column CSV in which no row is like another."""
    import numpy as np
    import pandas as pd

    numbers = np.random.default_rng(5)
    words = np.array(["old", "new", "big", "small", "house", "flat", "garden", "quiet", "near", "river", "park"])
    rows, sent, first = 20_000, 0, 0
    while sent < size:
        frame = pd.DataFrame(
            {
                "id": np.arange(first, first + rows),
                "city": numbers.choice(["Bern", "Oslo", "Nice", "Graz", "Turin", "Gent", "Porto"], rows),
                "rooms": numbers.integers(1, 9, rows),
                "area": numbers.uniform(20, 300, rows).round(2),
                "price": np.exp(numbers.normal(12, 0.5, rows)).astype(int),
                "rate": numbers.random(rows).round(6),
                "built": numbers.integers(1900, 2025, rows),
                "sold": (np.datetime64("2010-01-01") + numbers.integers(0, 5000, rows)).astype(str),
                "agent": np.char.add("agent ", numbers.integers(0, 500, rows).astype(str)),
                "lat": numbers.normal(46, 1, rows).round(5),
                "lon": numbers.normal(7, 1, rows).round(5),
                "floor": numbers.integers(-1, 12, rows),
                "heating": numbers.choice(["gas", "oil", "wood", "heat pump", "NA"], rows),
                "tax": np.where(numbers.random(rows) < 0.05, np.nan, numbers.exponential(500, rows).round(2)),
                "score": numbers.normal(0, 1, rows).round(4),
                "garden": numbers.choice(["yes", "no"], rows),
                "code": np.char.add("c", numbers.integers(0, 10**7, rows).astype(str)),
                "note": [" ".join(some) for some in numbers.choice(words, (rows, 3))],
                "visits": numbers.poisson(2, rows),
                "label": numbers.choice(["high", "low"], rows),
            }
        )
        block = frame.to_csv(index=False, header=first == 0).encode()
        yield block
        first, sent = first + rows, sent + len(block)


def store(user_id: str, size: int) -> str:
    from datasets import services
    from storage.ids import new_id

    ingest = services.begin_ingest(user_id=user_id, dataset_id=new_id(), file_name=f"table-{size}.csv")
    for chunk in table_chunks(size):
        ingest.write(chunk)
    return ingest.commit().id


def ours(user_id: str, dataset_id: str) -> tuple[int, int | None]:
    from datasets import services
    from ml.profile import profile_table

    dataset = services.get_dataset(user_id=user_id, dataset_id=dataset_id)
    with services.normalised(dataset=dataset) as path:
        table = profile_table(path, overrides={})
    return len(table.columns), table.duplicate_rows


def by_hand(user_id: str, dataset_id: str) -> tuple[int, int | None]:
    import io

    import pandas as pd

    from datasets import services
    from storage.blobs import get_blobs

    dataset = services.get_dataset(user_id=user_id, dataset_id=dataset_id)
    blobs = get_blobs()
    name = blobs.dataset_blob(user_id, dataset.id, dataset.file_name)
    frame = pd.read_csv(io.BytesIO(b"".join(blobs.iter_chunks(blobs.datasets_container, name))))
    for column in frame.select_dtypes("object"):
        dates = pd.to_datetime(frame[column], format="ISO8601", errors="coerce")
        if dates.notna().equals(frame[column].notna()):
            frame[column] = dates
    for column in frame:
        describe(frame[column])
    repeated = int(frame.duplicated().sum())
    alike = [frame[one].equals(frame[other]) for one, other in combinations(frame, 2)]
    assert not any(alike)
    relate(frame)
    return len(frame.columns), repeated


def describe(values: "Series[Any]") -> None:
    """What a column's card and the checks of a profile say."""
    import numpy as np
    import pandas as pd

    counts = values.value_counts()
    _ = values.isna().sum(), values.nunique(), counts.head(10), values.is_monotonic_increasing
    # Do rows of one value stand together, more than they would by chance?
    _ = (values == values.shift()).mean(), ((counts / len(values)) ** 2).sum()
    if not pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_datetime64_dtype(values):
        text = values.dropna().astype(str).str.strip()
        _ = text.str.len().max(), text.isin(MISSING).sum(), text.str.contains(r"\s").any()
        _ = pd.to_numeric(text, errors="coerce").notna().sum(), text.str.fullmatch(MEASURE).sum()
        return
    numbers = values.dropna()
    _ = values.describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95])
    if pd.api.types.is_datetime64_dtype(values):
        numbers = numbers.astype("int64")
    low, high = numbers.quantile([0.25, 0.75])
    reach = 1.5 * (high - low)
    _ = ((numbers < low - reach) | (numbers > high + reach)).sum(), (numbers == 0).sum(), (numbers < 0).sum()
    _ = numbers.skew(), np.histogram(numbers, bins=30)


def relate(frame: "DataFrame") -> None:
    """The heat map: Spearman's rho, Cramér's V and the correlation ratio."""
    import pandas as pd
    from scipy.stats.contingency import association

    numbers = frame.select_dtypes(["number", "datetime"]).apply(pd.to_numeric)
    numbers.corr(method="spearman")
    categories = [column for column in frame.select_dtypes("object") if frame[column].nunique() <= 1000]
    for one, other in combinations(categories, 2):
        association(pd.crosstab(frame[one], frame[other]), method="cramer")
    for category in categories:
        means = numbers.groupby(frame[category]).transform("mean")
        _ = means.var() / numbers.var()


def child(side: str, user_id: str, dataset_id: str, small_id: str) -> None:
    import django

    django.setup()
    way = {"ours": ours, "by_hand": by_hand}[side]
    # Imports and the first connections are not what is compared.
    way(user_id, small_id)
    start = time.perf_counter()
    assert way(user_id, dataset_id) == (20, 0)
    print(json.dumps({"seconds": time.perf_counter() - start}))


def measured(side: str, user_id: str, dataset_id: str, small_id: str) -> tuple[float, float]:
    """Seconds, and the peak memory of the process in MiB."""
    command = [sys.executable, "-m", "benchmarks.profile", "--child", side, user_id, dataset_id, small_id]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with peak_rss(process.pid) as seen:
        out, _ = process.communicate()
    assert process.returncode == 0, side
    return json.loads(out.strip().splitlines()[-1])["seconds"], seen[1]


def compare(user_id: str, megabytes: int, small_id: str) -> None:
    dataset_id = store(user_id, megabytes * MIB)
    repeat, wanted = SIZES.get(megabytes, (1, 4.0))
    # Side by side: whatever else the machine does meets both.
    runs = [
        {side: measured(side, user_id, dataset_id, small_id) for side in ("ours", "by_hand")} for _ in range(repeat)
    ]
    found = {side: [run[side] for run in runs] for side in ("ours", "by_hand")}
    seconds = {side: statistics.median(run[0] for run in runs) for side, runs in found.items()}
    peak = {side: max(run[1] for run in runs) for side, runs in found.items()}
    print(f"{megabytes:5} MB: profile {seconds['ours']:7.2f} s, peak {peak['ours']:5.0f} MB (at most {PEAK_MB})")
    print(f"{'':8} by hand {seconds['by_hand']:7.2f} s, peak {peak['by_hand']:5.0f} MB")
    print(f"{'':8} ratio   {seconds['by_hand'] / seconds['ours']:7.1f}   (at least {wanted:.0f})", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    with stack():
        user_id, _, _ = make_user()
        small_id = store(user_id, 1)
        for megabytes in map(int, sys.argv[1:] or SIZES):
            compare(user_id, megabytes, small_id)


if __name__ == "__main__":
    main()
