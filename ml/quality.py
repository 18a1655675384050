"""Quality checks of a table: those of its columns, and those of rows and of pairs of columns."""

from collections.abc import Iterator, Sequence

from ml.column_checks import COLUMN_CHECKS, Examined, Finding
from ml.profile_records import Associations, Check

# Of each kind of check so many are listed; of the rest the columns are named.
_LISTED = 20
_MANY_DUPLICATES = 0.01


def check_table(
    columns: Sequence[Examined],
    *,
    duplicate_rows: int | None,
    duplicate_rows_exact: bool,
    duplicate_columns: Sequence[tuple[str, str]],
    associations: Associations | None,
) -> tuple[Check, ...]:
    rows = columns[0].profile.rows if columns else 0
    checks = [_duplicate_rows(duplicate_rows, rows, exact=duplicate_rows_exact)]
    checks += _duplicate_columns(duplicate_columns, associations)
    for kind, look, all_well in COLUMN_CHECKS:
        found = ((column.profile.name, look(column)) for column in columns)
        made = [_check(kind, name, finding) for name, finding in found if finding is not None]
        checks += _shortened(kind, made) or [
            Check(kind=kind, status="passed", column=None, evidence=all_well, action="")
        ]
    return tuple(checks)


def _check(kind: str, column: str | None, finding: Finding) -> Check:
    status, evidence, action = finding
    return Check(kind=kind, status=status, column=column, evidence=evidence, action=action)


def _shortened(kind: str, checks: Sequence[Check]) -> list[Check]:
    ordered = sorted(checks, key=lambda check: check.status != "alert")
    if len(ordered) <= _LISTED:
        return ordered
    shown, rest = ordered[: _LISTED - 1], ordered[_LISTED - 1 :]
    names = ", ".join(f"`{check.column}`" for check in rest[:_LISTED])
    more = ", …" if len(rest) > _LISTED else ""
    evidence = f"The same goes for {len(rest):,} more columns: {names}{more}."
    return [*shown, Check(kind=kind, status=rest[0].status, column=None, evidence=evidence, action=rest[0].action)]


def _duplicate_rows(count: int | None, rows: int, *, exact: bool) -> Check:
    kept = "Equal rows stay on one side when rows are held out. Remove them if they are errors."
    if count is None:
        finding: Finding = ("passed", "Equal rows were not counted: the table is too large for that.", "")
    elif not count:
        among = f"the {rows:,} rows" if exact else "the rows that were compared"
        finding = ("passed", f"No two of {among} are equal in all columns.", "")
    else:
        about = "" if exact else "about "
        verb = "repeats" if count == 1 else "repeat"
        evidence = f"{about}{count:,} of {rows:,} rows {verb} an earlier row in all columns.".capitalize()
        finding = ("alert" if count >= _MANY_DUPLICATES * rows else "done", evidence, kept)
    return _check("duplicate_rows", None, finding)


def _duplicate_columns(pairs: Sequence[tuple[str, str]], associations: Associations | None) -> list[Check]:
    checks = [
        _check(
            "duplicate_columns",
            copy,
            ("alert", f"`{copy}` equals `{first}` in every row.", "Leave one of them out."),
        )
        for first, copy in pairs
    ]
    for first, copy, rows in _same_in_other_words(associations):
        if (first, copy) not in pairs:
            evidence = (
                f"`{first}` and `{copy}` say the same in other words: each value of one goes with one of the other"
            )
            finding: Finding = ("alert", f"{evidence} ({rows:,} rows compared).", "Leave one of them out.")
            checks.append(_check("duplicate_columns", copy, finding))
    all_well: Finding = ("passed", "No two columns are equal or say the same in other words.", "")
    return _shortened("duplicate_columns", checks) or [_check("duplicate_columns", None, all_well)]


def _same_in_other_words(associations: Associations | None) -> Iterator[tuple[str, str, int]]:
    if associations is not None:
        for first, second in associations.equivalent:
            yield first, second, associations.sampled_rows
