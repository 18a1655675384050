"""A token of the API in a browser: made, shown once, copied, revoked, without leaving the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import sign_up

pytestmark = pytest.mark.browser


def test_a_token_is_made_shown_once_copied_and_revoked(page: Page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_up(page)
    page.goto("/accounts/")
    section = page.locator("#tokens")
    section.get_by_role("button", name="Make the token").click()
    expect(section.get_by_label("Name")).to_be_focused()
    expect(section.get_by_text("Say what the token is for")).to_be_visible()

    section.get_by_label("Name").fill("Nightly")
    section.get_by_label("Write: upload").check()
    section.get_by_role("button", name="Make the token").click()
    shown = section.locator("#new-token")
    expect(shown).to_have_text(re.compile(r"^sml_[\w-]{43}$"))
    secret = shown.inner_text()
    row = section.get_by_role("row", name="Nightly")
    expect(row).to_contain_text("read, write, predict")
    expect(row).to_contain_text("never")
    section.get_by_role("button", name="Copy").click()
    expect(section.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret

    page.reload()
    expect(section.get_by_role("row", name="Nightly")).to_be_visible()
    assert secret not in page.content()

    section.get_by_role("button", name="Revoke Nightly").click()
    expect(section.get_by_text("is revoked: it opens nothing")).to_be_visible()
    expect(section.locator("table")).to_have_count(0)


def test_a_request_is_copied_from_the_page_of_a_dataset(page: Page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_up(page)
    page.goto("/datasets/new")
    page.locator("form[action*='samples/iris'] button").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    section = page.locator("#snippets")
    section.get_by_role("button", name="Copy: Train on it, with curl").click()
    expect(section.get_by_text("Copied")).to_be_visible()
    assert '"target": "species"' in page.evaluate("navigator.clipboard.readText()")

    section.get_by_role("tab", name="Python").click()
    section.get_by_role("button", name="Copy: Look at this dataset, with Python").click()
    expect(page.locator("#snippets-python").get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import json")
    assert page.url.rpartition("/")[2] in copied
