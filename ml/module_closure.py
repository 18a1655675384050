"""The modules of the app that one of them needs: what a portable bundle takes along, found in their own imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("ml", "smartml")


def sources(start: str) -> dict[str, Path]:
    """The files of ``start`` ("ml.portable") and of everything of the app that it imports at any time, by their
    path below the directory that has the packages; imports for type checkers alone do not count."""
    waiting = [start]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        relative = f"{name.replace('.', '/')}.py"
        path = _ROOT / relative
        if relative in found or not path.is_file():
            continue  # a name inside a module
        found[relative] = path
        package = f"{name.partition('.')[0]}/__init__.py"
        found[package] = _ROOT / package
        waiting += [each for each in _imported(ast.parse(path.read_bytes())) if each.startswith(_PREFIXES)]
    return dict(sorted(found.items()))


_PREFIXES = tuple(f"{package}." for package in _PACKAGES)


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)
