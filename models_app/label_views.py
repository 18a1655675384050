"""The tags and notes of a model: shown, and changed in place."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from models_app import labels as work
from models_app import services
from models_app.records import Model, ModelVersion
from models_app.views import version_of
from smartml.errors import InvalidInput
from smartml.htmx import UserRequest, goto, wants_fragment
from storage.mongo_schema import MAX_NOTE, MAX_TAG, MAX_TAGS


class LabelsForm(forms.Form):
    """All three texts; ``models_app.labels`` judges them."""

    tags = forms.CharField(
        label="Tags",
        required=False,
        help_text=f"At most {MAX_TAGS} short words of at most {MAX_TAG} characters, with blanks or commas between.",
    )
    note = forms.CharField(
        label="Note on the model",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=f"At most {MAX_NOTE:,} characters.",
    )
    version_note = forms.CharField(
        required=False, strip=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="What sets it apart."
    )

    def __init__(self, *args: object, number: int, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through to Django as they came
        self.fields["version_note"].label = f"Note on version {number}"


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@vary_on_headers("HX-Request")
def labels(request: UserRequest, model_id: str, version: int) -> HttpResponse:
    """The tags and notes, with ``?edit=1`` as a form; posted, they take the place of the former ones."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    found = version_of(model, version)
    if request.method != "POST" and not request.GET.get("edit"):
        if wants_fragment(request):
            return render(request, "models_app/_labels.html", {"model": model, "version": found})
        return goto(request, _page_of(model, found))
    initial = {"tags": " ".join(model.tags), "note": model.note, "version_note": found.note}
    form = LabelsForm(request.POST if request.method == "POST" else None, initial=initial, number=version)
    if form.is_bound and form.is_valid():
        try:
            model = work.set_labels(user_id=model.user_id, model_id=model.id, version=version, **form.cleaned_data)
        except InvalidInput as error:
            for name, message in error.fields.items():
                form.add_error(name, message)
        else:
            found = version_of(model, version)
            if wants_fragment(request):
                return render(request, "models_app/_labels.html", {"model": model, "version": found, "saved": True})
            messages.success(request, "The tags and notes are saved.")
            return goto(request, _page_of(model, found))
    template = "models_app/_labels_form.html" if wants_fragment(request) else "models_app/labels.html"
    context = {"model": model, "version": found, "labels_form": form}
    return render(request, template, context, status=422 if form.is_bound else 200)


def _page_of(model: Model, version: ModelVersion) -> str:
    return f"{reverse('models:detail', args=[model.id])}?version={version.version}"
