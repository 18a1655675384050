"""How long do the first rows of a dataset take to appear, and does the size of the file matter?

The dataset page, cache empty, at 1 MB, 100 MB and 1 GB; against "download the whole blob, pandas, head" at 100 MB.
"""

import io

from benchmarks._bench import MIB, make_user, median_seconds, stack, store_table


def main() -> None:
    with stack():
        from django.core.cache import cache
        from django.test import Client
        from django.urls import reverse

        from accounts.models import User
        from datasets import services
        from storage.blobs import get_blobs

        user_id, _, _ = make_user()
        client = Client()
        client.force_login(User.objects.get(id=user_id), backend="django.contrib.auth.backends.ModelBackend")
        sizes = {"1 MB": MIB, "100 MB": 100 * MIB, "1 GB": 1024 * MIB}
        stored = {name: store_table(user_id, size) for name, size in sizes.items()}

        def page(dataset_id: str) -> None:
            cache.clear()
            response = client.get(reverse("datasets:detail", args=[dataset_id]))
            assert response.status_code == 200, response.status_code

        page(stored["1 MB"])
        took = {name: median_seconds(lambda d=d: page(d), repeat=9) for name, d in stored.items()}

        def naive() -> None:
            import pandas as pd

            dataset = services.get_dataset(user_id=user_id, dataset_id=stored["100 MB"])
            blobs = get_blobs()
            path = blobs.dataset_blob(user_id, dataset.id, dataset.file_name)
            pd.read_csv(io.BytesIO(b"".join(blobs.iter_chunks(blobs.datasets_container, path)))).head(20)

        by_hand = median_seconds(naive, repeat=3)
        for name, seconds in took.items():
            print(f"dataset page, {name:>6}: {seconds * 1000:8.1f} ms")
        print(f"download whole, pandas, head, 100 MB: {by_hand * 1000:.0f} ms")
        print(f"ratio 1 GB / 1 MB            : {took['1 GB'] / took['1 MB']:.2f}  (at most 2)")
        print(f"ratio by hand / page, 100 MB : {by_hand / took['100 MB']:.0f}  (at least 50)")


if __name__ == "__main__":
    main()
