"""Every address of the app: closed to visitors, exact about ids and methods.

The addresses are read from the URL configuration, so a new one is tested without a line here; a public one
must be named in ``PUBLIC``.
"""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from storage.ids import new_id

Converters = dict[str, object]
Found = Iterator[tuple[str, Converters]]

PUBLIC = {
    "dashboard",  # visitors see the landing page
    "healthz",
    "readyz",
    "accounts:sign_up",
    "accounts:sign_in",
    "accounts:sign_out",
    "accounts:password_reset",
    "accounts:password_reset_done",
    "accounts:password_reset_confirm",
    "accounts:password_reset_complete",
    "api_docs",
    "api-v1:openapi-json",
    "api-v1:api-root",  # nothing is there
}
# What stands for each kind of placeholder.
SAMPLES = {"ObjectIdConverter": new_id(), "IntConverter": 1, "StringConverter": "x", "SlugConverter": "x"}
MALFORMED_IDS = ["1", "zzzzzzzzzzzzzzzzzzzzzzzz", "0" * 23, "0" * 25, "ABCDEFABCDEFABCDEFABCDEF", "..%2f..%2fetc"]


def patterns(resolver: URLResolver, namespace: str = "", above: Converters | None = None) -> Found:
    """Every address by name, with its placeholders, also those in the prefix it is included under."""
    for entry in resolver.url_patterns:
        converters = {**(above or {}), **entry.pattern.converters}
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from patterns(entry, inner, converters)
        else:
            yield f"{namespace}{entry.name}", converters


ALL = dict(patterns(get_resolver()))
# What programs use, with a token: `test_api.py` looks at the rest of it.
API = sorted(name for name in set(ALL) - PUBLIC if name.startswith("api-"))
CLOSED = sorted(set(ALL) - PUBLIC - set(API))


def address(name: str, **values: object) -> str:
    arguments = {key: SAMPLES[type(converter).__name__] for key, converter in ALL[name].items()}
    return reverse(name, kwargs=arguments | values)


def id_arguments(name: str) -> list[str]:
    return [k for k, c in ALL[name].items() if type(c).__name__ == "ObjectIdConverter"]


def test_every_address_has_a_name():
    assert not [name for name in ALL if name.endswith("None")]
    assert set(ALL) >= PUBLIC


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_visitor_is_sent_to_sign_in(db, client, name, method):
    url = address(name)
    response = getattr(client, method)(url)
    assert response.status_code == 302, name
    assert response["Location"].startswith("/accounts/sign-in?next="), name


@pytest.mark.parametrize("name", CLOSED)
def test_a_visitor_gets_json_when_asking_for_it(db, client, name):
    response = client.get(address(name), headers={"Accept": "application/json"})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "sign_in_required"


@pytest.mark.parametrize("name", [name for name in CLOSED if id_arguments(name)])
def test_a_malformed_id_is_not_found(user, client_for, name):
    client = client_for(user)
    well_formed = SAMPLES["ObjectIdConverter"]
    for bad in MALFORMED_IDS:
        url = address(name).replace(well_formed, bad, 1)
        assert client.get(url).status_code == 404, url
        assert client.post(url).status_code == 404, url


@pytest.mark.parametrize("name", [name for name in CLOSED if id_arguments(name)])
def test_an_id_that_belongs_to_nobody_is_not_found(stack, user, client_for, name):
    """404, or 405 where the address takes another method; nothing else."""
    client = client_for(user)
    answers = [client.get(address(name)), client.post(address(name))]
    assert {answer.status_code for answer in answers} <= {404, 405}, name


@pytest.mark.parametrize("name", API)
def test_a_program_without_a_token_is_told_so_whoever_its_browser_is(user, client_for, name):
    for client in (Client(), client_for(user)):
        answers = [getattr(client, method)(address(name)) for method in ("get", "post", "delete")]
        assert {answer.status_code for answer in answers} <= {401, 405}, name
        assert 401 in [answer.status_code for answer in answers], name
        assert all(set(answer.json()["error"]) == {"code", "message", "hint", "fields"} for answer in answers)


@pytest.mark.parametrize("name", [name for name in API if id_arguments(name)])
def test_a_malformed_id_is_not_found_by_a_program_either(db, client, name):
    for bad in MALFORMED_IDS:
        answer = client.get(address(name).replace(SAMPLES["ObjectIdConverter"], bad, 1))
        assert answer.status_code == 404, name
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("name", API)
def test_a_program_is_told_which_methods_there_are(db, client, name):
    for method in ("put", "patch"):
        answer = getattr(client, method)(address(name))
        assert answer.status_code == 405, f"{method} {name}"
        assert answer["Allow"] in answer.json()["error"]["hint"]


@pytest.mark.parametrize("name", sorted({*CLOSED, *PUBLIC} - {"api-v1:api-root", "api-v1:openapi-json"}))
def test_a_method_that_makes_no_sense_is_refused(db, staff, client_for, name):
    client = client_for(staff)
    for method in ("put", "delete", "patch"):
        response = getattr(client, method)(address(name))
        assert response.status_code == 405, f"{method} {name}"
        assert response["Allow"], name
