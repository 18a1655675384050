"""Addresses of signing up, in and out, and of the account page."""

from django.urls import path

from accounts import kaggle_views, token_views, views

app_name = "accounts"
urlpatterns = [
    path("sign-up", views.sign_up, name="sign_up"),
    path("sign-in", views.SignIn.as_view(), name="sign_in"),
    path("sign-out", views.SignOut.as_view(), name="sign_out"),
    path("", views.account, name="account"),
    path("password", views.PasswordChange.as_view(), name="password_change"),
    path("password-reset", views.PasswordReset.as_view(), name="password_reset"),
    path("password-reset/sent", views.PasswordResetDone.as_view(), name="password_reset_done"),
    path(
        "password-reset/<uidb64>/<token>",
        views.PasswordResetConfirm.as_view(),
        name="password_reset_confirm",
    ),
    path("password-reset/complete", views.PasswordResetComplete.as_view(), name="password_reset_complete"),
    path("kaggle", kaggle_views.token, name="kaggle_token"),
    path("kaggle/remove", kaggle_views.remove, name="kaggle_remove"),
    path("tokens", token_views.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke", token_views.revoke, name="token_revoke"),
    path("mails", views.mails, name="mails"),
    path("delete", views.delete, name="delete"),
]
