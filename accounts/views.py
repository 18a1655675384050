"""Signing up, in and out, the account page, and leaving."""

import logging
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.http import urlsafe_base64_decode
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import closing, kaggle_credentials, services, throttle
from accounts.forms import ChangePasswordForm, DeleteAccountForm, SignInForm, SignUpForm
from accounts.models import User
from accounts.token_views import tokens_context
from smartml.errors import SmartMLError
from smartml.htmx import UserRequest
from storage.ids import is_id

logger = logging.getLogger(__name__)

SIGN_IN_BACKEND = "django.contrib.auth.backends.ModelBackend"


class FormPage(View):
    """Django's form views as the app's own behave: a form with faults has status 422, and nobody sends PUT."""

    http_method_names = ["get", "head", "post", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Some of them answer before they look at the method.
        if (request.method or "").lower() not in self.http_method_names:
            return self.http_method_not_allowed(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class SignIn(FormPage, auth_views.LoginView):
    authentication_form = SignInForm
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True


class SignOut(auth_views.LogoutView):
    http_method_names = ["post", "options"]


class PasswordChange(FormPage, auth_views.PasswordChangeView):
    template_name = "accounts/password_change.html"
    form_class = ChangePasswordForm
    success_url = reverse_lazy("accounts:account")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        throttle.spend(request, throttle.PASSWORD_CHANGE, account=str(request.user.pk))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Other browsers are signed out.")
        return super().form_valid(form)


class PasswordReset(FormPage, auth_views.PasswordResetView):
    template_name = "accounts/password_reset.html"
    email_template_name = "accounts/password_reset_email.txt"
    subject_template_name = "accounts/password_reset_subject.txt"
    success_url = reverse_lazy("accounts:password_reset_done")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        throttle.spend(request, throttle.PASSWORD_RESET, account=request.POST.get("email", ""))
        return super().post(request, *args, **kwargs)


class PasswordResetDone(auth_views.PasswordResetDoneView):
    template_name = "accounts/password_reset_done.html"


class PasswordResetConfirm(FormPage, auth_views.PasswordResetConfirmView):
    template_name = "accounts/password_reset_confirm.html"
    success_url = reverse_lazy("accounts:password_reset_complete")

    def get_user(self, uidb64: str) -> User | None:
        # Only what can be an id reaches the database: PostgreSQL takes no NUL in a text.
        try:
            user_id = urlsafe_base64_decode(uidb64).decode()
        except ValueError:
            return None
        found: User | None = super().get_user(uidb64) if is_id(user_id) else None
        return found

    def form_valid(self, form: Any) -> HttpResponse:
        # The mailbox has proved whose account it is, so earlier wrong passwords no longer keep its owner out.
        services.forget_failures(form.user)
        return super().form_valid(form)


class PasswordResetComplete(auth_views.PasswordResetCompleteView):
    template_name = "accounts/password_reset_complete.html"


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account and sign in to it."""
    if request.user.is_authenticated:
        return redirect("dashboard")
    if request.method != "POST":
        return render(request, "accounts/sign_up.html", {"form": SignUpForm()})
    throttle.spend(request, throttle.SIGN_UP, account=request.POST.get("email", ""))
    form = SignUpForm(request.POST)
    if not form.is_valid():
        return render(request, "accounts/sign_up.html", {"form": form}, status=422)
    login(request, form.save(), backend=SIGN_IN_BACKEND)
    messages.success(request, "Welcome. Upload a table to begin.")
    return redirect("dashboard")


@login_required
@never_cache
@require_safe
def account(request: UserRequest) -> HttpResponse:
    """Who one is here and how much one has stored."""
    context = {
        "kaggle_token": kaggle_credentials.stored(user_id=request.user.id),
        "mail_configured": settings.MAIL_CONFIGURED,
        **tokens_context(request),
    }
    return render(request, "accounts/account.html", context)


@login_required
@require_POST
def mails(request: UserRequest) -> HttpResponse:
    """Switch the mails about trainings on or off."""
    services.want_mails(request.user, wanted=request.POST.get("wanted") == "yes")
    messages.success(request, "That is noted.")
    return redirect("accounts:account")


@sensitive_post_parameters("password")
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: UserRequest) -> HttpResponse:
    """Delete the account with everything it owns, after its password."""
    user = request.user
    if request.method == "POST":
        throttle.spend(request, throttle.DELETE_ACCOUNT, account=user.id)
    form = DeleteAccountForm(user, request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/delete.html", {"form": form}, status=422 if form.is_bound else 200)
    # Signed out first: whatever happens next, nobody works on in an account that is going.
    closing.begin_closing(user)
    logout(request)
    try:
        closing.close_account(user)
    except SmartMLError as error:
        logger.warning("Closing account %s is not finished: %s", user.id, error.message)
        messages.warning(request, f"Your account is closed. {error.message} The rest of it follows by itself.")
    else:
        messages.success(request, "Your account and everything in it is deleted.")
    return redirect("accounts:sign_in")
