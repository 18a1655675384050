"""Requests of the API to copy, as programs: curl, and Python's standard library. Never with a real token."""

import json
import shlex
from dataclasses import dataclass
from typing import Any, Final

# The variable that holds it, where the program runs.
VARIABLE: Final = "SMARTML_TOKEN"
_WIDTH: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. ``body`` is sent as JSON, or the file called ``sends`` as it is; ``saves`` names the file that
    takes the answer, which is JSON otherwise."""

    title: str
    method: str
    url: str
    body: Any = None
    sends: str | None = None
    saves: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A request in both languages."""

    title: str
    curl: str
    python: str


def snippet_of(call: Call) -> Snippet:
    """The programs for one request."""
    return Snippet(title=call.title, curl=curl(call), python=python(call))


def curl(call: Call) -> str:
    """For a shell, which puts the token in from its environment."""
    parts = ["curl" if call.method == "GET" else f"curl -X {call.method}"]
    parts[0] += f" {shlex.quote(call.url)}"
    parts.append(f'-H "Authorization: Bearer ${VARIABLE}"')
    if call.body is not None:
        parts.append("-H 'Content-Type: application/json'")
        parts.append(f"--data {shlex.quote(json.dumps(call.body, ensure_ascii=False))}")
    if call.sends:
        # -T streams; --data-binary would read all of it into memory first.
        parts += ["-H 'Content-Type: application/octet-stream'", f"-T {shlex.quote(call.sends)}"]
    if call.saves:
        parts.append(f"-o {shlex.quote(call.saves)}")
    return " \\\n  ".join(parts)


def python(call: Call) -> str:
    """For Python's standard library alone."""
    modules = ["json"] * (not call.saves or call.body is not None) + ["os"] + ["shutil"] * bool(call.saves)
    headers = f'    "Authorization": "Bearer " + os.environ["{VARIABLE}"],'
    lines = [*(f"import {name}" for name in modules), "import urllib.request", "", "headers = {", headers]
    data = ""
    if call.body is not None:
        lines += ['    "Content-Type": "application/json",', "}", f"body = {_literal(call.body)}"]
        data = ", data=json.dumps(body).encode()"
    elif call.sends:
        lines += ['    "Content-Type": "application/octet-stream",']
        lines += [f'    "Content-Length": str(os.path.getsize({_literal(call.sends)})),', "}"]
        lines += [f'body = open({_literal(call.sends)}, "rb")']
        data = ", data=body"
    else:
        lines.append("}")
    lines.append(f"url = {_literal(call.url)}")
    lines.append(f"request = urllib.request.Request(url{data}, headers=headers, method={_literal(call.method)})")
    lines.append("with urllib.request.urlopen(request) as answer:")
    if call.saves:
        lines.append(f'    with open({_literal(call.saves)}, "wb") as file:')
        lines.append("        shutil.copyfileobj(answer, file)")
    else:
        lines.append("    print(json.dumps(json.load(answer), indent=2))")
    return "\n".join(lines)


def _literal(value: Any, indent: str = "") -> str:
    """Python's own way to write it, with a line for each item where it is long."""
    flat = _flat(value)
    if not isinstance(value, dict | list) or len(indent) + len(flat) <= _WIDTH:
        return flat
    inner = indent + "    "
    if isinstance(value, dict):
        items = [f"{_flat(key)}: {_literal(each, inner)}" for key, each in value.items()]
    else:
        items = [_literal(each, inner) for each in value]
    lines = "".join(f"\n{inner}{item}," for item in items)
    return f"{flat[0]}{lines}\n{indent}{flat[-1]}"


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # as Python has it too, in double quotes
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flat(key)}: {_flat(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flat, value))}]"
    return repr(value)
