"""The report of a version: opened in the browser, or saved."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from models_app import services
from models_app.policies import nothing_runs
from models_app.views import version_of
from smartml.htmx import UserRequest


@nothing_runs
@login_required
@require_GET
@never_cache
def report(request: UserRequest, model_id: str, version: int) -> HttpResponseBase:
    """The stored file; ``?save=1`` asks the browser to keep it."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    version_of(model, version)
    chunks = services.stream_report(model=model, version=version)
    response = StreamingHttpResponse(chunks, content_type="text/html; charset=utf-8")
    name = content_disposition_header(bool(request.GET.get("save")), f"{model.name}-v{version}-report.html")
    response["Content-Disposition"] = name or "inline"
    return response
