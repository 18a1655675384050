"""Predictions through the child process that opens the models."""

import contextlib
import os
import subprocess
import sys
import threading

import psutil
import pytest

from ml import bundle
from models_app import opening, predictor, services
from models_app.predictor import Predictor
from smartml.errors import BlobMissing, IntegrityError, ServiceUnavailable, VersionMismatch
from storage.blobs import get_blobs
from storage.workspace import sweep_workspaces
from tests.opening import with_other_libraries, with_zip
from tests.training import ROOT, workspaces

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

DOG = {"legs": 4, "wings": "no", "weight": 21.0}
DUCK = {"legs": 2, "wings": "yes", "weight": 1.5}


@pytest.fixture
def serving():
    made = Predictor()
    yield made
    made.stop()
    assert workspaces() == []


@pytest.fixture
def model(stack, user, archive):
    return with_zip(user, archive)


def pid_of(serving: Predictor) -> int:
    (pid,) = serving.child_pids
    return pid


def loaded(serving: Predictor) -> list[str]:
    """What the children themselves say they hold: ids of models."""
    keys = [
        key
        for seat in serving._seats
        if seat.child is not None
        for key in seat.ask({"op": "status"}, seconds=30)["keys"]
    ]
    return [key.partition(":")[0] for key in keys]


def ask(serving: Predictor, model, *rows):
    return serving.predict(model=model, version=model.current, rows=rows)


def test_an_answer_with_probabilities_and_nothing_left_on_disk(serving, model):
    dog, duck = ask(serving, model, DOG, DUCK)
    assert (dog.prediction, duck.prediction) == ("dog", "duck")
    assert set(dog.probabilities) == {"dog", "duck"}
    assert sum(dog.probabilities.values()) == pytest.approx(1)
    # The child's own empty workspace is all there is.
    (own,) = workspaces()
    assert own.startswith(f"model_{os.getpid()}_")


def test_the_second_prediction_needs_neither_the_blob_nor_a_new_process(serving, model):
    first = ask(serving, model, DOG)
    pid = pid_of(serving)
    get_blobs().delete_model(user_id=model.user_id, model_id=model.id)
    assert ask(serving, model, DOG) == first
    assert pid_of(serving) == pid


def test_a_model_evicted_for_another_is_loaded_again(serving, user, model, archive, settings):
    settings.PREDICTOR_CACHE_BYTES = 1
    other = with_zip(user, archive)
    for each in (model, other, model):
        assert ask(serving, each, DUCK)[0].prediction == "duck"
        assert loaded(serving) == [each.id]


def test_a_killed_child_is_started_again(serving, model):
    ask(serving, model, DOG)
    first = psutil.Process(pid_of(serving))
    first.kill()
    first.wait()
    assert ask(serving, model, DOG)[0].prediction == "dog"
    assert pid_of(serving) != first.pid


def test_a_child_that_does_not_answer_is_given_up_in_time(serving, model, monkeypatch):
    ask(serving, model, DOG)
    monkeypatch.setattr(predictor, "PREDICT_SECONDS", 0.5)
    hung = psutil.Process(pid_of(serving))
    hung.suspend()
    with pytest.raises(ServiceUnavailable, match="in time"):
        ask(serving, model, DOG)
    assert not psutil.pid_exists(hung.pid)
    monkeypatch.setattr(predictor, "PREDICT_SECONDS", 30.0)
    assert ask(serving, model, DOG)[0].prediction == "dog"


