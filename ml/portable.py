"""A model away from the app: what ``predict.py`` of a portable bundle does.

The bundle is a directory with the files of ``ml.bundle`` (``metadata.json``, ``predictor/``) and beside them
``lib/``, the modules of the app that this needs, and ``manifest.json``, the SHA-256 of every file but itself.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

from ml import bundle, loading
from ml.answer_files import answer_cells, harmless
from ml.answering import answer_rows
from ml.batch_lines import new_columns
from ml.conformal import Interval, PredictionSet, Reach, interval_of, set_of
from ml.prediction import EVERY_ROW, CheckedRows, Feature, Finding, Mode, check_rows
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from ml.row_files import Chunk, read_rows
from ml.value_formats import DATE_ORDERS
from smartml.errors import IntegrityError, InvalidInput, SmartMLError, VersionMismatch

if TYPE_CHECKING:
    from pandas import DataFrame

MANIFEST: Final = "manifest.json"
_SAID_AT_MOST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer: a class name or a number, with what there is to say about the row. ``probabilities`` and
    ``likely`` for classes, ``interval`` for numbers; the latter two where it was measured how far off they are."""

    prediction: str | float | None
    probabilities: dict[str, float] | None
    findings: tuple[Finding, ...]
    interval: Interval | None = None
    likely: PredictionSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableModel:
    """A model in memory."""

    predictor: Any
    features: tuple[Feature, ...]
    unused: frozenset[str]
    classes: tuple[str, ...]
    reach: Reach | None

    @property
    def is_regression(self) -> bool:
        return not self.classes

    def check(self, rows: Sequence[Mapping[str, Any]], *, strict: bool = False) -> CheckedRows:
        """:raises InvalidInput: ``strict``, and something is odd."""
        mode = Mode.STRICT if strict else Mode.LENIENT
        return check_rows(self.features, rows, mode=mode, unused=self.unused)

    def predict(
        self, rows: Sequence[Mapping[str, Any]] | DataFrame, *, strict: bool = False
    ) -> tuple[Prediction, ...]:
        """An answer for each row: dictionaries by column, or a frame of pandas.

        :raises InvalidInput: ``strict``, and something is not as in training; its ``fields`` say what.
        """
        checked = self.check(_records(rows), strict=strict)
        answers = answer_rows(self.predictor, self.features, checked.rows, is_regression=self.is_regression)
        return tuple(
            Prediction(
                **answer,
                findings=(*findings, *checked.table_findings),
                **self._reaching(answer["prediction"], answer["probabilities"]),
            )
            for answer, findings in zip(answers, checked.findings, strict=True)
        )

    def _reaching(self, prediction: Any, shares: Mapping[str, float] | None) -> dict[str, Any]:
        if self.reach is None or prediction is None:
            return {}
        if shares is not None:
            return {"likely": set_of(shares, self.reach)}
        return {"interval": interval_of(prediction, self.reach)}


def _records(rows: Any) -> Sequence[Mapping[str, Any]]:
    return rows.to_dict("records") if hasattr(rows, "to_dict") else rows  # type: ignore[no-any-return]


def load(directory: Path) -> PortableModel:
    """The bundle in ``directory``: its files compared with the manifest and its versions with what is installed
    here, and only then opened.

    :raises IntegrityError: a file is missing, is another, or is none of the predictor's.
    :raises VersionMismatch: another Python or AutoGluon than the one it was trained with.
    """
    check_manifest(directory)
    metadata = bundle.read_metadata(directory)
    with quiet_autogluon():
        loaded = loading.load(directory)
    reach = metadata.get("reach")
    is_regression = loaded.problem_type is ProblemType.REGRESSION
    return PortableModel(
        predictor=loaded.predictor,
        features=loaded.features,
        unused=loaded.unused,
        classes=() if is_regression else tuple(metadata["classes"]),
        reach=None if reach is None else Reach(**reach),
    )


def check_manifest(directory: Path) -> None:
    """Raise IntegrityError unless the files are those that were packed, and the predictor has no others."""
    try:
        expected = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError("The bundle has no manifest that can be read.", hint=_AGAIN) from error
    inside = (path for path in (directory / bundle.PREDICTOR).rglob("*") if path.is_file())
    for name in sorted({path.relative_to(directory).as_posix() for path in inside} - set(expected)):
        raise IntegrityError(f"{name} is not part of this bundle.", hint=_AGAIN)
    for name, digest in expected.items():
        path = directory / name
        if not path.is_file():
            raise IntegrityError(f"{name} is missing from this bundle.", hint=_AGAIN)
        if _sha256(path) != digest:
            raise IntegrityError(f"{name} is not the file that was packed.", hint=_AGAIN)


