"""Models: list, page, download, deletion."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from datasets import services as datasets
from models_app import labels, news, services
from models_app.forms import RenameForm
from models_app.presenters import present_evaluation
from models_app.records import Model, ModelVersion
from models_app.setup_presenter import chosen_for_version, cross_validation
from smartml.errors import BlobMissing, InvalidInput, NotFound, ServiceUnavailable
from smartml.htmx import UserRequest, goto, wants_fragment


@login_required
@require_GET
@vary_on_headers("HX-Request")
def model_list(request: UserRequest) -> HttpResponse:
    """This person's models, newest first, searched by name and tag."""
    search, tag = request.GET.get("q", "").strip(), request.GET.get("tag", "").strip().lower()
    cursor = request.GET.get("cursor")
    page = services.list_models(user_id=request.user.id, search=search, tag=tag, cursor=cursor)
    context: dict[str, object] = {"page": page, "search": search, "tag": tag}
    if wants_fragment(request):
        return render(request, "models_app/_list.html", context)
    context["tags"] = labels.tags_of(user_id=request.user.id)
    return render(request, "models_app/list.html", context)


@login_required
@require_GET
def model_detail(request: UserRequest, model_id: str) -> HttpResponse:
    """One version of a model: its honest score, leaderboard and facts; the prediction form follows by itself."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    asked = request.GET.get("version", str(model.version))
    version = version_of(model, int(asked) if asked.isdecimal() and len(asked) < 10 else 0)
    context: dict[str, object] = {"model": model, "version": version}
    context["rename_form"] = RenameForm(initial={"name": model.name})
    news.seen_model(user_id=model.user_id, job_id=version.job_id)
    context["has_dataset"] = datasets.has_dataset(user_id=request.user.id, dataset_id=version.dataset_id)
    status = 200
    try:
        evaluation = services.model_evaluation(model=model, version=version.version)
        context["chosen_types"] = services.model_chosen_types(model=model, version=version.version)
    except (BlobMissing, ServiceUnavailable) as error:
        # The facts, and above all the delete button, must stay within reach.
        context["failure"], status = error, error.status
    else:
        context["evaluation"] = present_evaluation(evaluation, version)
        context["chosen"] = chosen_for_version(version, evaluation.setup)
        context["small_table"] = cross_validation(evaluation)
    return render(request, "models_app/detail.html", context, status=status)


def find_version(request: UserRequest, model_id: str, version: int) -> tuple[Model, ModelVersion]:
    """This person's model and one version of it."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    return model, version_of(model, version)


def version_of(model: Model, number: int) -> ModelVersion:
    version = model.get_version(number)
    if version is None:
        raise NotFound(f"{model.name} has no such version.", hint="Choose one of the versions on the model's page.")
    return version


@login_required
@require_POST
def model_rename(request: UserRequest, model_id: str) -> HttpResponse:
    """Give a model another name."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    form = RenameForm(request.POST)
    if form.is_valid():
        try:
            services.rename_model(user_id=request.user.id, model_id=model_id, name=form.cleaned_data["name"])
        except InvalidInput as error:
            form.add_error("name", error.fields.get("name", error.message))
        else:
            messages.success(request, "The model has its new name.")
            return goto(request, reverse("models:detail", args=[model.id]))
    template = "models_app/_rename_form.html" if wants_fragment(request) else "models_app/rename.html"
    return render(request, template, {"model": model, "rename_form": form}, status=422)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def model_delete(request: UserRequest, model_id: str) -> HttpResponse:
    """Ask, then delete every version; the receipt names what was removed."""
    if request.method != "POST":
        model = services.find_for_deletion(user_id=request.user.id, model_id=model_id)
        return render(request, "models_app/delete.html", {"model": model})
    model, removed = services.delete_model(user_id=request.user.id, model_id=model_id)
    return render(request, "models_app/deleted.html", {"model": model, "removed": removed})


@login_required
@require_GET
def model_download(request: UserRequest, model_id: str, version: int) -> HttpResponseBase:
    """The stored zip, streamed."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = version_of(model, version)
    response = StreamingHttpResponse(
        services.stream_model(model=model, version=version), content_type="application/zip"
    )
    response["Content-Length"] = str(found.zip_size)
    name = f"{model.name}-v{version}.zip"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    response["X-Checksum-SHA256"] = found.zip_sha256
    return response
