"""Signatures of stored models: what they are bound to, whose keys count, and where the key is not."""

import os
import socket
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from models_app import repository, signing
from smartml.errors import IntegrityError, ServiceUnavailable
from storage.blobs import get_blobs
from tests.factories import stored_dataset, stored_model

SHA256 = "ab" * 32
IDENTITY = {"model_id": "65f000000000000000000000", "version": 3, "sha256": SHA256}
OLD, NEW = "the key of last year, long enough", "the key of this year, long enough"


@pytest.mark.parametrize(
    "other", [{"model_id": "65f000000000000000000001"}, {"version": 4}, {"sha256": "ac" + SHA256[2:]}]
)
def test_a_signature_is_of_one_version_and_one_file(other):
    signature = signing.sign(**IDENTITY)
    assert signing.is_signed(**IDENTITY, signature=signature)
    assert not signing.is_signed(**(IDENTITY | other), signature=signature)


def test_older_keys_count_while_they_are_named_and_never_sign(settings):
    by_secret_key = signing.sign(**IDENTITY)
    settings.MODEL_SIGNING_KEY = OLD
    by_old = signing.sign(**IDENTITY)
    settings.MODEL_SIGNING_KEY = NEW
    assert not signing.is_signed(**IDENTITY, signature=by_old)
    settings.MODEL_SIGNING_KEY_FALLBACKS = [OLD, settings.SECRET_KEY]
    assert signing.is_signed(**IDENTITY, signature=by_old)
    assert signing.is_signed(**IDENTITY, signature=by_secret_key)
    assert len({by_secret_key, by_old, signing.sign(**IDENTITY)}) == 3


def test_a_child_has_its_version_signed_and_no_other_word():
    with signing.Signer(model_id=IDENTITY["model_id"], version=3) as signer:
        ask = signing.asking(signer.fd)
        assert [ask(SHA256), ask(SHA256)] == [signing.sign(**IDENTITY)] * 2
        with socket.socket(fileno=os.dup(signer.fd)) as child:
            child.sendall(b"x" * 64)
        signer._thread.join(5)
        assert not signer._thread.is_alive()
        signer._ours.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ServiceUnavailable):
            ask(SHA256)


def test_a_child_gets_no_key(settings):
    passed = signing.without_keys({"SECRET_KEY": "s", "MODEL_SIGNING_KEY": "m", "PATH": "/bin"})
    assert (passed["PATH"], passed["MODEL_SIGNING_KEY"], passed["MODEL_SIGNING_KEY_FALLBACKS"]) == ("/bin", "", "")
    assert len(passed["SECRET_KEY"]) > 40


@pytest.mark.django_db
def test_the_operator_signs_older_versions_and_those_of_an_older_key(stack, user, settings, capsys):
    dataset = stored_dataset(user.id)
    before = stored_model(user.id, dataset)
    rotated = stored_model(user.id, dataset)
    repository.set_facts(model=before, version=before.current, zip_hmac=signing.sign(**IDENTITY))
    settings.MODEL_SIGNING_KEY, settings.MODEL_SIGNING_KEY_FALLBACKS = NEW, [settings.SECRET_KEY]
    with pytest.raises(CommandError, match="1 could not be signed"):
        call_command("sign_models")
    said = capsys.readouterr()
    assert "1 version signed" in said.out
    assert f"{before.id} v1: The signature" in said.err
    settings.MODEL_SIGNING_KEY_FALLBACKS = []
    signed = repository.get(model_id=rotated.id, user_id=user.id)
    signing.verify(model=signed, version=signed.current)
    forged = replace(signed.current, zip_sha256=SHA256)
    with pytest.raises(IntegrityError):
        signing.verify(model=signed, version=forged)


@pytest.mark.django_db
def test_only_a_file_that_is_the_recorded_one_is_signed_afterwards(stack, user, unsigned, capsys):
    dataset = stored_dataset(user.id)
    good, replaced = stored_model(user.id, dataset), stored_model(user.id, dataset)
    for model in (good, replaced):
        unsigned(model)
    blobs = get_blobs()
    blobs.put_model_file(
        user_id=user.id, model_id=replaced.id, version=1, stem="model", ext="zip", data=b"something else"
    )
    with pytest.raises(CommandError):
        call_command("sign_models")
    assert f"{replaced.id} v1: The file is not" in capsys.readouterr().err
    assert repository.get(model_id=good.id, user_id=user.id).current.zip_hmac == good.current.zip_hmac
    assert repository.get(model_id=replaced.id, user_id=user.id).current.zip_hmac is None


@pytest.fixture
def unsigned():
    """Makes a stored model one from before there were signatures."""
    from bson import ObjectId

    from storage.mongo import get_database

    def make(model):
        get_database()["models"].update_one({"_id": ObjectId(model.id)}, {"$unset": {"versions.0.zip_hmac": ""}})

    return make
