"""The API's own page, and the requests to copy on the pages of a dataset and of a model."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.api_snippets import Call, curl, python
from smartml.api_docs import operations
from storage.ids import new_id
from tests.factories import stored_dataset, stored_model
from tests.web.api_client import Program
from tests.web.dataset_pages import HX, TABLE


def shown(page: str) -> dict[str, str]:
    """The requests of a page, by the id of their element."""
    found = re.findall(r'<pre id="(snippet-[\w-]+)"[^>]*>(.*?)</pre>', page, re.DOTALL)
    return {name: unescape(text) for name, text in found}


# --- The page of the API -------------------------------------------------------------------------------------
def test_everybody_reads_what_programs_can_do(db, client):
    answer = client.get("/api/docs")
    page = unescape(answer.content.decode())
    assert answer.status_code == 200
    for operation in operations():
        assert f'id="{operation.id}"' in page
        assert operation.path in page
    assert "<script>" not in page
    assert not re.findall(r'(?:src|href)="https?:', page)
    assert "curl -X POST http://testserver/api/v1/trainings" in page
    assert "| group" in page  # the choices of a field
    assert re.search(r"<code>holdout_column</code>", page)


def test_the_account_and_the_menu_lead_there(stack, user, client_for):
    assert client_for(user).get("/accounts/").content.decode().count('href="/api/docs"') == 2


# --- Requests to copy ----------------------------------------------------------------------------------------
def test_a_datasets_requests_name_it_and_its_target(dataset, user, client_for):
    client, url = client_for(user), reverse("datasets:snippets", args=[dataset.id])
    assert f'hx-get="{url}"' in client.get(reverse("datasets:detail", args=[dataset.id])).content.decode()
    fragment, page = (client.get(url, headers=headers).content.decode() for headers in (HX, {}))
    assert fragment.lstrip().startswith("<section")
    assert page.lstrip().startswith("<!DOCTYPE")
    found = shown(fragment)
    assert found == shown(page)
    assert len(found) == 6
    assert f"http://testserver/api/v1/datasets/{dataset.id}" in found["snippet-curl-1"]
    assert '"target": "species"' in found["snippet-curl-2"]
    assert "animals.csv" in found["snippet-python-3"]
    assert not re.search(r"sml_[\w-]{20}", page)


def test_a_models_requests_name_its_columns(dataset, user, client_for):
    model = stored_model(user.id, dataset)
    client, url = client_for(user), reverse("models:snippets", args=[model.id, 1])
    assert f'hx-get="{url}"' in client.get(reverse("models:detail", args=[model.id])).content.decode()
    found = shown(client.get(url).content.decode())
    assert '{"rows": [{"legs": 3}]}' in found["snippet-curl-1"]
    assert '{"rows": [{"legs": 3}]}' in found["snippet-python-1"]
    assert f"/models/{model.id}/download?version=1" in found["snippet-curl-2"]
    assert f"/models/{model.id}/batches?file_name=new.csv" in found["snippet-curl-3"]


def test_somebody_elses_and_unknown_ones_have_none(dataset, user, other_user, client_for):
    model, client = stored_model(user.id, dataset), client_for(other_user)
    for url in (
        reverse("datasets:snippets", args=[dataset.id]),
        reverse("models:snippets", args=[model.id, 1]),
        reverse("models:snippets", args=[new_id(), 1]),
    ):
        assert client.get(url).status_code == 404
    assert client_for(user).get(reverse("models:snippets", args=[model.id, 2])).status_code == 404


AWKWARD = {'it\'s "so"': "$HOME `x` \\ é\n", "b": [None, True, 1.5], "long": "x" * 90}


def test_awkward_names_and_values_arrive_as_they_are(tmp_path, monkeypatch):
    call = Call(title="", method="POST", url="http://127.0.0.1:9/a?b=c&d=e", body=AWKWARD)
    echo = tmp_path / "curl"
    echo.write_text(f"#!{sys.executable}\nimport sys, json\nprint(json.dumps(sys.argv[1:]))\n")
    echo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SMARTML_TOKEN", "t")
    out = subprocess.run(["sh", "-c", curl(call)], capture_output=True, check=True).stdout
    sent = json.loads(out)
    assert json.loads(sent[sent.index("--data") + 1]) == AWKWARD
    assert {call.url, "Authorization: Bearer t"} <= set(sent)
    made: dict[str, object] = {}
    exec(python(call).partition("\nwith ")[0], made)  # everything but the sending
    assert json.loads(made["request"].data) == AWKWARD


@pytest.mark.django_db(transaction=True)
def test_the_requests_do_what_they_say(stack, user, client_for, live_server, tmp_path):
    cache.clear()
    dataset = stored_dataset(user.id)
    model = stored_model(user.id, dataset)
    client, program = client_for(user), Program(user)
    host = live_server.url.removeprefix("http://")
    texts = shown(
        client.get(reverse("datasets:snippets", args=[dataset.id]), headers={"Host": host}).content.decode()
    )
    more = shown(
        client.get(reverse("models:snippets", args=[model.id, 1]), headers={"Host": host}).content.decode()
    )
    (tmp_path / "animals.csv").write_bytes(TABLE)
    environment = os.environ | {"SMARTML_TOKEN": program.secret}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    ways = [("python", lambda text: run(sys.executable, "-c", text))]
    if shutil.which("curl"):
        ways.append(("curl", lambda text: run("sh", "-c", text)))
    for name, do in ways:
        assert json.loads(do(texts[f"snippet-{name}-1"]))["schema"][0]["name"] == "legs"
        assert json.loads(do(texts[f"snippet-{name}-2"]))["status"] == "queued"
        assert json.loads(do(texts[f"snippet-{name}-3"]))["row_count"] == 3
        do(more[f"snippet-{name}-2"])
        assert (tmp_path / "model-v1.zip").read_bytes() == b"PK not a predictor"
