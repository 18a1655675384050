"""How a program does with a dataset what its page does."""

from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.api_snippets import Call, snippet_of
from datasets import services
from datasets.records import Dataset
from smartml.htmx import UserRequest, wants_fragment


@login_required
@require_GET
def snippets(request: UserRequest, dataset_id: str) -> HttpResponse:
    """Requests of the API about this dataset, to copy."""
    dataset = services.get_dataset(user_id=request.user.id, dataset_id=dataset_id)
    template = "shared/_snippets.html" if wants_fragment(request) else "datasets/snippets.html"
    context = {"snippets": [snippet_of(call) for call in _calls(request, dataset)], "dataset": dataset}
    return render(request, template, context)


def _calls(request: UserRequest, dataset: Dataset) -> list[Call]:
    def url(name: str, *values: str) -> str:
        return request.build_absolute_uri(reverse(f"api-v1:{name}", args=values))

    # The last column is the target more often than any other.
    target = dataset.target_column or services.columns_of(dataset=dataset)[-1]
    wanted = {"dataset_id": dataset.id, "target": target, "preset": "quick"}
    upload = f"{url('datasets')}?file_name={quote(dataset.file_name)}"
    return [
        Call(title="Look at this dataset", method="GET", url=url("dataset", dataset.id)),
        Call(title="Train on it", method="POST", url=url("trainings"), body=wanted),
        Call(title="Upload another table", method="POST", url=upload, sends=dataset.file_name),
    ]
