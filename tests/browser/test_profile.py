"""The profile in a browser: it fills in by itself, figures are drawn, a type and the target are chosen on it."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_whole_way import sign_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def passengers(tmp_path: Path) -> Path:
    """A table like that of the Titanic's passengers: 300 rows, gaps, a word among numbers, an answer given away."""
    path = tmp_path / "passengers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["PassengerId", "Pclass", "Sex", "Age", "Fare", "Cabin", "Alive", "Survived"])
        for number in range(1, 301):
            survived = (number * 7) % 3 == 0
            age = "" if number % 9 == 0 else "unknown age" if number % 50 == 0 else 10 + number % 60
            row = [number, 1 + number % 3, "female" if (number + survived) % 2 else "male", age]
            row += [f"{7 + (number * 13) % 90}.{number % 10}", "" if number % 4 else f"C{number}"]
            writer.writerow([*row, "yes" if survived else "no", int(survived)])
    return path


def store(page: Page, path: Path) -> None:
    """Upload a file and import it as it was detected."""
    page.goto("/datasets/new")
    page.locator('input[type="file"]').set_input_files(path)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Import").click()
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))


def card(page: Page, name: str) -> Locator:
    return page.locator('[data-test="column-card"]').filter(has=page.get_by_role("heading", name=name, exact=True))


def assert_drawn(figure: Locator) -> None:
    figure.scroll_into_view_if_needed()
    expect(figure.locator("svg.main-svg").first).to_be_visible()


def test_the_profile_fills_in_and_is_worked_with(page: Page, passengers: Path):
    sign_up(page)
    store(page, passengers)
    expect(page.locator('[data-test="first-rows"]')).to_contain_text("PassengerId")
    expect(page.locator('[data-test="checks"]')).to_be_visible(timeout=60_000)
    expect(page.locator('[data-test="column-card"]')).to_have_count(8)
    expect(page.locator("#announcer")).to_have_text("The profile is ready.")
    expect(card(page, "Fare").locator("svg rect").first).to_be_visible()
    expect(card(page, "Sex")).to_contain_text("female")

    # Figures: drawn, saved as a picture, their numbers behind a link.
    associations = page.locator('[data-test="associations"]')
    assert_drawn(associations.locator("figure"))
    with page.expect_download() as saved:
        associations.get_by_role("button", name="PNG").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as saved:
        associations.get_by_role("link", name="Data").click()
    assert "Pclass" in Path(saved.value.path()).read_text()

    # Search and types, in place.
    page.get_by_role("searchbox", name="Search columns by name").fill("age")
    expect(page.locator('[data-test="column-card"]')).to_have_count(1)
    age = card(page, "Age")
    expect(age.locator('[data-test="column-type"]')).not_to_have_text("number")
    age.get_by_text("Change type").click()
    age.get_by_label("Read this column as").select_option(label="Whole number")
    age.get_by_role("button", name="Use").click()
    expect(age.locator('[data-test="column-type"]')).to_have_text("whole number")
    expect(age).to_contain_text("values are not of the chosen type", timeout=60_000)
    expect(page.locator('[data-test="column-card"]')).to_have_count(1)
    page.get_by_role("searchbox", name="Search columns by name").fill("")
    expect(page.locator('[data-test="column-card"]')).to_have_count(8)

    # The target: suggested, chosen by the person, then every column is held against it.
    expect(page.locator('[data-test="suggestion"]')).to_contain_text("Survived")
    page.locator('[data-test="suggestion"]').get_by_role("button", name="Predict Survived").first.click()
    relation = page.locator("#profile-relation")
    expect(page.get_by_label("Target column")).to_have_value("Survived")
    expect(relation).to_contain_text("Alive", timeout=60_000)
    assert_drawn(relation.locator("figure"))
    expect(relation.locator('[data-test="relations"]')).to_contain_text("Fare")
    page.emulate_media(color_scheme="dark")
    assert_drawn(relation.locator("figure"))


def test_the_profile_works_without_a_script(page: Page, passengers: Path, site: str):
    sign_up(page)
    store(page, passengers)
    expect(page.locator('[data-test="checks"]')).to_be_visible(timeout=60_000)
    cookies = page.context.cookies()
    context = page.context.browser.new_context(base_url=site, java_script_enabled=False)
    try:
        context.add_cookies(cookies)
        plain = context.new_page()
        plain.goto(page.url)
        plain.get_by_role("link", name="Open the profile on a page of its own").click()
        expect(plain.locator('[data-test="column-card"]')).to_have_count(8)
        plain.get_by_text("The strongest pairs").click()
        expect(plain.locator('[data-test="pairs"]')).to_contain_text("Pclass")
        cabin = card(plain, "Cabin")
        cabin.get_by_text("Change type").click()
        cabin.get_by_label("Read this column as").select_option(label="Text")
        cabin.get_by_role("button", name="Use").click()
        expect(plain).to_have_url(re.compile(r"/profile\?page=1#column-5$"))
        expect(card(plain, "Cabin")).to_contain_text("text")
    finally:
        context.close()
