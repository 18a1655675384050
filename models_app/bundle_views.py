"""A version to take away."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from models_app import portable, services
from models_app.views import version_of
from smartml.htmx import UserRequest


@login_required
@require_GET
@never_cache
def download_bundle(request: UserRequest, model_id: str, version: int) -> HttpResponseBase:
    """The portable bundle, made while it is sent."""
    model = services.get_model(user_id=request.user.id, model_id=model_id)
    pieces = portable.stream(model=model, version=version_of(model, version))
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    name = content_disposition_header(as_attachment=True, filename=f"{model.name}-v{version}-portable.zip")
    response["Content-Disposition"] = name or "attachment"
    return response
