"""The API against its own description: Schemathesis sends what the description allows, and what it forbids."""

import re

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode

from accounts.api_schemas import OID
from smartml.api import api
from smartml.wsgi import application
from tests.factories import queued_job, stored_dataset
from tests.real_model import store_archive
from tests.records import stored_batch
from tests.web.api_client import Program
from tests.web.dataset_pages import TABLE

pytestmark = pytest.mark.slow

schema = schemathesis.openapi.from_dict(api.get_openapi_schema())
schema.app = application
# What no description can say: that a file is no table, that a dataset has no such column, that a thing is gone.
schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "404", "409", "413", "422"]


@pytest.fixture(autouse=True)
def one_connection():
    """As Django's own client has it: the test's transaction lives in the connection that a request would close."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def own(stack, user, archive, settings) -> dict[str, str]:
    """The token of a person, and the ids of one thing of each kind that the person has."""
    settings.API_REQUESTS_PER_MINUTE = 100_000
    cache.clear()
    dataset = stored_dataset(user.id)
    model = store_archive(user.id, archive)
    return {
        "token": Program(user).secret,
        "dataset_id": dataset.id,
        "training_id": queued_job(user.id, dataset).id,
        "model_id": model.id,
        "batch_id": stored_batch(model).id,
    }


@schema.parametrize()
@settings(derandomize=True, max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case, own):
    case.call_and_validate(**sensible(case, own), headers={"Authorization": f"Bearer {own['token']}"})


def sensible(case, own) -> dict[str, bytes]:
    """What is well formed but means nothing stands for something that is there; what is malformed stays so.

    Returns the body to send in the place of the case's own, if there is one.
    """
    for place in (case.path_parameters, case.body):
        for name in ("dataset_id", "training_id", "model_id", "batch_id"):
            if isinstance(place, dict) and re.fullmatch(OID, str(place.get(name, ""))):
                place[name] = own[name]
    if isinstance(case.query, dict) and re.fullmatch(OID, str(case.query.get("with_model", ""))):
        case.query["with_model"] = own["model_id"]
    if isinstance(case.body, dict) and case.body.get("target") and isinstance(case.body["target"], str):
        case.body["target"] = "species"
    if case.operation.label == "POST /api/v1/datasets" and case.meta.generation.mode is GenerationMode.POSITIVE:
        case.query["file_name"] = "cities.csv"
        return {"data": TABLE}
    return {}
