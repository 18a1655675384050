"""Datasets in MongoDB: listed, changed, counted and forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from datasets import repository
from datasets.records import Dataset, DatasetSort, DatasetStatus, Totals
from smartml.errors import AccountClosing, Conflict, InvalidInput
from storage import mongo_users
from storage.ids import new_id
from tests.records import DIALECT, make_dataset, make_facts, mark_ready, now, ready_dataset

pytestmark = pytest.mark.usefixtures("stack")


def key(dataset: Dataset) -> dict[str, str]:
    return {"dataset_id": dataset.id, "user_id": dataset.user_id}


def names(user_id: str, **options: object) -> list[str]:
    return [dataset.name for dataset in walk(user_id, **options)]


def walk(user_id: str, *, limit: int = 3, **options: object) -> list[Dataset]:
    """Everything, page by page."""
    found: list[Dataset] = []
    cursor = None
    while True:
        page = repository.list_page(user_id=user_id, cursor=cursor, limit=limit, **options)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


# --- One dataset ---------------------------------------------------------------------------------------------
def test_an_upload_comes_back_as_it_was_stored():
    dataset = make_dataset(name="Żółw 🐢", file_name="a.csv")
    repository.insert_uploading(dataset=dataset)
    assert repository.get(**key(dataset)) == dataset


def test_the_same_id_twice_is_a_conflict():
    dataset = make_dataset()
    repository.insert_uploading(dataset=dataset)
    with pytest.raises(Conflict) as caught:
        repository.insert_uploading(dataset=make_dataset(id=dataset.id))
    assert caught.value.code == "conflict"
    assert repository.get(**key(dataset)) == dataset


def test_somebody_elses_dataset_is_absent():
    dataset, other = ready_dataset(), new_id()
    assert repository.get(dataset_id=dataset.id, user_id=other) is None
    assert repository.rename(dataset_id=dataset.id, user_id=other, name="Mine") is None
    assert repository.set_target(dataset_id=dataset.id, user_id=other, target_column="x") is None
    assert repository.mark_deleting(dataset_id=dataset.id, user_id=other) is None
    assert repository.remove(dataset_id=dataset.id, user_id=other) is False
    assert repository.list_page(user_id=other).items == ()
    assert repository.get(**key(dataset)) == dataset


def test_ready_has_all_facts():
    dataset = make_dataset()
    repository.insert_uploading(dataset=dataset)
    ready = mark_ready(dataset, file_size=2**40, row_count=2**33, azure_dataset_url="http://blob")
    assert ready == repository.get(**key(dataset))
    assert ready.status is DatasetStatus.READY
    assert (ready.file_size, ready.row_count, ready.bad_row_count, ready.column_count) == (2**40, 2**33, 1, 3)
    assert (ready.azure_dataset_url, ready.etag, ready.dialect) == ("http://blob", '"0x1"', DIALECT)
    assert repository.totals(user_id=dataset.user_id) == Totals(datasets_count=1, datasets_bytes=2**40)


def test_ready_twice_counts_once():
    dataset = make_dataset()
    repository.insert_uploading(dataset=dataset)
    assert mark_ready(dataset) == mark_ready(dataset)
    assert repository.totals(user_id=dataset.user_id) == Totals(datasets_count=1, datasets_bytes=100)


def test_an_upload_deleted_meanwhile_does_not_become_ready():
    dataset = make_dataset()
    repository.insert_uploading(dataset=dataset)
    assert repository.touch(dataset_id=dataset.id)
    repository.mark_deleting(**key(dataset))
    assert not repository.touch(dataset_id=dataset.id)
    with pytest.raises(Conflict):
        mark_ready(dataset)
    assert repository.remove(**key(dataset))
    with pytest.raises(Conflict):
        mark_ready(dataset)
    assert repository.totals(user_id=dataset.user_id) == Totals()


def test_touching_moves_the_time():
    dataset = make_dataset(touched_at=now() - timedelta(hours=1))
    repository.insert_uploading(dataset=dataset)
    assert repository.touch(dataset_id=dataset.id)
    touched = repository.get(**key(dataset))
    assert touched is not None
    assert now() - touched.touched_at < timedelta(seconds=30)


def test_rename_and_target():
    dataset = ready_dataset()
    assert repository.rename(**key(dataset), name="  Better  ").name == "Better"
    assert repository.set_target(**key(dataset), target_column=" price ").target_column == " price "
    assert repository.set_target(**key(dataset), target_column=None).target_column is None


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\0b", "a\nb", "\udcff"])
def test_a_name_that_is_none_is_refused_at_its_field(name: str):
    dataset = ready_dataset()
    with pytest.raises(InvalidInput) as caught:
        repository.rename(**key(dataset), name=name)
    assert set(caught.value.fields) == {"name"}
    assert repository.get(**key(dataset)).name == dataset.name


def test_a_target_too_long_to_store_is_refused_at_its_field():
    dataset = ready_dataset()
    with pytest.raises(InvalidInput) as caught:
        repository.set_target(**key(dataset), target_column="x" * 1001)
    assert set(caught.value.fields) == {"target_column"}


def test_only_ready_datasets_change():
    dataset = ready_dataset()
    repository.mark_deleting(**key(dataset))
    assert repository.rename(**key(dataset), name="Late") is None
    assert repository.set_target(**key(dataset), target_column="x") is None


# --- Deleting and totals -------------------------------------------------------------------------------------
def test_deleting_lowers_the_totals_once():
    first = ready_dataset(file_size=70)
    second = ready_dataset(user_id=first.user_id, file_size=30)
    assert repository.mark_deleting(**key(first)).status is DatasetStatus.DELETING
    assert repository.mark_deleting(**key(first)).status is DatasetStatus.DELETING
    assert repository.totals(user_id=first.user_id) == Totals(datasets_count=2, datasets_bytes=100)
    assert [repository.remove(**key(first)) for _ in range(3)] == [True, False, False]
    assert repository.totals(user_id=first.user_id) == Totals(datasets_count=1, datasets_bytes=30)
    assert repository.mark_deleting(**key(first)) is None
    assert repository.ids_of_user(user_id=first.user_id) == (second.id,)


def test_a_failed_upload_was_never_counted():
    ready = ready_dataset()
    failed = make_dataset(user_id=ready.user_id)
    repository.insert_uploading(dataset=failed)
    repository.mark_deleting(**key(failed))
    assert repository.remove(**key(failed))
    assert repository.totals(user_id=ready.user_id) == Totals(datasets_count=1, datasets_bytes=100)


def test_wrong_or_forgotten_totals_never_keep_a_dataset():
    dataset = ready_dataset()
    mongo_users.forget(user_id=dataset.user_id)
    assert repository.remove(**key(dataset))
    assert repository.totals(user_id=dataset.user_id) == Totals()


def test_totals_are_right_after_twenty_at_once():
    user_id = new_id()
    datasets = [make_dataset(user_id=user_id) for _ in range(20)]
    for dataset in datasets:
        repository.insert_uploading(dataset=dataset)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(mark_ready, datasets))
    assert repository.totals(user_id=user_id) == Totals(datasets_count=20, datasets_bytes=2000)
    more = [make_dataset(user_id=user_id) for _ in range(5)]
    for dataset in more:
        repository.insert_uploading(dataset=dataset)
    with ThreadPoolExecutor(20) as pool:
        # Each is removed by two at once, while others become ready.
        removals = [pool.submit(repository.remove, **key(dataset)) for dataset in datasets[:8] for _ in range(2)]
        list(pool.map(mark_ready, more))
    assert sum(removal.result() for removal in removals) == 8
    assert repository.totals(user_id=user_id) == Totals(datasets_count=17, datasets_bytes=1700)


# --- A closing account ---------------------------------------------------------------------------------------
def test_nothing_is_stored_for_an_account_that_is_closing_or_gone():
    uploading, ready = make_dataset(), ready_dataset()
    repository.insert_uploading(dataset=uploading)
    for close in (mongo_users.begin_closing, mongo_users.bury):
        for dataset in (uploading, ready):
            close(user_id=dataset.user_id)
            with pytest.raises(AccountClosing, match="is being deleted"):
                repository.insert_uploading(dataset=make_dataset(user_id=dataset.user_id))
            assert repository.ids_of_user(user_id=dataset.user_id) == (dataset.id,)
        with pytest.raises(AccountClosing):
            mark_ready(uploading)
        assert repository.get(**key(uploading)).status is DatasetStatus.UPLOADING
    assert repository.totals(user_id=uploading.user_id) == Totals()
    assert repository.remove(**key(ready))
    mongo_users.reopen(user_id=uploading.user_id)
    assert mark_ready(uploading).status is DatasetStatus.READY


def test_an_upload_that_begins_while_the_account_is_closed_is_seen_or_refused():
    for _ in range(5):
        user_id = new_id()
        datasets = [make_dataset(user_id=user_id) for _ in range(8)]
        with ThreadPoolExecutor(9) as pool:
            stored = [pool.submit(repository.insert_uploading, dataset=dataset) for dataset in datasets]
            mongo_users.begin_closing(user_id=user_id)
            seen = set(repository.ids_of_user(user_id=user_id))
        kept = {dataset.id for dataset, done in zip(datasets, stored, strict=True) if not done.exception()}
        assert seen == kept
        assert all(isinstance(done.exception(), AccountClosing | None) for done in stored)


def test_a_tombstone_is_found_when_it_is_old_and_only_then():
    user_id, other = new_id(), ready_dataset().user_id
    mongo_users.bury(user_id=user_id)
    assert mongo_users.tombstones(before=now() - timedelta(minutes=1)) == ()
    assert mongo_users.tombstones(before=now() + timedelta(minutes=1)) == (user_id,)
    assert mongo_users.known(user_ids={user_id, other, new_id()}) == {user_id, other}
    mongo_users.forget(user_id=user_id)
    assert mongo_users.known(user_ids={user_id, other}) == {other}


# --- The sweep -----------------------------------------------------------------------------------------------
def test_the_sweep_sees_what_nobody_moves():
    long_ago, edge = now() - timedelta(hours=2), now() - timedelta(hours=1)
    abandoned, alive = make_dataset(touched_at=long_ago), make_dataset()
    for dataset in (abandoned, alive):
        repository.insert_uploading(dataset=dataset)
    ready = ready_dataset()
    half_deleted = ready_dataset()
    repository.mark_deleting(**key(half_deleted))
    assert [d.id for d in repository.unfinished(untouched_since=edge)] == [abandoned.id]
    everything = repository.unfinished(untouched_since=now() + timedelta(hours=1))
    assert {d.id for d in everything} == {abandoned.id, alive.id, half_deleted.id}
    assert ready.id not in {d.id for d in everything}


def test_the_sweep_leaves_alone_what_has_moved_meanwhile():
    edge = now() - timedelta(hours=1)
    dataset = make_dataset(touched_at=edge - timedelta(hours=1))
    repository.insert_uploading(dataset=dataset)
    repository.touch(dataset_id=dataset.id)
    assert repository.mark_deleting(**key(dataset), untouched_since=edge) is None
    mark_ready(dataset)
    assert repository.mark_deleting(**key(dataset), untouched_since=now() + timedelta(hours=1)) is None
    assert repository.get(**key(dataset)).status is DatasetStatus.READY


# --- Lists ---------------------------------------------------------------------------------------------------
def test_the_list_has_ready_and_deleting_only():
    ready = ready_dataset()
    uploading = make_dataset(user_id=ready.user_id)
    repository.insert_uploading(dataset=uploading)
    going = ready_dataset(user_id=ready.user_id)
    repository.mark_deleting(**key(going))
    assert {d.id for d in repository.list_page(user_id=ready.user_id).items} == {ready.id, going.id}
    undone = make_dataset(user_id=ready.user_id)
    repository.insert_uploading(dataset=undone)
    repository.mark_deleting(**key(undone))
    assert {d.id for d in repository.list_page(user_id=ready.user_id).items} == {ready.id, going.id}
    assert set(repository.ids_of_user(user_id=ready.user_id)) == {ready.id, going.id, uploading.id, undone.id}


def test_every_sort_in_pages_has_each_row_once():
    user_id, start = new_id(), now()
    for i, name in enumerate(["pear", "Apple", "apple", "Zebra", "banana", "éclair", "Pear", "cherry", "apple"]):
        ready_dataset(
            user_id=user_id,
            name=name,
            uploaded_at=start + timedelta(milliseconds=i // 3),  # three share each moment
            file_size=(i * 7) % 4,
            row_count=(i * 5) % 3,
        )
    for sort in DatasetSort:
        whole = repository.list_page(user_id=user_id, sort=sort, limit=100)
        assert whole.next_cursor is None
        for limit in (1, 2, 3, 9):
            assert walk(user_id, sort=sort, limit=limit) == list(whole.items)
        assert len({d.id for d in whole.items}) == 9
    assert [n.lower() for n in names(user_id, sort=DatasetSort.NAME)] == [
        "apple", "apple", "apple", "banana", "cherry", "éclair", "pear", "pear", "zebra",
    ]  # fmt: skip
    for sort, attribute in {
        DatasetSort.NEWEST: "uploaded_at",
        DatasetSort.LARGEST: "file_size",
        DatasetSort.MOST_ROWS: "row_count",
    }.items():
        values = [getattr(d, attribute) for d in walk(user_id, sort=sort)]
        assert values == sorted(values, reverse=True)
    assert walk(user_id, sort=DatasetSort.OLDEST) == walk(user_id, sort=DatasetSort.NEWEST)[::-1]


def test_pages_neither_repeat_nor_lose_a_row_while_rows_come_and_go():
    user_id, moment = new_id(), now()
    old = [ready_dataset(user_id=user_id, name=f"d{i}", uploaded_at=moment) for i in range(6)]
    first = repository.list_page(user_id=user_id, limit=3)
    ready_dataset(user_id=user_id, name="newer", uploaded_at=moment + timedelta(seconds=1))
    repository.remove(**key(first.items[-1]))
    second = repository.list_page(user_id=user_id, limit=3, cursor=first.next_cursor)
    assert second.next_cursor is None
    assert {d.id for d in first.items} | {d.id for d in second.items} == {d.id for d in old}
    assert not {d.id for d in first.items} & {d.id for d in second.items}


def test_a_cursor_of_another_order_is_refused():
    user_id = new_id()
    for _ in range(2):
        ready_dataset(user_id=user_id)
    cursor = repository.list_page(user_id=user_id, limit=1).next_cursor
    with pytest.raises(InvalidInput):
        repository.list_page(user_id=user_id, limit=1, sort=DatasetSort.NAME, cursor=cursor)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("house", ["House (2024)", "greenhouse"]),
        ("HOUSE", ["House (2024)", "greenhouse"]),
        ("  green ", ["greenhouse"]),
        ("(2024)", ["House (2024)"]),
        ("100%", ["a.b*c 100%"]),
        ("żÓŁ", ["Żółw 🐢"]),
        ("🐢", ["Żółw 🐢"]),
        (".", ["a.b*c 100%"]),
        (".*", []),
        ("b*c", ["a.b*c 100%"]),
        ("^House", []),
        ("house$", []),
        ("(?i)x", []),
        ("[a-z]", []),
        ("(", ["House (2024)"]),
        ("\\", ["back\\slash"]),
        ("\\d", []),
        ("a|b", []),
        ("x\0y", []),
        ("(a+)+$", []),
        ("h" * 50_000, []),
        ("\ud800", []),
    ],
)
def test_search_is_a_substring_in_any_case_and_nothing_else(search: str, found: list[str]):
    user_id = new_id()
    for name in ["House (2024)", "greenhouse", "a.b*c 100%", "Żółw 🐢", "back\\slash"]:
        ready_dataset(user_id=user_id, name=name)
    ready_dataset(name="somebody else's house")
    assert sorted(names(user_id, search=search)) == found


def test_search_and_sort_go_together_in_pages():
    user_id = new_id()
    for i in range(12):
        ready_dataset(user_id=user_id, name=f"{'even' if i % 2 == 0 else 'odd'} {i:02}", file_size=i % 3)
    assert names(user_id, search="even", sort=DatasetSort.NAME, limit=2) == [
        f"even {i:02}" for i in range(0, 12, 2)
    ]
    assert len(names(user_id, search="odd", sort=DatasetSort.LARGEST, limit=2)) == 6


# --- Staged --------------------------------------------------------------------------------------------------
def staged(**changes):
    dataset = make_dataset(**changes)
    repository.insert_uploading(dataset=dataset)
    return repository.mark_staged(**key(dataset), facts=make_facts())


def test_staged_is_not_counted_and_importing_counts_once():
    dataset = staged()
    assert (dataset.status, dataset.azure_dataset_url, dataset.row_count) == (DatasetStatus.STAGED, None, 10)
    assert repository.totals(user_id=dataset.user_id) == Totals()
    assert repository.list_page(user_id=dataset.user_id).items == ()
    assert repository.mark_staged(**key(dataset), facts=make_facts()) == dataset

    ready = mark_ready(dataset)
    assert mark_ready(dataset) == ready
    assert repository.totals(user_id=dataset.user_id).datasets_count == 1
    with pytest.raises(Conflict):
        repository.mark_staged(**key(dataset), facts=make_facts())
    with pytest.raises(Conflict):
        mark_ready(dataset, etag='"another blob"')


def test_packed_becomes_a_table_once():
    dataset = make_dataset()
    repository.insert_uploading(dataset=dataset)
    packed = repository.mark_packed(**key(dataset), file_size=7)
    assert (packed.is_packed, packed.file_size) == (True, 7)
    with pytest.raises(Conflict):
        mark_ready(packed)
    table = repository.mark_staged(**key(dataset), facts=make_facts())
    assert not table.is_packed
    with pytest.raises(Conflict):
        repository.mark_staged(**key(dataset), facts=make_facts(etag='"another table"'))
    with pytest.raises(Conflict):
        repository.mark_packed(**key(dataset), file_size=8)


def test_staged_ones_are_found_by_owner_age_and_content():
    first = staged()
    second = staged(user_id=first.user_id)
    staged()

    assert repository.staged_of_user(user_id=first.user_id) == (second, first)
    assert repository.staged(untouched_since=now() - timedelta(minutes=1)) == ()
    assert len(repository.staged(untouched_since=now() + timedelta(minutes=1))) == 3
    assert repository.unfinished(untouched_since=now() + timedelta(minutes=1)) == ()
    same = {"user_id": first.user_id, "sha256": first.sha256}
    assert repository.first_with_content(**same, before=now()) == first
    assert repository.first_with_content(**same, before=now(), other_than=first.id) == second
    assert repository.first_with_content(**same, before=first.uploaded_at, other_than=first.id) in (None, second)
    assert repository.first_with_content(user_id=new_id(), sha256=first.sha256, before=now()) is None


def test_only_a_staged_one_is_deleted_as_staged():
    dataset = staged()
    edge = now() + timedelta(minutes=1)
    assert repository.touch(dataset_id=dataset.id)
    assert repository.mark_deleting(**key(dataset), untouched_since=edge) is None
    gone = repository.mark_deleting(**key(dataset), status=DatasetStatus.STAGED, untouched_since=edge)
    assert gone.status is DatasetStatus.DELETING
    ready = ready_dataset()
    assert repository.mark_deleting(**key(ready), status=DatasetStatus.STAGED) is None
