"""The forms of signing up, signing in and leaving."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction

from accounts.models import User
from smartml.errors import Conflict

ADDRESS_TAKEN = "There is an account with this address already. Sign in instead."


class SignInForm(AuthenticationForm):
    """E-mail address and password; a wrong address and a wrong password look the same."""

    error_messages = {
        "invalid_login": "This e-mail address and password do not belong together. Check both and try again.",
        "inactive": "This e-mail address and password do not belong together. Check both and try again.",
    }
    username = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class SignUpForm(forms.Form):
    """A new account: the address and a password, once (the browser can show it)."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters; not only digits, not a common password, not your address.",
    )

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        known = User.objects.filter(email__iexact=email).first()
        if known and known.closing_at:
            raise forms.ValidationError("The account with this address is being deleted. Try again in a minute.")
        if known:
            raise forms.ValidationError(ADDRESS_TAKEN)
        return email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        # With the address, so that a password like it is refused.
        validate_password(password, User(email=self.cleaned_data.get("email", "")))
        return password

    def save(self) -> User:
        """Store the account.

        :raises Conflict: somebody took the address since the form was checked.
        """
        try:
            with transaction.atomic():
                return User.objects.create_user(self.cleaned_data["email"], self.cleaned_data["password"])
        except IntegrityError as error:
            raise Conflict(ADDRESS_TAKEN, hint="Go to the sign-in page.") from error


class ChangePasswordForm(PasswordChangeForm):
    """Django's, where the new password has to be another one."""

    def clean_new_password1(self) -> str:
        password = str(self.cleaned_data.get("new_password1", ""))
        if password and self.user.check_password(password):
            raise forms.ValidationError("This is the password you have. Choose another one.")
        return password


class DeleteAccountForm(forms.Form):
    """The password once more, because nothing brings the account back."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        if not self.user.check_password(password):
            raise forms.ValidationError("That is not your password.")
        return password
