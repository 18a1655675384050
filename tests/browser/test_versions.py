"""Two versions in a browser: compared side by side, asked the same rows, and the older one made current again."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import import_file, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def train(page: Page, dataset_url: str, more: str = "") -> str:
    page.goto(f"{dataset_url}/train?target=kind{more}")
    page.get_by_label("Time limit").fill("10")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("link", name="See how good it is")).to_be_visible(timeout=240_000)
    page.get_by_role("link", name="See how good it is").click()
    expect(page.locator('[data-test="holdout-score"]')).to_be_visible()
    settle(page)
    return page.url.split("?")[0]


def settle(page: Page) -> None:
    """Let the parts of the page arrive: htmx reports a request that is left behind as an error."""
    page.wait_for_load_state("networkidle", timeout=120_000)


def test_compare_and_promote(page: Page, tmp_path: Path):
    table = tmp_path / "points.csv"
    rows = (f"{i % 17},{i % 23},{'in' if (i % 17) + (i % 23) > 18 + i % 5 else 'out'}\n" for i in range(1200))
    table.write_text("a,b,kind\n" + "".join(rows))
    sign_up(page)
    import_file(page, table)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    dataset_url = page.url
    model_url = train(page, dataset_url)
    train(page, dataset_url, f"&model={model_url.rpartition('/')[2]}")

    # From the table of versions to both in one figure.
    page.get_by_role("checkbox", name="Compare version 1").check()
    page.get_by_role("checkbox", name="Compare version 2").check()
    page.get_by_role("button", name="Compare the two ticked").click()
    expect(page).to_have_url(re.compile(r"/models/compare\?left=[0-9a-f]{24}%3A1&right=[0-9a-f]{24}%3A2$"))
    paired = page.locator('[data-test="paired"]')
    expect(paired).to_contain_text(re.compile(r"Asked the same \d+ rows, which neither had seen"), timeout=240_000)
    roc = page.locator('[data-test="figure-roc"]')
    roc.scroll_into_view_if_needed()
    expect(roc.locator(".scatterlayer .trace")).to_have_count(3)

    settle(page)
    page.get_by_role("link", name=re.compile("^Make .* v1 current$")).click()
    expect(page.locator("main")).to_contain_text("Version 2, current now", ignore_case=True)
    page.get_by_role("button", name="Make version 1 current").click()
    expect(page).to_have_url(model_url)
    expect(page.locator("main")).to_contain_text("Version 1 is current now.")
    expect(page.locator('[data-test="newer"]')).to_contain_text("Version 2")
    settle(page)
    page.get_by_role("link", name="Roll back to version 2").click()
    page.get_by_role("button", name="Make version 2 current").click()
    expect(page.locator('[data-test="version-2"]')).to_contain_text("current")

    # Tags in place.
    page.get_by_role("link", name="Edit tags and notes").click()
    page.get_by_label("Tags", exact=True).fill("what? now")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Tags", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Tags", exact=True).fill("Points")
    page.get_by_role("button", name="Save").click()
    expect(page.locator('[data-test="tags"]')).to_have_text("points")
    settle(page)
    page.locator('[data-test="tags"] a').click()
    expect(page).to_have_url(re.compile(r"/models/\?tag=points$"))
    expect(page.locator("#model-list")).to_contain_text("kind")
