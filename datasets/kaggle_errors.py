"""What can go wrong with Kaggle, each with its next step. A leaf module."""

from smartml.errors import Conflict, Forbidden, InvalidInput, ServiceUnavailable, TooManyRequests


class NoToken(Conflict):
    """Neither this person nor this server has a Kaggle token."""

    code = "kaggle_no_token"
    default_hint = "Make a token on kaggle.com (Settings, API) and store it on your account page."

    def __init__(self) -> None:
        super().__init__("There is no Kaggle token to search and import with.")


class TokenRefused(InvalidInput):
    """Kaggle does not know the token, or does not take it any more."""

    code = "kaggle_token_refused"

    def __init__(self, *, is_server: bool) -> None:
        if is_server:
            super().__init__(
                "Kaggle does not accept this server's token.",
                hint="Store a token of your own on your account page, or tell the operator.",
            )
        else:
            super().__init__(
                "Kaggle does not accept your token.",
                hint="Make a new one on kaggle.com (Settings, API) and store it on your account page.",
            )


class NotAllowed(Forbidden):
    """The token is good, but its account may not have this."""

    code = "kaggle_not_allowed"

    def __init__(self, page_url: str = "") -> None:
        where = f"Open {page_url} there" if page_url else "Sign in there"
        super().__init__(
            "Kaggle does not let this account have it.",
            hint=f"{where}, accept the rules it shows (or ask its owner for access), and try again.",
        )


class Paused(TooManyRequests):
    """Kaggle has had enough requests from this account for now."""

    code = "kaggle_rate_limit"


class KaggleUnavailable(ServiceUnavailable):
    """Kaggle does not answer, or not as it should."""

    code = "kaggle_unavailable"
    default_hint = "It usually comes back by itself; try again in a few minutes."


class BrokenOff(KaggleUnavailable):
    """The connection broke more often than it is worth trying."""

    code = "kaggle_broken_off"
    default_hint = "Import the file again; if it breaks again, download it on kaggle.com and upload it here."


class FileChanged(Conflict):
    """The file on Kaggle is not the one that the import began with."""

    code = "kaggle_file_changed"
    default_hint = "Open the dataset again and import its newest version."
