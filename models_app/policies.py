"""How files that hold a page of their own are handed out."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from csp.constants import NONE, UNSAFE_INLINE
from csp.decorators import csp_replace

V = TypeVar("V", bound=Callable[..., Any])


def nothing_runs(view: V) -> V:
    """For a file with rules and pictures of its own, but in which nothing runs or comes from elsewhere."""
    limited = csp_replace(
        {
            "default-src": [NONE],
            "script-src": [NONE],
            "style-src": [UNSAFE_INLINE],
            "img-src": ["data:"],
            "form-action": [NONE],
            "sandbox": True,
        }
    )
    return cast("V", limited(view))
