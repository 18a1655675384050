"""The form of one prediction: its widgets, its answer, an example in it, and what another value changes."""

import re
from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from ml.prediction import Feature, Finding
from models_app import predictor, services
from models_app.prediction_form import PredictionForm
from models_app.prediction_presenter import present_prediction
from models_app.predictor import Answer
from models_app.services import Prediction
from models_app.what_if import FirstAnswer
from smartml.errors import BlobMissing
from storage.blobs import get_blobs
from tests.factories import LEGS, stored_dataset, stored_model

HX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db

WEIGHT = Feature(
    name="weight", type="numeric", kind="number", dtype="float64", minimum=0.5, maximum=80.0, default=8.5,
    missing_share=0.1,
)  # fmt: skip
COLOUR = Feature(
    name="colour", type="category", kind="category", dtype="object", categories=("red", "blue"), default="red"
)
BREED = replace(COLOUR, name="breed", categories_complete=False)
BORN = Feature(
    name="born", type="date", kind="date", dtype="datetime64[us]", minimum="2020-01-01", maximum="2024-01-01",
    default="2022-01-01",
)  # fmt: skip
SEEN = replace(BORN, name="seen", maximum="2024-01-01T10:30:00")
NOTE = Feature(name="note", type="text", kind="text", dtype="object")
FEATURES = (LEGS, WEIGHT, COLOUR, BREED, BORN, SEEN, NOTE)


@pytest.fixture
def owner(client_for, user):
    return client_for(user)


@pytest.fixture
def model(stack, user):
    """Answers "duck" the surer the more legs a row has; its interval numbers are in its figures."""
    made = stored_model(user.id, stored_dataset(user.id), features=FEATURES)
    get_blobs().put_model_file(
        user_id=user.id,
        model_id=made.id,
        version=1,
        stem="figures",
        ext="json",
        data=b'{"coverage": {"level": 0.9, "reach": 0.5, "calibration_rows": 30, "covered": 0.9, "size": 1.0}}',
    )
    return made


@pytest.fixture(autouse=True)
def answers(monkeypatch):
    """Every row that the predictor was asked about."""
    asked = []

    def predict(*, model, version, rows):
        asked.extend(rows)
        shares = [row["legs"] / 10 for row in rows]
        return tuple(
            Answer(prediction="duck" if share > 0.5 else "dog", probabilities={"duck": share, "dog": 1 - share})
            for share in shares
        )

    monkeypatch.setattr(predictor, "predict", predict)
    return asked


def url(model, name="predict") -> str:
    return reverse(f"models:{name}", args=[model.id, 1])


def text(response) -> str:
    return " ".join(strip_tags(response.content.decode()).split())


def first_of(response) -> str:
    return re.search(r'name="first"\s+value="([^"]+)"', response.content.decode())[1]


def test_each_type_has_its_widget_filled_with_what_is_usual():
    shown = {row.field.label: str(row.field) for row in PredictionForm(features=FEATURES).rows()}
    for name, parts in {
        "legs": ('type="number"', 'step="1"', 'inputmode="numeric"', 'value="3"'),
        "weight": ('type="number"', 'step="0.1"', 'value="8.5"', 'placeholder="missing"'),
        "colour": ("<select", '<option value="0" selected>red'),
        "breed": ('type="text"', 'list="id_f3_list"', 'value="red"'),
        "born": ('type="date"', 'value="2022-01-01"'),
        "seen": ('type="datetime-local"', 'step="any"', 'value="2022-01-01T00:00"'),
        "note": ("<textarea",),
    }.items():
        assert all(part in shown[name] for part in parts), shown[name]
    flag = replace(COLOUR, name="tame", type="boolean", kind="boolean", dtype="bool", categories=(), default=True)
    field = str(PredictionForm(features=(flag,))["f0"])
    assert re.search(r'type="radio" name="f0" value="0"[^>]* checked>\s*yes', field)
    assert PredictionForm({"f0": "1"}, features=(flag,)).is_valid()


def test_a_value_a_browser_could_not_show_stays_in_sight():
    form = PredictionForm({"f0": "three", "f4": "01.02.2020", "f5": "2020-01-01"}, features=FEATURES)
    for key, value in (("f0", "three"), ("f4", "01.02.2020"), ("f5", "2020-01-01")):
        assert 'type="text"' in str(form[key])
        assert f'value="{value}"' in str(form[key])


def test_the_answer_comes_with_its_set_and_findings_at_their_fields(owner, model, answers):
    values = {"f0": "9", "f1": "", "f2": "1", "f3": "red", "f4": "2021-02-03", "f5": "", "f6": "hello"}
    fragment = owner.post(url(model), values, headers=HX)
    page = owner.post(url(model), values)
    assert (fragment.status_code, page.status_code) == (200, 200)
    assert "<html" not in fragment.content.decode()
    assert "<html" in page.content.decode()
    for response in (fragment, page):
        assert "duck" in text(response)
        assert "The true value of species is “duck”, by a rule that is right for 90 % of rows" in text(response)
        assert "Unlike the training data: legs, seen." in text(response)
        notes = re.search(r'<div id="id_f0_notes".*?</div>\s*</div>', response.content.decode(), re.DOTALL)[0]
        assert "9 is outside what &quot;legs&quot; was during training, 2.0 to 4.0." in notes
    assert answers[0]["colour"] == "blue"
    assert answers[0]["weight"] is None


@pytest.mark.parametrize("name", ["predict", "what_if"])
def test_a_value_of_the_wrong_type_is_said_at_its_field(owner, model, answers, name):
    for headers in ({}, HX):
        response = owner.post(url(model, name), {"f0": "three", "f4": "soon"}, headers=headers)
        assert response.status_code == 422
        body = response.content.decode()
        assert 'data-wrong="id_f0"' in body
        assert 'data-wrong="id_f4"' in body
        assert "&quot;three&quot; is not a number; write it like 1234.5." in body
        assert 'data-wrong="id_f1"' not in body
    assert answers == []


