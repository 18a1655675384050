"""Each column against the chosen target, by a model that knows this column only.

Numbers and dates go to a shallow decision tree, categories to a table of what the target was for each value. The
score is cross-validated on rows spread over the file; rows that are equal, or of one group, are never on both
sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.column_checks import Examined, is_group
from ml.column_parts import Gathered, look_at_part
from ml.column_scan import Scanner
from ml.column_types import PLAIN, ColumnType, ValueFormat
from ml.leakage import check_relations, describe
from ml.one_column import Answers, Feature, class_answers, features_of, folds_of, number_answers, score
from ml.problem import ProblemType
from ml.profile_records import ColumnProfile, Relation, TargetRelation
from ml.profiling import TargetSummary, target_summary
from ml.sampling import Sample, take_sample
from ml.scan import open_table, read_head
from ml.targets import decide_problem

# Beyond these a relation gets no clearer, and thousands of columns have to be waited for.
ROWS = 20_000
_FEWER_ROWS = 4_000
_MANY_COLUMNS = 200
# Rows of thousands of columns are long, and of fewer than a thousand little can be said.
_SAMPLE_BYTES = 64 << 20
# The library that scores takes 100 MB itself, so fewer columns are in memory beside it.
_AT_ONCE = 25
_MEMORY_LIMIT = "128MB"


def relate(
    path: Path, *, target: str, formats: ValueFormat = PLAIN, overrides: Mapping[str, ColumnType]
) -> TargetRelation:
    """How much each column of a normalised CSV file says about ``target``.

    :raises InvalidTarget: there is no such column, or nothing can be learned from it.
    """
    summary = target_summary(path, target, formats, kind=overrides.get(target))
    problem_type = decide_problem(summary).problem_type
    names, head = read_head(path)
    rows = ROWS if len(names) <= _MANY_COLUMNS else _FEWER_ROWS
    sample = take_sample(path, width=len(names), rows=rows, sample_bytes=_SAMPLE_BYTES, in_parts=False)
    try:
        with open_table(
            sample.path, len(names), memory_limit=_MEMORY_LIMIT, threads=1, longest=sample.longest
        ) as table:
            scanner = Scanner(table.connection, names, formats=formats, blanks=sample.blanks, overrides=overrides)
            return _Relating(scanner, sample, head, summary, problem_type, rows).run()
    finally:
        if not sample.is_whole:
            sample.path.unlink()


class _Relating:
    def __init__(
        self,
        scanner: Scanner,
        sample: Sample,
        head: Sequence[Sequence[str]],
        summary: TargetSummary,
        problem_type: ProblemType,
        rows: int,
    ) -> None:
        self._scanner, self._head = scanner, head
        self._together = min(sample.part, _AT_ONCE)
        self._summary, self._problem_type, self._rows = summary, problem_type, rows
        self._target = scanner.names.index(summary.name)
        self._got = Gathered()

    def run(self) -> TargetRelation:
        self._look_at_parts()
        scanner, target = self._scanner, self._target
        every = max(1, round(self._got.sampled_rows / self._rows))
        answers = self._answers(every)
        group = self._group()
        keys = self._got.row_hashes[::every]
        if group is not None:
            keys = features_of(scanner, {group.index: group.profile}, every=every)[group.index].keys
        folds = folds_of(keys[answers.known], answers)
        relations = []
        others = [column for column in self._got.columns if column.index != target]
        for start in range(0, len(others), self._together):
            some = others[start : start + self._together]
            features = features_of(scanner, {column.index: column.profile for column in some}, every=every)
            for column in some:
                feature = features[column.index].only(answers.known)
                relations.append(self._relation(column, feature, answers, folds))
        relations.sort(key=lambda relation: -relation.strength)
        relations = describe(relations, self._summary.name, self._problem_type)
        return TargetRelation(
            target=self._summary.name,
            problem_type=self._problem_type,
            rows=self._summary.rows - self._summary.missing,
            rows_used=int(answers.known.sum()),
            group_column=None if group is None else group.profile.name,
            relations=tuple(relations),
            checks=check_relations(relations, self._summary, self._problem_type),
            note=self._note(answers, group),
        )

    def _look_at_parts(self) -> None:
        width = len(self._scanner.names)
        for start in range(0, width, self._together):
            columns = range(start, min(start + self._together, width))
            self._got.keep(look_at_part(self._scanner, columns, self._head, self._got))

    def _answers(self, every: int) -> Answers:
        profile = self._got.columns[self._target].profile
        if self._problem_type == ProblemType.REGRESSION:
            return number_answers(self._feature(replace(profile, type=ColumnType.NUMERIC), every))
        # 1 and 1.0 are one class.
        kind = ColumnType.NUMERIC if profile.type in (ColumnType.INTEGER, ColumnType.NUMERIC) else profile.type
        return class_answers(self._feature(replace(profile, type=kind), every))

    def _feature(self, profile: ColumnProfile, every: int) -> Feature:
        return features_of(self._scanner, {self._target: profile}, every=every)[self._target]

    def _group(self) -> Examined | None:
        """The column that groups the rows, if there is one: the coarsest by which enough groups remain."""
        found = [column for column in self._got.columns if column.index != self._target and is_group(column)]
        return min(found, key=lambda column: column.look.facts.distinct, default=None)

    def _relation(self, column: Examined, feature: Feature, answers: Answers, folds: NDArray[np.int64]) -> Relation:
        figure, without_values = score(feature, answers, folds)
        return Relation(
            column=column.profile.name,
            score=figure,
            metric=answers.metric,
            baseline=answers.baseline,
            strength=answers.strength(figure),
            suspicion="",
            sentence="filled" if without_values >= 0.8 * answers.strength(figure) > 0 else "",
        )

    def _note(self, answers: Answers, group: Examined | None) -> str:
        used, rows = int(answers.known.sum()), self._summary.rows - self._summary.missing
        which = f"all {rows:,} rows" if used == rows else f"{used:,} of {rows:,} rows, spread evenly over the file,"
        note = f"Each column alone, scored on {which} that have a target, with 5-fold cross-validation. "
        if group is not None:
            return note + f"Rows with the same `{group.profile.name}` are kept on one side of each cut."
        return note + "Equal rows are kept on one side of each cut."
