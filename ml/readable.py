"""Figures as people read them."""

import math

_DIGITS = 6


def plain_number(value: float) -> str:
    """Six significant digits, all digits of larger numbers, never an exponent within what people read."""
    if value == 0 or not 1e-6 <= abs(value) < 1e15:
        return f"{value:.6g}"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