_AGAIN: Final = "Download the bundle again."


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def main(directory: Path, arguments: Sequence[str] | None = None) -> int:
    """``predict.py`` as a command; the exit code of the process."""
    parser = argparse.ArgumentParser(
        prog="predict.py", description="Predict the rows of a CSV file. The answers are written as CSV."
    )
    parser.add_argument("rows", help='the file, with a header row; "-" reads standard input')
    parser.add_argument("--output", metavar="FILE", help="where to write; standard output otherwise")
    parser.add_argument(
        "--strict", action="store_true", help="refuse a file with anything odd instead of saying it"
    )
    parser.add_argument(
        "--for-spreadsheets", action="store_true", help="no cell is taken for a formula by Excel and its like"
    )
    parser.add_argument("--dates", choices=[order for order in DATE_ORDERS if order], help="the order of dates")
    options = parser.parse_args(arguments)
    try:
        model = load(directory)
        with _opened(options.rows) as source, _sink(options.output) as sink:
            _Command(model, options, sys.stderr).run(source, sink)
    except VersionMismatch as error:
        hint = "Install requirements.txt in a virtual environment of that Python and run it there."
        print(f"{error.message} {hint}", file=sys.stderr)
        return 2
    except SmartMLError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        for field, message in error.fields.items():
            print(f"  {field}: {message}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The file, from which one can begin again; what comes through a pipe is kept in a temporary file."""
    if name != "-":
        try:
            source = Path(name).open("rb")  # noqa: SIM115 -- below, where another failure is another matter
        except OSError as error:
            raise InvalidInput(f"{name} cannot be read: {error.strerror}.", hint="") from error
        with source:
            yield source
        return
    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.seek(0)
        yield kept


@contextmanager
def _sink(name: str | None) -> Iterator[TextIO]:
    if name is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    try:
        sink = Path(name).open("w", encoding="utf-8", newline="")  # noqa: SIM115 -- as above
    except OSError as error:
        raise InvalidInput(f"{name} cannot be written: {error.strerror}.", hint="") from error
    with sink:
        yield sink


@dataclass(slots=True)
class _Command:
    model: PortableModel
    options: argparse.Namespace
    messages: TextIO

    def run(self, source: BinaryIO, sink: TextIO) -> None:
        if self.options.strict:
            # All of it is looked at before the first answer is written.
            self._refuse(source)
            source.seek(0)
        writer = csv.writer(sink, lineterminator="\n")
        rows = said = 0
        for chunk in self._chunks(source):
            checked = self.model.check(chunk.rows)
            if not rows:
                _, names = new_columns(chunk.columns, self.model.classes, self.model.reach)
                writer.writerow(self._line(names))
                self._say(finding.message for finding in checked.table_findings)
            answers = answer_rows(
                self.model.predictor, self.model.features, checked.rows, is_regression=self.model.is_regression
            )
            for written, answer, findings in zip(chunk.written, answers, checked.findings, strict=True):
                cells = answer_cells(answer, findings, classes=self.model.classes, reach=self.model.reach)
                writer.writerow(self._line([*written, *cells]))
            for bad in chunk.bad:
                said += 1
                if said <= _SAID_AT_MOST:
                    self._say([f"Line {bad.line:,} is left out. {bad.sentence}"])
            rows += len(chunk.rows)
        if said > _SAID_AT_MOST:
            self._say([f"{said - _SAID_AT_MOST:,} more lines are left out."])

    def _refuse(self, source: BinaryIO) -> None:
        first = 0
        for chunk in self._chunks(source):
            for bad in chunk.bad:
                raise InvalidInput(f"Line {bad.line:,} does not fit the header. {bad.sentence}")
            try:
                self.model.check(chunk.rows, strict=True)
            except InvalidInput as error:
                fields = {_place(key, first): fault for key, fault in error.fields.items()}
                hint = "Correct the file, or leave out --strict."
                raise InvalidInput(error.message, fields=fields, hint=hint) from error
            first += len(chunk.rows)

    def _chunks(self, source: BinaryIO) -> Iterator[Chunk]:
        return read_rows(source, features=self.model.features, date_order=self.options.dates)

    def _line(self, cells: list[str]) -> list[str]:
        return [harmless(cell) for cell in cells] if self.options.for_spreadsheets else cells

    def _say(self, sentences: Any) -> None:
        for sentence in sentences:
            print(sentence, file=self.messages)


def _place(key: str, first: int) -> str:
    """Where in a file something is, for people; ``first``: how many rows come before these."""
    _, number, column = key.split(".", 2)
    return column if number == EVERY_ROW else f"row {first + int(number) + 1:,}, {column}"
