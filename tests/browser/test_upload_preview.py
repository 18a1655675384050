"""Upload, look, change your mind, import or abandon: in a browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import sign_up, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def ragged(tmp_path: Path) -> Path:
    """Semicolons, decimal commas, and three records that do not fit."""
    path = tmp_path / "ragged.csv"
    rows = [f"{n};town {n};{n},5" for n in range(1, 40)]
    rows[4], rows[9], rows[19] = "5;lost", "10;one;two;three", "20"
    path.write_text("\n".join(["number;town;price", *rows, ""]))
    return path


def test_a_changed_delimiter_redraws_the_rows_in_place(page: Page, ragged: Path):
    sign_up(page)
    upload(page, ragged)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}/preview$"))
    heads = page.locator('[data-test="first-rows"] thead th')
    expect(heads).to_have_count(3)
    expect(page.locator('[data-test="summary"]')).to_contain_text("36 rows of 3 columns; 3 records would go")
    expect(page.locator('[data-test="bad-rows"] tbody tr')).to_have_count(3)

    page.get_by_label("Values are separated by").focus()
    page.get_by_label("Values are separated by").select_option("comma")
    expect(heads).not_to_have_count(3)
    expect(page.get_by_label("Values are separated by")).to_be_focused()
    expect(page).to_have_url(re.compile(r"delimiter=comma"))
    page.reload()
    expect(page.get_by_label("Values are separated by")).to_have_value("comma")
    page.get_by_label("Values are separated by").select_option("semicolon")
    expect(heads).to_have_count(3)
    expect(heads.nth(2)).to_contain_text("number")

    # What is folded away is unfolded when something of it is unusual: here the decimal comma.
    expect(page.get_by_label("Decimal sign")).to_have_value("comma")
    page.get_by_label("Decimal sign").select_option("point")
    expect(heads.nth(2)).not_to_contain_text("number")
    page.get_by_label("Lines above the table").fill("1")
    page.get_by_label("Lines above the table").press("Tab")
    expect(heads.nth(1)).to_contain_text("town 1")
    expect(page.get_by_label("Lines above the table")).to_be_visible()
    page.get_by_label("Lines above the table").fill("-4")
    page.get_by_label("Lines above the table").press("Tab")
    expect(page.get_by_label("Lines above the table")).to_have_attribute("aria-invalid", "true")


def test_the_receipt_and_its_quarantine(page: Page, ragged: Path):
    sign_up(page)
    upload(page, ragged)
    page.get_by_role("button", name="Import").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    expect(page.locator("main")).to_contain_text("Imported: 36 rows, and 3 in quarantine.")
    receipt = page.locator('[data-test="ingest-receipt"]')
    expect(receipt).to_contain_text("36 read + 3 in quarantine = 39 in the file.")
    expect(receipt.locator('[data-test="receipt-lines"] tbody tr')).to_have_count(3)
    with page.expect_download() as started:
        receipt.get_by_role("link", name="Download the quarantine").click()
    lines = Path(started.value.path()).read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ['"line"', "6", "11", "21"]
    assert lines[1].endswith('"5;lost"')

    receipt.get_by_role("link", name="On a page of its own").click()
    expect(page.locator("main")).to_contain_text("36 read + 3 in quarantine = 39 in the file.")


def test_abandoning_leaves_nothing_to_go_on_with(page: Page, ragged: Path):
    sign_up(page)
    upload(page, ragged)
    expect(page).to_have_url(re.compile(r"/preview$"))
    place = page.url
    page.goto("/")
    waiting = page.locator('[data-test="staged"]')
    expect(waiting).to_contain_text("ragged")
    waiting.get_by_role("link").click()
    expect(page).to_have_url(place)
    page.get_by_role("button", name="Abandon").click()
    expect(page).to_have_url(re.compile(r"/datasets/new$"))
    expect(page.locator("main")).to_contain_text("nothing of it is stored")
    page.goto("/datasets/")
    expect(page.locator("main")).not_to_contain_text("ragged")


def test_a_sample_is_one_click_away(page: Page):
    sign_up(page)
    page.get_by_role("button", name="Use the sample Iris").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    expect(page.locator("main")).to_contain_text("setosa")