def test_another_value_is_answered_beside_the_first(owner, model):
    first = owner.post(url(model), {"f0": "2"}, headers=HX)
    changed = owner.post(url(model, "what_if"), {"f0": "3", "first": first_of(first)}, headers=HX)
    assert changed.status_code == 200
    body = changed.content.decode()
    assert "<form" not in body
    assert 'data-announce="species: dog, 70.0 %"' in body
    assert "−10.0 points against the first answer, dog (80.0 %)" in text(changed)
    assert "+10.0 points" in text(changed)
    assert body.count('hx-swap-oob="true"') == len(FEATURES)
    # It is compared with the first, however often it changes, and also after a slip.
    slip = owner.post(url(model, "what_if"), {"f0": "x", "first": first_of(changed)}, headers=HX)
    assert slip.status_code == 422
    assert "These values cannot be used" in text(slip)
    other = owner.post(url(model, "what_if"), {"f0": "9", "first": first_of(slip)}, headers=HX)
    assert "the first answer was dog (80.0 %)" in text(other)
    assert "<html" in owner.post(url(model, "what_if"), {"f0": "9"}).content.decode()


def test_a_first_answer_that_is_none_of_this_version_is_not_believed(owner, model, user):
    other = stored_model(user.id, stored_dataset(user.id))
    foreign = FirstAnswer("duck", {"duck": 1.0}).sealed(model=other, version=1)
    for sealed in ("", "nonsense", foreign):
        response = owner.post(url(model, "what_if"), {"f0": "9", "first": sealed}, headers=HX)
        assert response.status_code == 200
        assert 'data-test="change"' not in response.content.decode()


def test_a_row_held_out_is_answered_in_one_click(owner, model, monkeypatch, answers):
    values = {"legs": "4", "weight": None, "colour": "blue", "breed": "pug", "born": "2021-01-01", "note": "a\nb"}
    unusual = {"place": 3, "values": {**values, "colour": "green", "seen": None}, "truth": "duck"}
    usual = {"place": 56, "values": {**values, "seen": "2021-01-01T10:00:00"}, "truth": "dog"}
    monkeypatch.setattr(predictor, "examples", lambda **asked: [unusual, usual])
    for headers in ({}, HX):
        response = owner.get(url(model), {"example": "1"}, headers=headers)
        assert "Row 57 of the table, held out of the training. In truth it is dog." in text(response)
        assert '<option value="1" selected>blue' in response.content.decode()
    assert answers[0] == {
        "legs": 4, "weight": None, "colour": "blue", "breed": "pug", "born": "2021-01-01T00:00:00",
        "seen": "2021-01-01T10:00:00", "note": "a\nb",
    }  # fmt: skip
    # A value that the training had not met is shown as it is, and stays when the form is sent.
    monkeypatch.setattr(predictor, "examples", lambda **asked: [unusual])
    response = owner.get(url(model), {"example": "1"})
    assert '<option value="u:green" selected>green' in response.content.decode()
    assert "was never seen in" in text(response)
    owner.post(url(model), {"f0": "4", "f2": "u:green"})
    assert answers[-1]["colour"] == "green"


def test_a_version_that_kept_no_rows_shows_usual_values_and_says_so(owner, model, monkeypatch):
    def missing(**asked):
        raise BlobMissing("It is not there.")

    monkeypatch.setattr(predictor, "examples", missing)
    response = owner.get(url(model), {"example": "1"})
    assert response.status_code == 200
    assert "there is none to show. These are the usual values." in text(response)


def test_how_far_off_an_answer_may_be_is_said_of_every_version(user, stack):
    old = stored_model(user.id, stored_dataset(user.id), features=FEATURES)
    said = services.predict_rows(model=old, version=1, rows=[{"legs": 3}])
    assert (said.answers[0].likely, said.answers[0].interval) == (None, None)
    view = present_prediction(said.answers[0], old.current)
    assert "How far off this may be is not known" in view.certainty


@pytest.mark.parametrize(
    ("first", "now", "change"),
    [(10.0, 12.5, "+2.5 against the first answer, 10"), (10.0, 10.0, "no change against the first answer, 10")],
)
def test_a_number_is_compared_as_a_number(first, now, change):
    assert FirstAnswer(first, {}).against(Prediction(prediction=now, probabilities=None)) == change


def test_findings_about_no_field_are_listed_with_the_answer():
    form = PredictionForm(features=(LEGS,))
    findings = [Finding(field=name, kind="unknown", message=name) for name in ("legs", "wings")]
    assert [finding.field for finding in form.add_findings(findings)] == ["wings"]


@pytest.mark.parametrize("name", ["predict", "what_if"])
def test_nobody_else_asks_it(client, client_for, other_user, model, answers, name):
    for headers in ({}, HX):
        assert client_for(other_user).post(url(model, name), {"f0": "3"}, headers=headers).status_code == 404
    assert client.post(url(model, name), {"f0": "3"}).status_code == 302
    assert client_for(other_user).get(url(model), {"example": "1"}).status_code == 404
    assert answers == []


def test_the_row_can_be_copied_for_the_programs_address(owner, user, stack):
    wide = tuple(replace(LEGS, name=f"legs {number}", default=number) for number in range(61))
    model = stored_model(user.id, stored_dataset(user.id), features=wide)
    body = owner.get(url(model)).content.decode()
    assert f'data-address="http://testserver/api/v1/models/{model.id}/predict"' in body
    assert 'data-column="legs 0"' in body
    assert '<script id="predict-folded" type="application/json">{"legs 60": "60"}</script>' in body
