"""Which columns had better be left out of a training, and why: on the form, for the target chosen there."""

from collections.abc import Collection, Sequence

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from datasets import profiles
from datasets import services as datasets
from datasets.profiles import RelationState
from datasets.records import Dataset
from models_app.forms import TrainForm
from smartml.htmx import UserRequest, announce

_MOST = 5


@login_required
@require_GET
@never_cache
def train_evidence(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: the columns that give the target away by themselves; looks for them where nobody has, and polls.

    They are ticked under the columns to leave out when they are first told of.
    """
    dataset = datasets.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    target, columns = request.GET.get("target", ""), datasets.columns_of(dataset=dataset)
    context: dict[str, object] = {"dataset": dataset, "target": target}
    if target not in columns:
        return render(request, "models_app/_evidence.html", context)
    state = profiles.relation_state(dataset=dataset, target=target)
    are_news = request.GET.get("suspects_of", "") != target
    context |= {"state": state, "are_news": are_news}
    if state is None or state.relation is None:
        return render(request, "models_app/_evidence.html", context)
    suspects, ticked = _suspects(state), set(request.GET.getlist("leave_out"))
    if are_news:
        ticked = _ticked_anew(request, dataset, target, suspects=suspects, ticked=ticked)
        initial = {"leave_out": [name for name in columns if name in ticked], "suspects_of": target}
        context["form"] = TrainForm(columns=columns, initial=initial)
    context |= _told(request, dataset, target, state, ticked)
    response = render(request, "models_app/_evidence.html", context)
    # The plan depends on what is left out, and nobody has clicked.
    return announce(response, "left-out") if are_news else response


def _suspects(state: RelationState) -> tuple[str, ...]:
    relations = () if state.relation is None else state.relation.relations
    return tuple(found.column for found in relations if found.is_suspect)


def _ticked_anew(
    request: UserRequest, dataset: Dataset, target: str, *, suspects: Sequence[str], ticked: Collection[str]
) -> set[str]:
    """What is to be left out for another target: its own suspects in place of those of the one before."""
    before = request.GET.get("suspects_of", "")
    gone = profiles.suspects(dataset=dataset, target=before) if before else ()
    return ({*ticked} - {*gone} | {*suspects}) - {target}


def _told(
    request: UserRequest, dataset: Dataset, target: str, state: RelationState, ticked: Collection[str]
) -> dict[str, object]:
    assert state.relation is not None
    suspects = [found for found in state.relation.relations if found.is_suspect]
    asked = [("target", target), *(("leave_out", found.column) for found in suspects)]
    if model_id := request.GET.get("model_id"):
        asked.insert(0, ("model", model_id))
    return {
        "suspects": suspects[:_MOST],
        "are_ticked": all(found.column in ticked for found in suspects),
        "more": max(len(suspects) - _MOST, 0),
        "without": f"{reverse('models:train', args=[dataset.id])}?{urlencode(asked)}",
    }
