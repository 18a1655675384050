"""The page that describes the API: its own description, drawn on the server, without a script from elsewhere."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.api_schemas import SAMPLE_ID
from accounts.api_snippets import Call, curl
from smartml.api import api

_SAVED_AS: Final = {"application/zip": "model.zip", "text/csv": "rows.csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter, or a field of a body or of an answer."""

    name: str
    place: str
    type: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One address with one method."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    paragraphs: tuple[str, ...]
    fields: tuple[Field, ...]
    example: dict[str, Any] | None
    takes_file: bool
    saves: str | None
    answer_status: int
    answer: Any
    failures: tuple[int, ...]


@require_safe
def api_docs(request: HttpRequest) -> HttpResponse:
    """What programs can do here, for everybody to read."""
    base = request.build_absolute_uri("/").rstrip("/")
    groups: dict[str, list[dict[str, object]]] = {}
    for operation in operations():
        groups.setdefault(operation.tag, []).append({"operation": operation, "curl": curl(_call(operation, base))})
    context = {"groups": groups.items(), "openapi_url": reverse("api-v1:openapi-json"), "base": base}
    return render(request, "api/docs.html", context)


def _call(operation: Operation, base: str) -> Call:
    path = operation.path
    for field in operation.fields:
        if field.place == "path":
            path = path.replace(f"{{{field.name}}}", SAMPLE_ID)
    query = "?file_name=sales.csv" if operation.takes_file else ""
    return Call(
        title=operation.summary,
        method=operation.method,
        url=f"{base}{path}{query}",
        body=operation.example,
        sends="sales.csv" if operation.takes_file else None,
        saves=operation.saves,
    )


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation, in the order in which they are written."""
    whole: dict[str, Any] = api.get_openapi_schema()
    schemas = whole["components"]["schemas"]
    return tuple(
        _operation(method, path, details, schemas)
        for path, methods in whole["paths"].items()
        for method, details in methods.items()
    )


def _operation(method: str, path: str, details: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    body = details.get("requestBody", {}).get("content", {})
    json_body = _resolved(body.get("application/json", {}).get("schema", {}), schemas)
    status, answer = next((s, a) for s, a in details["responses"].items() if s < 300)
    content = answer.get("content", {})
    json_answer = _resolved(content.get("application/json", {}).get("schema", {}), schemas)
    return Operation(
        id=details["operationId"],
        tag=details["tags"][0],
        method=method.upper(),
        path=path,
        summary=details["summary"],
        paragraphs=tuple(details["description"].replace("\n\n", "\r").replace("\n", " ").split("\r")),
        fields=(
            *(_field(p["name"], p["in"], p["schema"], p["required"], schemas) for p in details["parameters"]),
            *_fields_of(json_body, schemas),
        ),
        example=next(iter(json_body.get("examples", ())), None),
        takes_file="application/octet-stream" in body,
        saves=next((name for kind, name in _SAVED_AS.items() if kind in content), None),
        answer_status=status,
        answer=next(iter(json_answer.get("examples", ())), None),
        failures=tuple(s for s in details["responses"] if s >= 400),
    )


def _fields_of(schema: dict[str, Any], schemas: dict[str, Any]) -> list[Field]:
    required = schema.get("required", ())
    return [
        _field(name, "body", each, name in required, schemas) for name, each in schema.get("properties", {}).items()
    ]


def _field(name: str, place: str, schema: dict[str, Any], required: bool, schemas: dict[str, Any]) -> Field:
    text = schema.get("description") or ""
    if schema.get("default") not in (None, "", []):
        text = f"{text} {schema['default']} unless it is said.".strip()
    return Field(name=name, place=place, type=_type(schema, schemas), required=required, text=text)


def _type(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A type in a word or two; of a choice its values."""
    schema = _resolved(schema, schemas)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema or "allOf" in schema:
        parts = [_type(each, schemas) for each in schema.get("anyOf") or schema["allOf"]]
        return " or ".join(part for part in parts if part != "null")
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), schemas)}"
    return kind if isinstance(kind, str) else " or ".join(kind)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    found: dict[str, Any] = schemas[reference.rsplit("/", 1)[-1]] if reference else schema
    return found
