"""A training as one watches it: the plan before, models and the figure as they come, an early end, the report."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import import_file, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Enough rows that not everything is fitted before somebody can press a button."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(4)
    frame = pd.DataFrame(draw.normal(size=(6_000, 6)).round(4), columns=list("abcdef"))
    frame["outcome"] = np.where(frame["a"] + draw.normal(size=6_000) > 0, "yes", "no")
    path = tmp_path / "noisy.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_training_is_planned_watched_ended_early_and_reported(page: Page, noisy: Path):
    sign_up(page)
    import_file(page, noisy)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    page.goto(page.url + "/train?target=outcome")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("Done b")  # between two minutes, or by one
    expect(plan.locator("tbody tr")).to_have_count(7)
    page.locator("summary", has_text="Advanced settings").click()
    page.get_by_label("LightGBM (boosted trees)").check()
    page.get_by_label("Neural nets").check()
    expect(plan.locator("tbody tr")).to_have_count(5)
    page.get_by_label("Time limit").fill("600")
    page.get_by_role("button", name="Train", exact=True).click()

    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f]{24}$"))
    page.evaluate("window.isTheSamePage = true")
    rows = page.get_by_role("region", name="Finished models").locator("tbody tr")
    expect(rows.nth(1)).to_be_visible(timeout=180_000)
    expect(page.locator("#job-figure svg.main-svg").first).to_be_visible()
    expect(page.locator('[data-test="readings"]')).to_contain_text("cores busy")
    expect(page.locator('[data-test="job-log"]')).to_contain_text("validation accuracy")
    page.get_by_role("button", name="Stop, keep the best").click()
    expect(page.get_by_role("link", name="See how good it is")).to_be_visible(timeout=180_000)
    assert page.evaluate("window.isTheSamePage")
    page.locator('#job [data-test="left-out"] summary').click()
    expect(page.locator('[data-test="left-out"]')).to_contain_text("the best so far was wanted")

    page.get_by_role("link", name="See how good it is").click()
    expect(page.locator("#thresholds")).to_contain_text("Cheapest on the validation rows")
    page.get_by_label("A miss costs").fill("20")
    page.get_by_label("A miss costs").press("Tab")
    expect(page.locator('[data-test="cheapest"]')).not_to_contain_text("say yes from 0.5 on")
    explained = page.locator("#explanations")
    expect(explained.locator('[data-test="explanation"]')).to_contain_text("Permuting a worsens", timeout=240_000)
    explained.locator("figure").first.scroll_into_view_if_needed()  # it is drawn when it comes near the screen
    expect(explained.locator("svg.main-svg").first).to_be_visible()
    # It asks no more, and tells of rows held out alone.
    assert not explained.evaluate("section => section.hasAttribute('hx-get')")
    row = explained.get_by_label("Row of the table, from 1")
    row.fill("0")
    explained.get_by_role("button", name="Why?").click()
    expect(explained.locator('[data-test="explain-row-fault"]')).to_contain_text("a whole number from 1")
    row.fill("999999")
    explained.get_by_role("button", name="Why?").click()
    fault = explained.locator('[data-test="explain-row-fault"]')
    expect(fault).to_contain_text("Some that are")
    row.fill(re.findall(r"\d+", fault.inner_text().replace(",", ""))[-1])
    explained.get_by_role("button", name="Why?").click()
    expect(explained.locator('[data-test="explain-row"]')).to_contain_text("The model says")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report", exact=True).click()
    report = opened.value
    expect(report.get_by_role("heading", level=2, name="How good it is")).to_be_visible()
    expect(report.locator("img").first).to_be_visible()
    assert report.locator("img").first.evaluate("image => image.naturalWidth") > 100
    expect(report.locator("main")).to_contain_text("What each column is worth")
    expect(report.locator("main")).to_contain_text("Its owner ended the fitting before every model had been tried")


def test_the_bell_says_that_a_training_has_ended_elsewhere(page: Page, tmp_path: Path):
    sign_up(page)
    table = tmp_path / "small.csv"
    table.write_text("a,b,kind\n" + "".join(f"{n},{n % 7},{'x' if n % 3 else 'y'}\n" for n in range(60)))
    import_file(page, table)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    page.goto(page.url + "/train?target=kind")
    page.get_by_label("Time limit").fill("10")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f]{24}$"))
    page.goto("/datasets/")
    for _ in range(60):
        page.reload()
        bell = page.locator("#news")
        expect(bell).to_be_visible()
        if bell.locator(".badge").count():
            break
        page.wait_for_timeout(1000)
    expect(bell).to_contain_text("1")
    bell.click()
    expect(page.locator("main")).to_contain_text("new")
