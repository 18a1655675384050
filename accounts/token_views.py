"""The tokens of the API on the account page: made, shown once, revoked."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts import api_tokens, throttle
from accounts.token_forms import TokenForm
from smartml.errors import InvalidInput
from smartml.htmx import UserRequest, wants_fragment


@sensitive_variables("secret", "context")
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: UserRequest) -> HttpResponse:
    """A person's tokens, and the form that makes one. The answer to the form is the only page that shows it."""
    if request.method != "POST":
        return _answer(request, tokens_context(request))
    throttle.spend(request, throttle.API_TOKEN, account=request.user.id)
    form = TokenForm(request.POST)
    if form.is_valid():
        try:
            made, secret = api_tokens.make(
                user_id=request.user.id,
                name=form.cleaned_data["name"],
                scopes=form.chosen,
                valid_for=form.valid_for,
            )
        except InvalidInput as error:
            form.add_service_error(error)
        else:
            return _answer(request, tokens_context(request) | {"made": made, "secret": secret})
    return _answer(request, tokens_context(request) | {"token_form": form}, status=422)


@login_required
@require_POST
def revoke(request: UserRequest, token_id: int) -> HttpResponse:
    """End a token at once."""
    revoked = api_tokens.revoke(user_id=request.user.id, token_id=token_id)
    if wants_fragment(request):
        return _answer(request, tokens_context(request) | {"revoked": revoked})
    messages.success(request, f"“{revoked.name}” is revoked: it opens nothing any more.")
    return redirect("accounts:account")


def tokens_context(request: UserRequest) -> dict[str, object]:
    """What the section of the tokens shows."""
    return {"tokens": api_tokens.listed(user_id=request.user.id), "token_form": TokenForm()}


def _answer(request: UserRequest, context: dict[str, object], status: int = 200) -> HttpResponse:
    template = "accounts/_tokens.html" if wants_fragment(request) else "accounts/tokens.html"
    return render(request, template, context, status=status)
