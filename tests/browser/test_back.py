"""Back: a form that has been used is a new one, and nothing is seen after signing out."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import import_file, sign_up, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def table(path: Path, rows: int = 40) -> Path:
    path.write_text("n,kind\n" + "".join(f"{n},{'a' if n % 2 else 'b'}\n" for n in range(rows)))
    return path


def test_back_and_another_file_is_another_dataset(page: Page, tmp_path: Path):
    sign_up(page)
    upload(page, table(tmp_path / "first.csv"))
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}/preview$"))
    first = page.url
    page.go_back()
    page.locator('input[type="file"]').set_input_files(table(tmp_path / "second.csv"))
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}/preview$"))
    expect(page.locator("h1")).to_contain_text("second")
    assert page.url != first


def test_a_used_training_form_comes_back_in_place_with_its_sentence(page: Page, tmp_path: Path):
    sign_up(page)
    import_file(page, table(tmp_path / "table.csv"))
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    train = page.url + "/train?target=kind"
    page.goto(train)
    other = page.context.new_page()  # the form as another tab holds it
    other.goto(train)
    ticket = page.locator('input[name="ticket"]').input_value()
    other.locator('input[name="ticket"]').evaluate("(field, value) => { field.value = value }", ticket)
    for tab, seconds in ((page, "15"), (other, "16")):
        tab.get_by_label("Time limit").fill(seconds)
        tab.get_by_role("button", name="Train", exact=True).click()
    alert = other.locator("#train-form .alert-danger")
    expect(alert).to_contain_text("already been used")
    expect(alert).to_be_focused()
    assert other.locator('input[name="ticket"]').input_value() != ticket
    other.close()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f]{24}$"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job")).to_contain_text("Cancelled", timeout=20_000)


def test_nothing_is_seen_after_signing_out(page: Page, tmp_path: Path):
    email = sign_up(page)
    page.goto("/accounts/")
    expect(page.locator("main")).to_contain_text(email)
    page.locator('form[action="/accounts/sign-out"]').first.evaluate("form => form.requestSubmit()")
    expect(page).to_have_url(re.compile("/accounts/sign-in"))
    page.go_back()
    expect(page).to_have_url(re.compile("/accounts/sign-in"))
    expect(page.locator("body")).not_to_contain_text(email)