def test_many_threads_at_once(serving, model):
    answers: list[str] = []

    def work(row, expected):
        answers.extend(f"{answer.prediction}={expected}" for answer in ask(serving, model, row))

    threads = [threading.Thread(target=work, args=each) for each in [(DOG, "dog"), (DUCK, "duck")] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["dog=dog"] * 8 + ["duck=duck"] * 8


def test_what_is_in_memory_is_answered_while_another_model_is_loaded(
    serving, user, model, archive, monkeypatch, settings
):
    """Also while it is fetched; one load at a time of one model, and no child for nothing."""
    ask(serving, model, DOG)
    other, fetched, go_on = with_zip(user, archive), [], threading.Event()
    fetch = opening.fetch

    def slowly(**which):
        fetched.append(which["model"].id)
        assert go_on.wait(60)
        return fetch(**which)

    monkeypatch.setattr(opening, "fetch", slowly)
    answers = []
    waiting = [
        threading.Thread(target=lambda: answers.append(ask(serving, other, DUCK)[0].prediction)) for _ in range(3)
    ]
    for thread in waiting:
        thread.start()
    assert ask(serving, model, DOG)[0].prediction == "dog"
    assert (answers, len(serving.child_pids)) == ([], 1)
    # The child that holds the first model is busy: the other one is loaded beside it.
    with serving._seats[0].lock:
        go_on.set()
        for thread in waiting:
            thread.join(120)
    assert (answers, fetched) == (["duck"] * 3, [other.id])
    assert len(serving.child_pids) == 2
    assert sorted(loaded(serving)) == sorted([model.id, other.id])


def test_a_deleted_model_leaves_memory_here_at_once_and_elsewhere_with_the_next_load(
    serving, user, model, archive, monkeypatch
):
    monkeypatch.setattr(predictor, "_predictor", serving)
    other, third = with_zip(user, archive), with_zip(user, archive)
    for each in (model, other):
        ask(serving, each, DOG)
    services.delete_model(user_id=user.id, model_id=model.id)
    assert loaded(serving) == [other.id]
    monkeypatch.setattr(predictor, "_predictor", Predictor())  # of another process
    services.delete_model(user_id=user.id, model_id=other.id)
    assert loaded(serving) == [other.id]
    ask(serving, third, DOG)
    assert loaded(serving) == [third.id]


def test_a_file_that_is_not_the_one_stored_is_never_opened(serving, user, stack, archive):
    model = with_zip(user, archive, sha256="0" * 64)
    with pytest.raises(IntegrityError):
        ask(serving, model, DOG)


def test_a_file_that_was_replaced_together_with_its_checksum_is_never_opened(serving, user, stack, archive):
    """Whoever can write to MongoDB and to the blob store has no key."""
    signed = with_zip(user, archive)
    for changes in (
        {"sha256": bundle.sha256_of(archive), "zip_hmac": "0" * 64},
        # The true signature, of another model's same file.
        {"zip_hmac": signed.current.zip_hmac},
    ):
        with pytest.raises(IntegrityError, match="signature") as refused:
            ask(serving, with_zip(user, archive, **changes), DOG)
        assert "Train it again" in refused.value.hint


def test_a_version_from_before_signatures_is_opened_and_said_unless_that_is_not_allowed(
    serving, user, stack, archive, settings, caplog
):
    model = with_zip(user, archive, zip_hmac=None)
    settings.MODEL_SIGNATURES_REQUIRED = True
    with pytest.raises(IntegrityError, match="before models were signed"):
        ask(serving, model, DOG)
    settings.MODEL_SIGNATURES_REQUIRED = False
    assert ask(serving, model, DOG)[0].prediction == "dog"
    assert f"{model.id} v1 has no signature" in caplog.text


def test_a_file_that_is_gone_is_said(serving, model):
    get_blobs().delete_model(user_id=model.user_id, model_id=model.id)
    with pytest.raises(BlobMissing):
        ask(serving, model, DOG)


def test_a_model_of_other_library_versions_is_refused(serving, user, stack, archive, tmp_path):
    other = with_other_libraries(archive, tmp_path)
    with pytest.raises(VersionMismatch, match=r"0\.8\.2"):
        ask(serving, with_zip(user, other), DOG)


def test_the_child_knows_no_secret(serving, model, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "not for the child")
    ask(serving, model, DOG)
    environment = psutil.Process(pid_of(serving)).environ()
    named = {name for name in environment if name.startswith(("SECRET", "AZURE", "MONGODB", "DATABASE", "DJANGO"))}
    assert named == set()


def test_the_child_ends_with_its_process(stack):
    script = (
        "import django; django.setup()\n"
        "import os, signal\n"
        "from models_app import predictor_seat\n"
        "print(predictor_seat.Child().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(10)
    sweep_workspaces()
    assert workspaces() == []
