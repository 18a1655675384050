"""What is wrong with a request of the API, in sentences: the library's own words are for those who know it."""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from accounts.api_schemas import OID
from smartml.errorpages import BadRequest

_INTEGER: Final = "A whole number is needed here."
_NUMBER: Final = "A number is needed here."
_TEXT: Final = "A text is needed here."
_OBJECT: Final = "An object is needed here: `{…}`."
_YES_OR_NO: Final = "`true` or `false` is needed here."
# Where a number too large for a float may be; most bodies have none, and reading each number by hand takes time.
_MAYBE_HUGE: Final = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
_HALF: Final = "This text holds half of a character (a lone surrogate)."

_SENTENCES: Final[dict[str, str]] = {
    "missing": "This is missing.",
    "extra_forbidden": "There is no such field.",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "A list is needed here: `[…]`.",
    "string_type": _TEXT,
    "string_unicode": _HALF,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "This number is too large.",
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
}
_PATTERNS: Final[dict[str, str]] = {
    OID: "An id has 24 characters: digits, and letters from a to f.",
    "^[!-~]+$": "This holds only letters, digits and signs of ASCII, without spaces.",
}
# From what the library says of the bounds.
_BOUNDED: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "greater_than_equal": lambda bounds: f"This is at least {bounds['ge']:g}.",
    "less_than_equal": lambda bounds: f"This is at most {_plain(bounds['le'])}.",
    "too_short": lambda bounds: f"At least {bounds['min_length']} is needed here.",
    "too_long": lambda bounds: f"At most {bounds['max_length']:,} are possible here.",
    "string_too_short": lambda bounds: f"This has at least {_characters(bounds['min_length'])}.",
    "string_too_long": lambda bounds: f"This has at most {_characters(bounds['max_length'])}.",
    "enum": lambda bounds: f"This is {bounds['expected']}.",
    "literal_error": lambda bounds: f"This is {bounds['expected']}.",
    "string_pattern_mismatch": lambda bounds: _PATTERNS.get(bounds["pattern"], "This cannot be written so."),
}


def sentence(fault: dict[str, Any]) -> str:
    """One fault that the library has found, without the value that was sent."""
    kind, details = fault["type"], fault.get("ctx") or {}
    if isinstance(details.get("error"), UnicodeError):
        return _HALF
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _BOUNDED:
        return _BOUNDED[kind](details)
    return f"{str(fault['msg']).removeprefix('Value error, ')}."


def field_name(place: tuple[str | int, ...]) -> str:
    """``("body", "payload", "rows", 3, "age", "int")`` is ``rows.3.age``: without where it was sent and how."""
    source, *path = map(str, place)
    if source == "body" and len(path) == 1:
        return source  # all of it
    return ".".join(path[1:] if source in ("body", "query") and len(path) > 1 else path)


class HugeNumber(float):
    """A number that no float can hold, infinite to whoever calculates with it; as text it is what was sent."""

    text: str

    def __str__(self) -> str:
        return self.text


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        number = HugeNumber(number)
        number.text = text
    return number


def read_json(content: bytes) -> Any:
    """A body as JSON, as its standard has it.

    :raises BadRequest: it is none, with the place; of what was sent nothing is repeated.
    """
    try:
        read_float = _read_float if _MAYBE_HUGE.search(content) else None
        return json.loads(content, parse_constant=_refuse_constant, parse_float=read_float)
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: see line {error.lineno:,}, character {error.colno:,}."
        raise BadRequest(message, hint="Check it with a JSON validator.") from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not text in UTF-8.", hint="Send JSON in UTF-8.") from None
    except RecursionError:
        message = "The body has lists or objects in each other, deeper than is read here."
        raise BadRequest(message, hint="Send it flat: /api/docs has an example for every address.") from None
    except ValueError:
        raise BadRequest("The body holds a number with too many digits.", hint="Round it.") from None


def _refuse_constant(word: str) -> NoReturn:
    raise BadRequest(f"The body is not JSON: it holds {word}.", hint="Send null for a missing value.")


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _characters(count: int) -> str:
    return f"{count:,} character{'' if count == 1 else 's'}"
