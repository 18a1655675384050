"""Predicts a whole file: ``python -m ml.batch``, a child process without a secret in its environment.

The frame is that of ``ml.task``; this is what it is asked, and what it says on the way::

    {"model": DIRECTORY, "table": PATH, "rows": N, "result": PATH, "formats": {...}, "reach": {...} | null,
     "target": COLUMN, "is_scored": B, "reference": PATH | null, "mode": "lenient" | "strict"}

    {"stage": S, "progress": P}               now and then, P from 0 to 1

TABLE is a normalised CSV (``ml.tables.normalise``). It is read in parts of bounded size, so memory does not grow
with it: each part is checked (``ml.batch_columns``), predicted, and written to RESULT (``ml.batch_lines``). What
comes back is a summary of what was found: no rows.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from ml.batch_columns import CheckedPart, Columns
from ml.batch_lines import Answers, lines, new_columns
from ml.batch_score import Scorer
from ml.conformal import Reach
from ml.drift import Tally
from ml.evaluation import class_name
from ml.loading import Loaded, load
from ml.prediction import Finding, Mode
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from ml.reading import as_csv
from ml.task import Say, main
from ml.value_formats import ValueFormat
from smartml.errors import InvalidInput

FORMAT: Final = 1
PART_ROWS: Final = 20_000
_BLOCK_BYTES: Final = 4 << 20
_SAY_SECONDS: Final = 0.5
_COUNTS_KEPT: Final = 500
_WORDS: Final = {
    "missing": "there is no value",
    "wrong_type": "the value is of another type",
    "unseen_category": "the value was never seen during training",
    "out_of_range": "the value is outside what was seen during training",
    "rounded": "it is no whole number",
}


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The result in its file, and the summary."""
    say({"stage": "Loading the model", "progress": 0.0})
    with quiet_autogluon():
        loaded = load(Path(request["model"]))
        return _Batch(request, loaded, say).run()


