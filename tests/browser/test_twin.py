"""The page of a twin: it answers without a network as its JSON does in Python, to nearly the last digit."""

import pytest
from playwright.sync_api import Browser, expect

from ml import twin as twins
from models_app.twins import page_of
from tests.records import make_job, make_version
from tests.twins import make_rows, make_twin

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("problem_type", "kind"),
    [("binary", "trees"), ("multiclass", "trees"), ("multiclass", "linear"), ("regression", "linear")],
)
def test_the_page_answers_offline_as_the_json_does(browser: Browser, tmp_path, problem_type, kind):
    twin = make_twin(problem_type, kind=kind)
    version = make_version(make_job())
    path = tmp_path / "twin.html"
    path.write_bytes(page_of("Leavers", version, twin))
    rows = make_rows(300)
    expected = twins.answers(twin, rows)

    context = browser.new_context(offline=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    problems, asked = [], []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    said = page.evaluate("rows => rows.map(answer)", rows)
    for one, other in zip(said, expected, strict=True):
        if problem_type == "regression":
            assert one["prediction"] == pytest.approx(other["prediction"], rel=1e-9, abs=1e-9)
        else:
            assert one["prediction"] == other["prediction"]
            assert one["probabilities"] == pytest.approx(other["probabilities"], rel=0, abs=1e-9)

    # The form: what is typed is answered at once, and what is left empty is a gap or the usual value.
    page.get_by_label("age").fill("")
    page.get_by_label("income").fill("1234.5")
    page.get_by_label("city").select_option("Oslo")
    page.get_by_label("joined").fill("2021-03-04T05:06:07")
    page.get_by_label("member").select_option("no")
    row = {"age": 44, "income": 1234.5, "city": "Oslo", "joined": "2021-03-04T05:06:07", "member": False}
    (answer,) = twins.answers(twin, [row])
    shown = page.locator('[data-test="prediction"]')
    if problem_type == "regression":
        assert float(shown.inner_text()) == pytest.approx(answer["prediction"], rel=1e-5)
    else:
        expect(shown).to_have_text(answer["prediction"])
        expect(page.locator("meter")).to_have_count(len(twin["classes"]))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
    assert (problems, asked) == ([], [path.as_uri()])
