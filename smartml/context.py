"""What every page's layout needs."""

from django.conf import settings
from django.http import HttpRequest

_SECTIONS = {"dashboard": "dashboard", "datasets": "datasets", "models": "models", "accounts": "account"}


def layout(request: HttpRequest) -> dict[str, object]:
    """``section``: the navigation entry to mark. ``storage_configured``: for the staff banner."""
    return {"section": _section(request), "storage_configured": settings.AZURE_STORAGE_ENABLED}


def _section(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is None:
        return ""
    if match.namespace == "models" and match.url_name and match.url_name.startswith("job"):
        return "jobs"
    return _SECTIONS.get(match.namespace or match.url_name or "", "")