class _Batch:
    def __init__(self, request: Mapping[str, Any], loaded: Loaded, say: Say) -> None:
        self.table, self.target = Path(request["table"]), str(request["target"])
        self.names = _header(self.table)
        self.total = int(request["rows"])
        self.mode = Mode(request.get("mode", Mode.LENIENT))
        self.reach = Reach(**request["reach"]) if request.get("reach") else None
        self.result = Path(request["result"])
        self.say = say
        self.predictor = loaded.predictor
        is_numeric = loaded.problem_type is ProblemType.REGRESSION
        labels = [] if is_numeric else list(self.predictor.class_labels)
        self.classes = [class_name(label) for label in labels]
        self.places = {label: place for place, label in enumerate(labels)}
        self.labels = labels
        formats = ValueFormat(**request["formats"])
        reference = request.get("reference")
        self.tally = Tally(json.loads(Path(reference).read_bytes())) if reference else None
        self.columns = Columns(
            loaded.features,
            self.names,
            formats=formats,
            rows=self.total,
            unused={*loaded.unused, self.target},
            tally=self.tally,
        )
        self.scorer: Scorer | None = None
        if self.target in self.names and request.get("is_scored", True):
            is_binary = loaded.problem_type is ProblemType.BINARY
            self.scorer = Scorer(
                metric=str(self.predictor.eval_metric.name),
                formats=formats,
                classes=labels,
                positive=self.places[self.predictor.positive_class] if is_binary else None,
            )

    def run(self) -> dict[str, Any]:
        if self.mode is Mode.STRICT and self.columns.table_findings:
            raise _refusal(None, self.columns.table_findings[0])
        given, header = new_columns(self.names, self.classes, self.reach)
        done, said_at = 0, 0.0
        with self.result.open("wb") as out:
            out.write(as_csv([header]))
            for texts in _parts(self.table, len(self.names)):
                self._predict(texts, done, out)
                done += len(texts[0])
                if time.monotonic() - said_at > _SAY_SECONDS:
                    said_at = time.monotonic()
                    stage = f"{done:,} of {self.total:,} rows predicted"
                    self.say({"stage": stage, "progress": min(1.0, done / max(self.total, 1))})
        self.say({"stage": "Comparing with the training", "progress": 1.0})
        return self._summary(done, given)

    def _predict(self, texts: list[Any], done: int, out: BinaryIO) -> None:
        part = self.columns.check(texts)
        self._refuse(part, done)
        answers = self._answers(part)
        if self.scorer is not None:
            predicted = answers.labels if answers.numbers is None else answers.numbers
            assert predicted is not None
            self.scorer.add(texts[self.names.index(self.target)], predicted, answers.shares)
        out.write(lines(texts, answers, self.classes, self.reach, part.findings))

    def _refuse(self, part: CheckedPart, done: int) -> None:
        if self.mode is Mode.STRICT and part.first is not None:
            row, finding = part.first
            raise _refusal(done + row + 1, finding)

    def _answers(self, part: CheckedPart) -> Answers:
        if not self.classes:
            return Answers(numbers=self.predictor.predict(part.frame).to_numpy(dtype="float64"))
        shares = self.predictor.predict_proba(part.frame, as_pandas=True)
        labels = self.predictor.predict_from_proba(shares).map(self.places).to_numpy(dtype="int64")
        return Answers(labels=labels, shares=shares[self.labels].to_numpy(dtype="float64"))

    def _summary(self, done: int, given: Mapping[str, str]) -> dict[str, Any]:
        counts = [
            {"column": column, "kind": kind, "rows": rows}
            for (column, kind), rows in self.columns.counts.most_common(_COUNTS_KEPT)
        ]
        score = None if self.scorer is None else self.scorer.result()
        return {
            "format": FORMAT,
            "rows": done,
            "odd_rows": self.columns.odd_rows,
            "counts": counts,
            "table_findings": [
                {"column": finding.field, "kind": finding.kind, "message": finding.message}
                for finding in self.columns.table_findings
            ],
            "renamed": {wanted: name for wanted, name in given.items() if wanted != name},
            "level": None if self.reach is None else self.reach.level,
            "classes": self.classes,
            "score": score,
            "drift": None if self.tally is None else self.tally.drift(),
        }


def _refusal(row: int | None, finding: Finding) -> InvalidInput:
    """Why the file was refused; without the value, which belongs to nobody but its owner."""
    if row is None:
        return InvalidInput(
            f"The columns are not those of the training, first of all “{finding.field}”.",
            hint="Correct the header, or have odd rows answered all the same.",
        )
    return InvalidInput(
        f"Row {row:,} does not fit: in “{finding.field}” {_WORDS.get(finding.kind, 'something is odd')}.",
        hint="Correct the file, or have odd rows answered all the same.",
    )


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _parts(path: Path, width: int) -> Iterator[list[Any]]:
    """The columns of some thousand rows at a time, as they are written, in order.

    Cut by hand: the reader of pyarrow that streams a file reads 32 blocks ahead of whoever uses them.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [f"c{place}" for place in range(width)]
    for number, block in enumerate(_blocks(path)):
        table = arrow_csv.read_csv(
            pa.BufferReader(block),
            read_options=arrow_csv.ReadOptions(
                column_names=names,
                skip_rows_after_names=0 if number else 1,
                block_size=len(block) + 1,
                use_threads=False,
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
        for batch in table.combine_chunks().to_batches():
            for start in range(0, batch.num_rows, PART_ROWS):
                yield batch.slice(start, PART_ROWS).columns


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in pieces of whole records: a line ends a record where the quotes before it come in pairs."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_BLOCK_BYTES):
            rest += piece
            data = np.frombuffer(rest, dtype=np.uint8)
            inside = np.logical_xor.accumulate(data == ord('"'))
            ends = np.flatnonzero((data == ord("\n")) & ~inside)
            if len(ends):
                end = int(ends[-1]) + 1
                block, rest = rest[:end], rest[end:]
                yield block
    if rest:
        yield rest


if __name__ == "__main__":
    main(carry_out)
