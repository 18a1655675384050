"""Who may open a view.

Loading somebody's dataset, model or job authorises at the same time: the services take ``user_id`` and raise
``NotFound`` for what is not theirs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from smartml.errors import NotFound

View = Callable[..., HttpResponse]


def staff_required(view: View) -> View:
    """For members of staff; to everybody else who is signed in the page does not exist."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_staff:
            raise NotFound("There is no such page, or it belongs to somebody else.")
        return view(request, *args, **kwargs)

    return guarded
