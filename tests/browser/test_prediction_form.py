"""One prediction: an example, what another value changes, what cannot be used, and the row for a program."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.test_whole_way import import_file, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """The price follows the rooms."""
    lines = (
        f"{1 + n % 9},{40 + n % 61},{'north' if n % 2 else 'south'},{'yes' if n % 3 else 'no'},"
        f"2024-0{1 + n % 9}-{10 + n % 18},{100_000 + 25_000 * (n % 9) + n}\n"
        for n in range(200)
    )
    path = tmp_path / "houses.csv"
    path.write_text("rooms,area,district,garden,listed,price\n" + "".join(lines))
    return path


def test_a_prediction_is_tried_changed_and_copied(page: Page, houses: Path):
    sign_up(page)
    import_file(page, houses)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    page.goto(page.url + "/train?target=price")
    page.locator("summary", has_text="Advanced settings").click()
    page.get_by_label("LightGBM (boosted trees)").check()
    page.get_by_label("Time limit").fill("15")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("link", name="See how good it is").click(timeout=180_000)
    expect(page).to_have_url(re.compile(r"/models/[0-9a-f]{24}"))

    # On a page of its own, where nothing else has the names of columns. A row held out, beside its truth.
    page.goto(page.url.split("?")[0] + "/versions/1/predict")
    page.get_by_role("link", name="Example row").click()
    answer = page.locator('[data-test="answer"]')
    expect(answer).to_have_text(re.compile(r"^[0-9,.]+$"), timeout=60_000)
    expect(page.locator('[data-test="example"]')).to_contain_text("held out of the training. In truth it is")
    expect(page.locator('[data-test="certainty"]')).to_contain_text("The true value of price lies between")

    # The same values once more are the first answer; from there on, a change is answered in place.
    rooms = page.get_by_role("spinbutton", name="rooms", exact=True)
    rooms.fill("1")
    rooms.evaluate("field => { field.dataset.old = 'yes'; }")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(rooms).not_to_have_attribute("data-old", "yes", timeout=20_000)
    expect(page.locator('[data-test="example"]')).to_have_count(0)
    first = answer.inner_text()
    asked: list[str] = []

    def count(request: Request) -> None:
        if request.url.endswith("/what-if"):
            asked.append(request.url)

    page.on("request", count)
    rooms.evaluate("field => { field.isTheSame = true; field.focus(); field.select(); }")
    with page.expect_response(re.compile("/what-if$")):
        rooms.press_sequentially("99", delay=20)
    change = page.locator('[data-test="change"]')
    expect(change).to_have_text(re.compile(rf"^\+[0-9,.]+ against the first answer, {first}$"))
    expect(rooms).to_be_focused()
    assert rooms.evaluate("field => field.isTheSame")
    assert len(asked) == 1
    expect(page.locator("#id_f0_notes")).to_contain_text('99 is outside what "rooms" was during training')
    expect(page.locator('[data-test="noted"]')).to_contain_text("Unlike the training data: rooms.")

    # What is no number is said at once and not sent; a correction is answered again.
    rooms.press_sequentially("e")
    expect(rooms).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_f0_notes")).to_contain_text("This cannot be read")
    page.locator("#why button").click()
    expect(rooms).to_be_focused()
    assert len(asked) == 1
    with page.expect_response(re.compile("/what-if$")):
        rooms.fill("2")
    expect(rooms).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_f0_notes")).to_be_empty()
    page.locator("#why button").click()
    expect(page.locator("#why")).to_contain_text("Moves it by", timeout=60_000)

    # The row as it stands now, for a program.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("radiogroup", name="garden").get_by_text("no", exact=True).click()
    page.get_by_label("area").fill("")
    page.locator("[data-row-copy] summary").click()
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    row = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (row["rooms"], row["area"], row["garden"]) == (2, None, False)
    page.get_by_role("button", name="Copy as curl").click()
    # By its button: an answer that comes meanwhile is announced in place of this.
    expect(page.locator('[data-copy="#row-curl"]')).to_have_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    model_id = re.search("/models/([0-9a-f]{24})", page.url)[1]
    assert f"/api/v1/models/{model_id}/predict'" in command
    assert "Authorization: Bearer TOKEN" in command
    assert json.loads(re.search(r"--data '(.*)'$", command)[1]) == {"rows": [row]}
