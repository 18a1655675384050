"""Imports run one way, vendors stay behind their adapters, and pages start without the heavy libraries."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["smartml", "console", "models_app", "datasets", "accounts", "ml", "storage"]
LOWEST = {"ml", "storage"}  # beside each other: neither imports the other
FOR_ALL = {"smartml.errors"}
FOR_WEB = {"smartml.htmx"}
HEAVY = (
    "autogluon",
    "torch",
    "pandas",
    "matplotlib",
    "sklearn",
    "lightgbm",
    "catboost",
    "xgboost",
    "scipy",
    "duckdb",
    "pyarrow",
    "openpyxl",
)


def _modules() -> Iterator[Path]:
    for package in LAYERS:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path


def _imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_imports_point_down(path: Path):
    package = path.relative_to(ROOT).parts[0]
    for module in _imports(path):
        target = module.split(".")[0]
        if target not in LAYERS or target == package:
            continue
        if any(module == m or module.startswith(m + ".") for m in FOR_ALL):
            continue
        if package not in LOWEST and any(module == m or module.startswith(m + ".") for m in FOR_WEB):
            continue
        if module == "smartml" and package != "smartml":
            # `from smartml import errors` yields the bare package too; the dotted form is judged.
            continue
        assert LAYERS.index(target) > LAYERS.index(package), f"{_name(path)} imports {module}"
        assert not (package in LOWEST and target in LOWEST), f"{_name(path)} imports {module}"


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_vendors_stay_behind_their_adapters(path: Path):
    name = _name(path)
    for module in _imports(path):
        vendor = module.split(".")[0]
        if vendor in {"pymongo", "bson"}:
            assert name.startswith(("storage/mongo", "storage/ids")) or name.endswith("repository.py"), name
        if vendor == "azure":
            assert name.startswith(("storage/blobs", "storage/credentials")), name
        if vendor == "autogluon":
            assert name.startswith("ml/"), name


@pytest.mark.parametrize("path", list(_modules()), ids=_name)
def test_heavy_libraries_are_imported_inside_functions(path: Path):
    heavy = [m for m in _imports(path, top_level_only=True) if m.split(".")[0] in HEAVY]
    assert not heavy, f"{_name(path)} imports {heavy} when it is loaded"


def test_the_web_process_starts_without_the_heavy_libraries():
    code = (
        "import smartml.wsgi, sys\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
