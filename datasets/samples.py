"""Small well-known tables to begin with, made from the data files inside the installed scikit-learn package.

The package itself is not imported: its files are read with the csv module and written out as plain CSV with the
names of columns and classes that belong to them.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.utils import timezone

from datasets import repository
from datasets.ingest import begin_ingest
from datasets.records import Dataset, DatasetStatus, Source
from smartml.errors import NotFound, SmartMLError
from storage.ids import new_id

Rows = Iterator[list[str]]

_IRIS: Final = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
_WINE: Final = (
    "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
    "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline",
)  # fmt: skip
_CELL: Final = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points",
    "symmetry", "fractal dimension",
)  # fmt: skip
_CANCER: Final = (
    *(f"mean {name}" for name in _CELL),
    *(f"{name} error" for name in _CELL),
    *(f"worst {name}" for name in _CELL),
)
_DIABETES: Final = (
    "age", "sex", "bmi", "blood_pressure", "total_cholesterol", "ldl", "hdl", "cholesterol_ratio",
    "log_triglycerides", "glucose",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample on offer. ``target`` is what one would predict; it is suggested, not stored."""

    slug: str
    title: str
    text: str
    target: str


SAMPLES: Final = (
    Sample(slug="iris", title="Iris", text="150 flowers of three species, by four lengths.", target="species"),
    Sample(
        slug="wine", title="Wine", text="178 wines of three cultivars, by chemical analysis.", target="cultivar"
    ),
    Sample(
        slug="breast-cancer",
        title="Breast cancer",
        text="569 biopsies, malignant or benign, by the shape of their cells.",
        target="diagnosis",
    ),
    Sample(
        slug="diabetes",
        title="Diabetes",
        text="442 patients, and how far their disease went on in a year: a number.",
        target="progression",
    ),
)
_BY_SLUG: Final = {sample.slug: sample for sample in SAMPLES}


def load_sample(*, user_id: str, slug: str) -> tuple[Dataset, bool]:
    """A person's dataset of a sample, and whether it was there already.

    :raises NotFound: there is no such sample.
    """
    sample = _BY_SLUG.get(slug)
    if sample is None:
        raise NotFound("There is no such sample.")
    content = content_of(slug)
    digest = hashlib.sha256(content).hexdigest()
    known = repository.first_with_content(user_id=user_id, sha256=digest, before=timezone.now())
    if known is not None and known.status is DatasetStatus.READY:
        return known, True
    with begin_ingest(
        user_id=user_id,
        dataset_id=new_id(),
        file_name=f"{slug}.csv",
        name=sample.title,
        source=Source.SAMPLE,
    ) as ingest:
        ingest.write(content)
        return ingest.commit(), False


@cache
def content_of(slug: str) -> bytes:
    """The CSV of a sample; tens of kilobytes."""
    header, rows = _MAKERS[slug]()
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def _classified(
    file_name: str, columns: tuple[str, ...], target: str, classes: tuple[str, ...]
) -> tuple[tuple[str, ...], Rows]:
    """A file whose first row counts what follows and whose last column numbers the classes."""
    with (_data() / file_name).open(newline="", encoding="utf-8") as source:
        _, *table = csv.reader(source)
    return (*columns, target), ([*row[:-1], classes[int(row[-1])]] for row in table)


def _diabetes() -> tuple[tuple[str, ...], Rows]:
    with gzip.open(_data() / "diabetes_data_raw.csv.gz", "rt", encoding="utf-8") as source:
        features = [line.split() for line in source]
    with gzip.open(_data() / "diabetes_target.csv.gz", "rt", encoding="utf-8") as source:
        targets = [f"{float(line):g}" for line in source]
    return (*_DIABETES, "progression"), ([*row, value] for row, value in zip(features, targets, strict=True))


_MAKERS: Final[dict[str, Callable[[], tuple[tuple[str, ...], Rows]]]] = {
    "iris": lambda: _classified("iris.csv", _IRIS, "species", ("setosa", "versicolor", "virginica")),
    "wine": lambda: _classified("wine_data.csv", _WINE, "cultivar", ("cultivar 1", "cultivar 2", "cultivar 3")),
    "breast-cancer": lambda: _classified("breast_cancer.csv", _CANCER, "diagnosis", ("malignant", "benign")),
    "diabetes": _diabetes,
}


def _data() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise SmartMLError("The samples are not installed.", hint="Tell the operator: scikit-learn is missing.")
    return Path(found.origin).parent / "datasets" / "data"
