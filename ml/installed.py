"""The distributions that a predictor stands on, as they are installed: for an installation elsewhere that predicts
the same. Written down when a model is packed, for later its training's versions cannot be found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What every model needs: AutoGluon, and what reads the rows of a file.
ROOTS: Final = ("autogluon.tabular", "charset-normalizer", "numpy", "pandas")
# What AutoGluon calls the libraries of some families of models; torch alone is hundreds of megabytes.
EXTRAS: Final = ("catboost", "lightgbm", "tabm", "xgboost")
BASE: Final = "base"
# By how a model's name begins; whatever is not here may need any of them.
_NEEDS: Final = {
    "CatBoost": ("catboost",),
    "LightGBM": ("lightgbm",),
    "NeuralNetTorch": ("tabm",),
    "TabM": ("tabm",),
    "XGBoost": ("xgboost",),
    **dict.fromkeys(("ExtraTrees", "KNeighbors", "LinearModel", "RandomForest", "WeightedEnsemble"), ()),
}


def freeze() -> dict[str, list[str]]:
    """``name==version`` of all that is needed: by every model (``BASE``), and with each of the ``EXTRAS``."""
    with_extras = {extra: _closure((*ROOTS, f"autogluon.tabular[{extra}]")) for extra in EXTRAS}
    base = _closure(ROOTS)
    return {
        BASE: base,
        **{extra: [line for line in found if line not in base] for extra, found in with_extras.items()},
    }


def needed(frozen: Mapping[str, Sequence[str]], models: Iterable[str]) -> list[str]:
    """The lines of ``freeze`` that these models need, by their names in AutoGluon."""
    extras = {extra for model in models for extra in _extras_of(model)}
    return sorted({line for part in (BASE, *extras) for line in frozen.get(part, ())})


def _extras_of(model: str) -> Sequence[str]:
    return next((extras for begin, extras in _NEEDS.items() if model.startswith(begin)), EXTRAS)


def _closure(roots: Iterable[str]) -> list[str]:
    """Every installed distribution that ``roots`` need on this machine, themselves included.

    A local label of a version ("2.13.0+cpu") is left out: it names a build, which not every index knows.
    """
    waiting = [Requirement(root) for root in roots]
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # an installation without this family
        found[name] = distribution.version.partition("+")[0]
        waiting += [each for each in map(Requirement, distribution.requires or ()) if _applies(each, extras)]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, ""))
