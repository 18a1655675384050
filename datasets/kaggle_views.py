"""Pages and fragments of the import from Kaggle. Somebody else's import is a 404 like one that never was."""

from contextlib import suppress

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import throttle, tickets
from datasets import kaggle_presenters as presenters
from datasets import kaggle_services as services
from datasets.activity_records import Activity
from datasets.kaggle_forms import ImportForm, KaggleSearchForm
from datasets.kaggle_records import DatasetRef
from smartml.errors import InvalidInput, NotFound, SmartMLError, TooManyRequests
from smartml.htmx import UserRequest, goto, wants_fragment
from storage.ids import is_id

_MOST_SHOWN = 20


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def search(request: UserRequest) -> HttpResponse:
    """Search Kaggle, page by page; what is being imported stands above."""
    form = KaggleSearchForm(request.GET)
    valid = form.is_valid()
    text = form.cleaned_data.get("q", "")
    direct = DatasetRef.find(text)
    if direct is not None:
        return goto(request, reverse("datasets:kaggle_dataset", args=[direct.owner, direct.slug]))
    if text:
        throttle.spend(request, throttle.KAGGLE_LOOK, account=request.user.id)
    context = presenters.search_context(
        user_id=request.user.id, text=text, token=form.cleaned_data.get("token") or None
    )
    context["form"] = form
    if wants_fragment(request):
        return _fragment(request, "datasets/kaggle/_rows.html", context)
    context |= presenters.imports_context(services.running_imports(user_id=request.user.id)[:_MOST_SHOWN])
    return _page(request, "datasets/kaggle/search.html", context, status=200 if valid else 422)


@login_required
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def dataset(request: UserRequest, owner: str, slug: str) -> HttpResponse:
    """A dataset with its licence and its files, each with a button that imports it."""
    form = ImportForm(request.GET)
    form.is_valid()
    return _dataset_page(request, DatasetRef(owner=owner, slug=slug), form)


def _dataset_page(
    request: UserRequest, ref: DatasetRef, form: ImportForm, refused: SmartMLError | None = None
) -> HttpResponse:
    throttle.spend(request, throttle.KAGGLE_LOOK, account=request.user.id)
    context = presenters.dataset_context(
        user_id=request.user.id,
        ref=ref,
        version=form.cleaned_data.get("version"),
        token=form.cleaned_data.get("token") or None,
    )
    context["refused"] = refused
    if wants_fragment(request):
        return _fragment(request, "datasets/kaggle/_files.html", context)
    return _page(
        request, "datasets/kaggle/dataset.html", context, status=refused.status if refused is not None else 200
    )


@login_required
@require_POST
def begin(request: UserRequest, owner: str, slug: str, ticket: str) -> HttpResponse:
    """Import one file. The address carries the id of the dataset it makes, so sending it twice makes one."""
    ref = DatasetRef(owner=owner, slug=slug)
    form = ImportForm(request.POST)
    try:
        throttle.spend(request, throttle.KAGGLE_IMPORT, account=request.user.id)
        dataset_id = tickets.redeem(ticket, user_id=request.user.id, purpose="kaggle")
        if not form.is_valid():
            raise InvalidInput("Choose a file of this dataset.")
        activity = services.begin_import(
            user_id=request.user.id,
            dataset_id=dataset_id,
            ref=ref,
            version=form.cleaned_data["version"],
            name=form.cleaned_data["file"],
            token=form.cleaned_data["token"] or None,
        )
    except SmartMLError as error:
        form.is_valid()
        return _dataset_page(request, ref, form, refused=error)
    return goto(request, reverse("datasets:kaggle_import", args=[activity.id]))


@login_required
@require_GET
@never_cache
def imports(request: UserRequest) -> HttpResponse:
    """Fragment: what is being imported, and what became of those that the page has shown before."""
    shown = [found for found in request.GET.get("ids", "").split(",")[:_MOST_SHOWN] if is_id(found)]
    running = services.running_imports(user_id=request.user.id)
    known = {activity.id for activity in running}
    ended: list[Activity] = []
    for activity_id in shown:
        with suppress(NotFound):  # forgotten, or its dataset has been deleted
            if activity_id not in known:
                ended.append(services.get_import(user_id=request.user.id, activity_id=activity_id))
    context = presenters.imports_context((*running[:_MOST_SHOWN], *ended))
    return render(request, "datasets/kaggle/_imports.html", context)


@login_required
@require_GET
@never_cache
def import_detail(request: UserRequest, activity_id: str) -> HttpResponse:
    """The live page of one import."""
    activity = services.get_import(user_id=request.user.id, activity_id=activity_id)
    return render(request, "datasets/kaggle/import.html", {"import": presenters.present_import(activity)})


@login_required
@require_GET
@never_cache
def import_progress(request: UserRequest, activity_id: str) -> HttpResponse:
    """The part of the live page that polls; of an import that is over it carries no trigger."""
    activity = services.get_import(user_id=request.user.id, activity_id=activity_id)
    return render(request, "datasets/kaggle/_import.html", {"import": presenters.present_import(activity)})


@login_required
@require_POST
def import_cancel(request: UserRequest, activity_id: str) -> HttpResponse:
    """Stop an import; nothing of it is kept."""
    activity = services.cancel_import(user_id=request.user.id, activity_id=activity_id)
    if wants_fragment(request):
        return render(request, "datasets/kaggle/_import.html", {"import": presenters.present_import(activity)})
    return goto(request, reverse("datasets:kaggle_import", args=[activity.id]))


def _fragment(request: UserRequest, template: str, context: presenters.Context) -> HttpResponse:
    """A part of a page has no place for a failure of its own: the page's alert region shows it."""
    failure = context.get("failure") or context.get("no_token")
    if isinstance(failure, SmartMLError):
        raise failure
    return render(request, template, context)


def _page(request: UserRequest, template: str, context: presenters.Context, *, status: int) -> HttpResponse:
    failure = context.get("failure")
    if isinstance(failure, SmartMLError):
        if not request.accepts("text/html"):
            raise failure
        status = failure.status
    response = render(request, template, context, status=status)
    for error in (failure, context.get("refused")):
        if isinstance(error, TooManyRequests) and error.retry_seconds:
            response["Retry-After"] = str(error.retry_seconds)
    return response
