"""The training form in a browser: the simple part first, the rest when asked for, and nothing lost on the way."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_whole_way import import_file, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VISITS = "patient,day,grade,age,outcome\n" + "".join(
    f"p{i % 12},2024-{1 + i // 28:02d}-{1 + i % 28:02d},{1 + i % 4},{20 + i % 50},{'ill' if i % 3 else 'well'}\n"
    for i in range(120)
)


def test_the_advanced_part_follows_the_question_and_the_kind_of_holdout(page: Page, tmp_path: Path):
    sign_up(page)
    table = tmp_path / "visits.csv"
    table.write_text(VISITS)
    import_file(page, table)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    page.goto(page.url + "/train?target=outcome")
    expect(page.locator("#target-decision")).to_contain_text("two different values")
    metric = page.get_by_label("Metric")
    expect(metric).not_to_be_visible()

    page.get_by_text("Advanced settings").click()
    expect(metric.locator("option")).to_have_count(6)
    metric.select_option("roc_auc")
    page.get_by_label("Target").select_option("age")
    expect(page.locator("#target-decision")).to_contain_text("ROC AUC, does not fit")
    page.get_by_label("Target").select_option("outcome")
    expect(metric).to_have_value("roc_auc")

    time, group = page.get_by_label("Time column", exact=True), page.get_by_label("Group column", exact=True)
    expect(time).not_to_be_visible()
    page.get_by_label("The latest rows, by a time column").check()
    expect(time).to_be_visible()
    expect(group).not_to_be_visible()
    page.get_by_role("checkbox", name="age").check()
    page.get_by_role("button", name="Train", exact=True).click()

    expect(time).to_have_attribute("aria-invalid", "true")
    expect(time).to_be_focused()
    expect(page.get_by_role("checkbox", name="age")).to_be_checked()
    time.select_option("day")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f]{24}$"))
    expect(page.locator("#job")).to_contain_text("the latest 20 % by day")
    page.get_by_role("button", name="Cancel").click()
