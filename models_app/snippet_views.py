"""How a program asks a model what its page asks it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.api_snippets import Call, snippet_of
from models_app import services
from models_app.prediction_form import SHOWN_FEATURES
from models_app.records import Model, ModelVersion
from smartml.htmx import UserRequest, wants_fragment


@login_required
@require_GET
def snippets(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """Requests of the API about this version, to copy, with its columns and their usual values."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = services.get_version(model, version)
    template = "shared/_snippets.html" if wants_fragment(request) else "models_app/snippets.html"
    context = {"snippets": [snippet_of(call) for call in _calls(request, model, found)], "model": model}
    return render(request, template, context | {"version": found})


def _calls(request: UserRequest, model: Model, version: ModelVersion) -> list[Call]:
    def url(name: str) -> str:
        return request.build_absolute_uri(reverse(f"api-v1:{name}", args=[model.id]))

    features = services.model_features(model=model, version=version.version)
    body: dict[str, object] = {"rows": [{feature.name: feature.default for feature in features[:SHOWN_FEATURES]}]}
    if version.version != model.version:
        body["version"] = version.version
    return [
        Call(title="Ask for predictions", method="POST", url=url("model_predict"), body=body),
        Call(
            title="Download this version",
            method="GET",
            url=f"{url('model_download')}?version={version.version}",
            saves=f"model-v{version.version}.zip",
        ),
        Call(
            title="Predict a file",
            method="POST",
            url=f"{url('batches')}?file_name=new.csv&version={version.version}",
            sends="new.csv",
        ),
    ]
