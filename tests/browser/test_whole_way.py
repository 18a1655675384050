"""The whole way, once, in a browser: sign up, upload, look, train, believe, predict, download, delete."""

import hashlib
import re
import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "a long enough passphrase 7"


def sign_up(page: Page) -> str:
    email = f"browser-{secrets.token_hex(4)}@example.org"
    page.goto("/accounts/sign-up")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page).to_have_url(re.compile(r"/$"))
    return email


@pytest.fixture
def tumours(tmp_path: Path) -> Path:
    """569 real rows from scikit-learn's package data as a CSV."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.frame.iloc[:, :8].assign(diagnosis=data.target.map({0: "malignant", 1: "benign"}))
    path = tmp_path / "tumours.csv"
    frame.to_csv(path, index=False)
    return path


def upload(page: Page, path: Path) -> None:
    page.goto("/datasets/new")
    page.locator('input[type="file"]').set_input_files(path)
    page.get_by_role("button", name="Upload").click()


def import_file(page: Page, path: Path) -> None:
    upload(page, path)
    page.get_by_role("button", name="Import").click()


def test_the_whole_way(page: Page, tumours: Path):
    sign_up(page)
    import_file(page, tumours)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    dataset_url = page.url
    expect(page.locator("main")).to_contain_text("569")
    expect(page.locator("main")).to_contain_text("mean radius")

    page.goto(dataset_url + "/train?target=diagnosis")
    expect(page.locator("#target-decision")).to_contain_text("two different values")
    page.get_by_label("Time limit").fill("15")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f]{24}$"))
    expect(page.get_by_role("link", name="See how good it is")).to_be_visible(timeout=180_000)
    page.get_by_role("link", name="See how good it is").click()

    score = float(page.locator('[data-test="holdout-score"]').inner_text())
    assert 0.8 < score <= 1.0
    expect(page.locator("main")).to_contain_text("rows the model had never seen")
    model_url = page.url.split("?")[0]

    page.get_by_role("button", name="Predict", exact=True).click()
    answer = page.locator('[data-test="prediction"]')
    expect(answer).to_contain_text(re.compile("malignant|benign"), timeout=60_000)
    expect(answer.locator("progress")).to_have_count(2)
    expect(answer.locator('[data-test="answer"]')).to_be_in_viewport()
    radius = page.get_by_role("spinbutton", name="mean radius", exact=True)
    radius.fill("")
    radius.press_sequentially("1e")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(radius).to_have_attribute("aria-invalid", "true")
    expect(radius).to_be_focused()

    predict_a_file(page, tumours)
    page.goto(model_url)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    zipped = Path(started.value.path()).read_bytes()
    page.goto(model_url)
    expect(page.locator("main")).to_contain_text(hashlib.sha256(zipped).hexdigest())

    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete the model").click()
    expect(page.locator('[data-test="receipt"]')).to_contain_text("model-v1.zip")
    expect(page.locator('[data-test="receipt"]')).to_contain_text("nothing is left there")
    page.goto(dataset_url + "/delete")
    page.get_by_role("button", name="Delete the dataset").click()
    expect(page.locator("main")).to_contain_text("tumours.csv")
    page.goto("/datasets/")
    expect(page.locator("main")).not_to_contain_text("tumours")


def predict_a_file(page: Page, path: Path) -> None:
    """From the page of a model: send a file, watch, read what was found, take the result away."""
    page.locator("#batches").get_by_role("link", name="Predict a file").click()
    expect(page.locator("#batches")).to_contain_text("No file has been predicted")
    half = path.with_name("half.csv")
    half.write_text("".join(path.read_text().splitlines(keepends=True)[:301]))
    page.locator('input[type="file"]').set_input_files(half)
    page.get_by_role("button", name="Upload and predict").click()
    expect(page).to_have_url(re.compile(r"/batches/[0-9a-f]{24}$"))
    result = page.locator('[data-test="batch-result"]')
    expect(result).to_contain_text("300 rows predicted", timeout=120_000)
    expect(page.locator("#batch")).not_to_have_attribute("hx-trigger", re.compile("."))
    expect(page.locator('[data-test="batch-drift"]')).to_contain_text("drift")
    assert float(page.locator('[data-test="batch-score"]').inner_text()) > 0.8
    expect(page.locator('[data-test="batch-rows"] tbody tr')).to_have_count(20)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download for spreadsheets").click()
    lines = Path(started.value.path()).read_text().splitlines()
    assert len(lines) == 301
    assert lines[0].endswith("prediction,probability_benign,probability_malignant,prediction_set,findings")
    page.get_by_role("button", name="Delete the result").click()
    expect(page.locator("#batches")).to_contain_text("No file has been predicted")


def test_cancel_ends_a_training_within_seconds_and_keeps_nothing(page: Page, tumours: Path):
    sign_up(page)
    import_file(page, tumours)
    expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f]{24}$"))
    page.goto(page.url + "/train?target=diagnosis")
    page.get_by_label("Time limit").fill("120")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("#job")).to_contain_text("Fitting", timeout=60_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job")).to_contain_text("Cancelled", timeout=8_000)
    page.goto("/models/")
    expect(page.locator("main")).to_contain_text("No model yet")


def test_a_file_that_is_no_table_is_refused_at_its_field(page: Page, tmp_path: Path):
    sign_up(page)
    picture = tmp_path / "holiday.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    upload(page, picture)
    field = page.locator('input[type="file"]')
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("main")).to_contain_text("PNG")
    page.goto("/datasets/")
    expect(page.locator("main")).not_to_contain_text("holiday")
