"""A file of a dataset on Kaggle, from the first token to the imported table, and an import that is cancelled."""

import re
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import sign_up
from tests.kaggle_stub import PIECE, Kaggle, StubDataset

pytestmark = pytest.mark.browser

TABLE = b"city,rooms,price\n" + b"".join(b"Town %d,%d,%d\n" % (n % 9, n % 5 + 1, n * 10) for n in range(9000))


@pytest.fixture
def houses(kaggle: Kaggle) -> Iterator[Kaggle]:
    kaggle.page_size = 3
    for number in range(5):
        kaggle.datasets[f"ada/houses-{number}"] = StubDataset(f"House prices {number}", {"x.csv": TABLE})
    files = {"houses.csv": TABLE, "photos.tar": b"x", "raw/b.csv": TABLE, "raw/c.csv": TABLE}
    kaggle.datasets["ada/houses-0"] = StubDataset("House prices of nine towns", files)
    yield kaggle
    kaggle.datasets.clear()
    kaggle.before_piece = None


def store_token(page: Page) -> None:
    page.get_by_role("link", name="Store a token").click()
    page.get_by_label("API token").fill("KGAT_a-token-for-the-browser-0123")
    page.get_by_role("button", name="Store the token").click()
    expect(page).to_have_url(re.compile(r"/datasets/kaggle/$"))


def open_houses(page: Page) -> None:
    page.get_by_label("Search Kaggle").fill("house prices")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="House prices of nine towns").click()
    expect(page.locator('[data-test="licence"]')).to_contain_text("CC0-1.0")


def test_import_from_kaggle(page: Page, houses: Kaggle):
    sign_up(page)
    page.goto("/datasets/new")
    page.get_by_role("link", name="Search Kaggle").click()
    expect(page.locator('[data-test="kaggle-no-token"]')).to_be_visible()
    store_token(page)

    page.get_by_label("Search Kaggle").fill("house prices")
    page.get_by_role("button", name="Search").click()
    expect(page.locator('[data-test="kaggle-results"] tbody tr')).to_have_count(4)
    page.get_by_role("link", name="More results").click()
    expect(page.get_by_role("link", name="House prices 4")).to_be_visible()
    page.get_by_role("link", name="House prices of nine towns").click()
    expect(page.get_by_role("button", name="Import photos.tar")).to_have_count(0)
    page.get_by_role("link", name="More files").click()
    expect(page.get_by_role("button", name="Import raw/c.csv")).to_be_visible()

    page.get_by_role("button", name="Import houses.csv").click()
    expect(page).to_have_url(re.compile(r"/datasets/kaggle/imports/[0-9a-f]{24}$"))
    page.locator("#import-result").click(timeout=60_000)
    expect(page.locator("main")).to_contain_text("Town 1")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"), timeout=20_000)
    expect(page.locator('[data-test="row-count"]')).to_contain_text("9,000")
    expect(page.locator("main")).to_contain_text("ada/houses-0@3:houses.csv")


def test_cancel_keeps_nothing(page: Page, houses: Kaggle):
    held = threading.Event()
    houses.before_piece = lambda position: held.wait(60) if position >= PIECE else None
    sign_up(page)
    page.goto("/datasets/kaggle/")
    store_token(page)
    open_houses(page)
    page.get_by_role("button", name="Import houses.csv").click()
    state = page.locator("#kaggle-import")
    expect(state).to_contain_text(re.compile("Asking Kaggle|Downloading"), timeout=60_000)
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_contain_text("Cancelled", timeout=8_000)
    expect(state).to_contain_text("Nothing of it was kept")
    held.set()
    page.goto("/datasets/")
    expect(page.locator("main")).not_to_contain_text("houses")
