"""Where a request comes from."""

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

# Some proxies add the port: "203.0.113.7:4711", "[2001:db8::1]:4711".
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[\d.]+):\d+")
# A household or a machine has a whole network of this size to choose addresses from.
_V6_PREFIX = 64


def client_ip(request: HttpRequest) -> str | None:
    """The visitor's address; None when it is not known (a server on a Unix socket).

    Behind a proxy it is the last hop of ``X-Forwarded-For``: the one that our proxy has written. Those before it
    are whatever the visitor sent.
    """
    if settings.BEHIND_PROXY:
        # Several headers of this name arrive as one, joined by commas.
        text = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rsplit(",", 1)[-1].strip()
        if match := _WITH_PORT.fullmatch(text):
            text = match["v6"] or match["v4"]
    else:
        text = str(request.META.get("REMOTE_ADDR", ""))
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def client_network(request: HttpRequest) -> str | None:
    """What attempts are counted under: the address, of IPv6 the network it is in."""
    known = client_ip(request)
    if known is None or ipaddress.ip_address(known).version == 4:
        return known
    return str(ipaddress.ip_network(f"{known}/{_V6_PREFIX}", strict=False))
