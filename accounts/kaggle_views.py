"""A person's own Kaggle token: storing and removing it. It is never shown again."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts import kaggle_credentials, throttle
from accounts.kaggle_forms import KaggleTokenForm
from smartml.errors import InvalidInput
from smartml.htmx import UserRequest


@sensitive_post_parameters("token", "username")
@sensitive_variables("form")
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: UserRequest) -> HttpResponse:
    """Store a token, in the place of a former one."""
    form = KaggleTokenForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        throttle.spend(request, throttle.KAGGLE_TOKEN, account=request.user.id)
        if form.is_valid():
            try:
                stored = kaggle_credentials.store(user_id=request.user.id, **form.credential)
            except InvalidInput as error:
                form.add_service_error(error)
            else:
                messages.success(request, f"Your Kaggle token ending in {stored.ending} is stored, encrypted.")
                return redirect(_next(request))
    context = {
        "form": form,
        "stored": kaggle_credentials.stored(user_id=request.user.id),
        "can_store": kaggle_credentials.can_store(),
        "next": request.GET.get("next", ""),
    }
    return render(request, "accounts/kaggle_token.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove(request: UserRequest) -> HttpResponse:
    """Forget the token. Done twice it is still gone."""
    kaggle_credentials.remove(user_id=request.user.id)
    messages.success(
        request, "Your Kaggle token is removed here. On kaggle.com it stays good until you expire it there."
    )
    return redirect("accounts:account")


def _next(request: UserRequest) -> str:
    target = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if target and safe else "accounts:account"
