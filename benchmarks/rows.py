"""How long does row 5 000 000 of a 1 GB file take to appear once its rows are indexed?

The rows page, best case aside: the process has forgotten the index and takes it from storage. Against a person who
has the file on their disk and reads the same fifty rows with pandas.
"""

import time

from benchmarks._bench import MIB, make_user, median_seconds, peak_rss, stack, store_table, table_chunks

SIZE = 1024 * MIB
ROW = 5_000_000
PAGE = 50


def main() -> None:
    with stack() as directory:
        import os

        from django.core.cache import cache
        from django.test import Client
        from django.urls import reverse

        from accounts.models import User
        from datasets import activities, rows, services

        user_id, _, _ = make_user()
        client = Client()
        client.force_login(User.objects.get(id=user_id), backend="django.contrib.auth.backends.ModelBackend")
        dataset_id = store_table(user_id, SIZE)
        dataset = services.get_dataset(user_id=user_id, dataset_id=dataset_id)

        with peak_rss(os.getpid()) as seen:
            start = time.perf_counter()
            state = activities.run(rows.start_index(dataset=dataset).id)
            indexing = time.perf_counter() - start
        assert state is activities.ActivityStatus.SUCCEEDED, state

        address = reverse("datasets:rows", args=[dataset_id])

        def page(row: int) -> str:
            response = client.get(address, {"row": row})
            assert response.status_code == 200, response.status_code
            return response.content.decode()

        def cold() -> str:
            cache.clear()
            return page(ROW)

        path = directory / "table.csv"
        with path.open("wb") as file:
            file.writelines(table_chunks(SIZE))

        def by_hand() -> list[int]:
            import pandas as pd

            table = pd.read_csv(path, skiprows=ROW, nrows=PAGE, header=None)
            return table[4].tolist()

        prices = by_hand()
        shown = cold()
        assert all(f"<td>{price}</td>" in shown for price in prices), "the two do not show the same rows"
        first = median_seconds(lambda: page(1), repeat=5)
        far = median_seconds(cold, repeat=5)
        warm = median_seconds(lambda: page(ROW), repeat=5)
        naive = median_seconds(by_hand, repeat=3)
        print(
            f"index of {dataset.row_count:,} rows, 1 GB : {indexing:.1f} s, {seen[1] - seen[0]:.0f} MiB more memory"
        )
        print(f"rows page, row 1                   : {first * 1000:.0f} ms")
        print(f"rows page, row 5,000,000           : {far * 1000:.0f} ms, index from storage  (at most 1000)")
        print(f"rows page, row 5,000,000           : {warm * 1000:.0f} ms, index in the cache")
        print(f"pandas, skiprows, file on the disk : {naive * 1000:.0f} ms")
        print(f"ratio pandas / page                : {naive / far:.0f}")


if __name__ == "__main__":
    main()
