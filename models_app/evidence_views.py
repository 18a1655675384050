"""Which columns had better be left out of a training, and why: on the form, for the target chosen there."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from datasets import profiles
from datasets import services as datasets
from smartml.htmx import UserRequest

_MOST = 5


@login_required
@require_GET
@never_cache
def train_evidence(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Fragment: the columns that give the target away by themselves; looks for them where nobody has, and polls."""
    dataset = datasets.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    target = request.GET.get("target", "")
    context: dict[str, object] = {"dataset": dataset, "target": target, "query": request.GET.urlencode()}
    if target in datasets.columns_of(dataset=dataset):
        state = profiles.relation_state(dataset=dataset, target=target)
        context["state"] = state
        if state is not None and state.relation is not None:
            suspects = [found for found in state.relation.relations if found.is_suspect]
            ticked = request.GET.getlist("leave_out")
            asked = [("target", target), *(("leave_out", found.column) for found in suspects)]
            if model_id := request.GET.get("model_id"):
                asked.insert(0, ("model", model_id))
            context |= {
                "suspects": suspects[:_MOST],
                "are_ticked": all(found.column in ticked for found in suspects),
                "more": max(len(suspects) - _MOST, 0),
                "without": f"{reverse('models:train', args=[dataset.id])}?{urlencode(asked)}",
            }
    return render(request, "models_app/_evidence.html", context)
