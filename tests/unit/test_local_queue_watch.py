"""When a queue cluster counts as hung. The fault tests do the same with real clusters."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.tasks import async_task

from smartml.local import queue_watch
from smartml.local.queue_watch import QueueWatch

pytestmark = pytest.mark.django_db


class Cluster:
    """A made-up cluster: its processes, its messages, and the clock."""

    def __init__(self, name):
        self.name = name
        self.now = 1000.0
        self.processes = [(1, 1), (10, 2), (11, 2)]
        self.watch = QueueWatch(name)
        self.watch.restart(99)

    def wait(self, seconds):
        """Time passes with looks every few seconds; whether one of the looks found it hung."""
        found, until = False, self.now + seconds
        while self.now < until:
            self.now = min(self.now + 5.0, until)
            found = self.watch.hangs() or found
        return found

    def works_outside(self, outside):
        self.processes = [entry for entry in self.processes if entry[1] != 3] + ([(50, 3)] if outside else [])

    def recycle(self):
        """The newest worker ends and another takes its place."""
        self.processes = [*self.processes[:-1], (self.processes[-1][0] + 1, 2)]

    def ping(self):
        return next(message for message in OrmQ.objects.filter(key=self.name) if message.name() == "sign of life")

    def send(self, **options):
        """Somebody's task."""
        identity = async_task("somebodys.work", q_options={"cluster": self.name, **options})
        return next(message for message in OrmQ.objects.filter(key=self.name) if message.task_id() == identity)

    def take(self, message):
        message.lock = timezone.now() + timedelta(hours=1)
        message.save()

    def answer(self):
        ping, now = self.ping(), timezone.now()
        Success.objects.create(
            id=ping.task_id(), name="sign of life", func="f", started=now, stopped=now, success=True
        )
        ping.delete()


@pytest.fixture
def cluster(monkeypatch):
    def make(name):
        made = Cluster(name)
        # It would close the transaction that a test runs in.
        monkeypatch.setattr(queue_watch, "close_old_connections", lambda: None)
        monkeypatch.setattr(queue_watch, "_descendants", lambda _pid: made.processes)
        monkeypatch.setattr(queue_watch, "time", SimpleNamespace(monotonic=lambda: made.now))
        made.watch.restart(99)
        return made

    return make


@pytest.mark.parametrize("name", ["light", "training"])
def test_a_cluster_that_answers_is_left_alone(cluster, name):
    made = cluster(name)
    for _ in range(5):
        made.wait(32)
        made.answer()
        assert not made.wait(2)
        made.recycle()


@pytest.mark.parametrize("name", ["light", "training"])
def test_an_idle_cluster_that_does_not_answer_hangs(cluster, name):
    made = cluster(name)
    made.wait(32)
    made.recycle()  # as seen from outside: a killed worker is replaced like an ended one
    assert made.wait(25)


def test_a_light_cluster_that_lost_a_worker_and_has_another_to_spare_hangs(cluster, settings):
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": 2}
    made = cluster("light")
    made.take(made.send())
    made.wait(32)
    made.recycle()
    assert made.wait(25)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_follows_a_long_training_is_left_alone(cluster, settings, workers):
    alternatives = settings.Q_CLUSTER["ALT_CLUSTERS"]
    settings.Q_CLUSTER = settings.Q_CLUSTER | {
        "ALT_CLUSTERS": {"training": alternatives["training"] | {"workers": workers}}
    }
    made = cluster("training")
    made.recycle()  # the worker that answered the question before
    job = made.send()
    made.take(job)
    made.works_outside(True)
    assert not made.wait(700)
    made.works_outside(False)
    assert not made.wait(100), "the end of the training is written down"
    job.delete()
    made.recycle()
    assert not made.wait(5), "the next worker is on its way"
    following = made.send()
    made.take(following)
    assert not made.wait(100), "the next job has been claimed and its process is on its way"
    made.works_outside(True)
    assert not made.wait(700)
    following.delete()
    made.works_outside(False)
    made.recycle()
    assert not made.wait(5)
    made.answer()
    assert not made.wait(2)


def test_a_training_cluster_that_delivers_nothing_after_a_training_hangs(cluster):
    made = cluster("training")
    job = made.send()
    made.take(job)
    made.works_outside(True)
    assert not made.wait(700)
    job.delete()
    made.works_outside(False)
    assert made.wait(30)


def test_a_job_that_never_starts_is_noticed_in_the_end(cluster):
    made = cluster("training")
    made.take(made.send())
    assert made.wait(400)


def test_a_light_worker_recycled_while_all_are_busy_is_left_alone(cluster, settings):
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": 2}
    made = cluster("light")
    for message in (made.send(), made.send()):
        made.take(message)
    made.wait(32)
    made.recycle()
    assert not made.wait(250)


def test_tasks_that_may_take_long_are_given_their_time(cluster, settings):
    cluster = cluster("light")
    for _ in range(settings.Q_CLUSTER["workers"]):
        cluster.take(cluster.send(timeout=1500))
    assert not cluster.wait(1500)
    assert cluster.wait(300)


def test_a_cluster_that_begins_with_a_long_training_is_ready(cluster):
    cluster = cluster("training")
    waiting = cluster.send()
    cluster.watch.restart(0)
    assert not cluster.watch.answered()  # sends the question, which comes behind the training
    assert not cluster.watch.answered()
    cluster.take(waiting)
    assert cluster.watch.answered()


def test_a_training_that_an_earlier_cluster_had_taken_makes_nobody_ready(cluster):
    cluster = cluster("training")
    cluster.take(cluster.send())
    cluster.watch.restart(0)
    assert not cluster.watch.answered()
    assert not cluster.watch.answered()
    cluster.answer()
    assert cluster.watch.answered()


def test_each_finished_task_is_a_sign_of_life(cluster, settings):
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"workers": 2}
    made = cluster("light")
    messages = [made.send() for _ in range(5)]
    for message in messages:
        made.take(message)
    made.wait(32)
    for message in messages[:3]:
        made.recycle()
        assert not made.wait(150)
        message.delete()
        assert not made.wait(1)


def test_what_an_earlier_cluster_had_taken_is_not_taken_for_work(cluster):
    made = cluster("training")
    made.take(made.send())
    made.watch.restart(0)
    made.watch.restart(99)
    made.wait(32)
    assert made.wait(25)


def test_a_start_forgets_the_question_of_the_cluster_before(cluster):
    made = cluster("light")
    assert not made.watch.answered()
    made.take(made.ping())
    made.watch.restart(0)
    assert not OrmQ.objects.exists()
    assert not made.watch.answered()
    made.answer()
    assert made.watch.answered()


@pytest.mark.parametrize("broken", ["async_task", "Success", "OrmQ"])
def test_while_the_database_is_locked_nothing_is_known(cluster, monkeypatch, caplog, broken):
    made = cluster("light")
    if broken != "async_task":
        made.wait(32)

    class Locked:
        def __call__(self, *args, **options):
            raise OperationalError("database is locked")

        def __getattr__(self, name):
            raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(queue_watch, broken, Locked())
        assert not made.wait(400)
        assert not made.watch.answered() or broken == "OrmQ"
        made.watch.restart(99)
    said = caplog.text.count("Whether the light queue works is unknown at the moment: database is locked")
    assert 1 <= said <= 20, "not a line for every look"
    assert not made.wait(10)
