"""Lines of the result of a batch: the columns of the file as they are, and beside them what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.conformal import Reach

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATOR: Final = " | "
_RISKY: Final = '[",\r\n]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model says of the rows of one part: ``labels`` by row and ``shares`` (a column for each class), or
    ``numbers``."""

    numbers: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None
    shares: NDArray[np.float64] | None = None


def new_columns(
    names: Sequence[str], classes: Sequence[str], reach: Reach | None
) -> tuple[dict[str, str], list[str]]:
    """What the added columns are called, by what they would be called; and all names in order.

    A name that a column of the file has already gets a number.
    """
    wanted = ["prediction", *(f"probability_{name}" for name in classes)]
    if reach is not None:
        wanted += ["prediction_set"] if classes else ["prediction_low", "prediction_high"]
    wanted.append("findings")
    taken, given = set(names), {}
    for name in wanted:
        choice, number = name, 1
        while choice in taken:
            number += 1
            choice = f"{name}_{number}"
        taken.add(choice)
        given[name] = choice
    return given, [*names, *given.values()]


def lines(
    texts: Sequence[Any],
    answers: Answers,
    classes: Sequence[str],
    reach: Reach | None,
    findings: Sequence[str | None],
) -> memoryview:
    """The bytes of one part of the file, each line with its end."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_quoted(column) for column in texts]
    if answers.numbers is not None:
        columns += _number_columns(answers.numbers, reach)
    else:
        assert answers.labels is not None
        assert answers.shares is not None
        names = _quoted(pa.array(classes, pa.string()))
        columns.append(names.take(pa.array(answers.labels)))
        columns += [_as_text(answers.shares[:, place]) for place in range(len(classes))]
        if reach is not None:
            columns.append(_quoted(_sets(answers.shares, classes, reach)))
    said = _quoted(pa.array(findings, pa.string()).fill_null(""))
    columns.append(pc.binary_join_element_wise(said, "\n", ""))
    joined = pc.binary_join_element_wise(*columns, ",")
    # An array of text is its values one behind the other.
    offsets = np.frombuffer(joined.buffers()[1], dtype="int32")[joined.offset :]
    return memoryview(joined.buffers()[2])[int(offsets[0]) : int(offsets[len(joined)])]


def _number_columns(numbers: NDArray[np.float64], reach: Reach | None) -> list[Any]:
    if reach is None:
        return [_as_text(numbers)]
    return [_as_text(numbers), _as_text(numbers - reach.reach), _as_text(numbers + reach.reach)]


def _sets(shares: NDArray[np.float64], classes: Sequence[str], reach: Reach) -> pa.Array:
    """``ml.conformal.set_of`` for many rows: the likely classes, most probable first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = shares.sum(axis=1, keepdims=True)
    likely = shares / np.where(whole == 0, 1.0, whole) >= 1 - reach.reach
    sizes = likely.sum(axis=1)
    order = np.argsort(-np.where(likely, shares, -1.0), axis=1, kind="stable")
    names = pa.array([*classes, None], pa.string())
    nobody = len(classes)
    ranks = [
        names.take(pa.array(np.where(sizes > rank, order[:, rank], nobody)))
        for rank in range(int(sizes.max(initial=0)))
    ]
    if not ranks:
        return pa.array([""] * len(shares), pa.string())
    # A row of nothing but nulls would not be in what is joined (pyarrow 24): the empty set is written as nothing.
    ranks[0] = ranks[0].fill_null("")
    return pc.binary_join_element_wise(*ranks, SEPARATOR, null_handling="skip")


def _as_text(numbers: NDArray[np.float64]) -> Any:
    """As short as a number can be written and read again as the same; nothing where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    finite = pa.array(numbers, mask=~np.isfinite(numbers))
    return pc.cast(finite, pa.string()).fill_null("")


def _quoted(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    risky = pc.match_substring_regex(column, _RISKY)
    if not pc.any(risky).as_py():
        return column
    inner = pc.replace_substring(column, '"', '""')
    quote = pa.scalar('"')
    return pc.if_else(risky, pc.binary_join_element_wise(quote, inner, quote, ""), column)
