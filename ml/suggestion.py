"""Which column a person probably wants to predict, with the reason. It is only ever suggested."""

import re
from collections.abc import Sequence

from ml.column_types import ColumnType, is_id_name
from ml.profile_records import Associations, ColumnProfile, TargetSuggestion

_SURE_NAME = re.compile(
    r"(?i)(?:.*[_\- .])?(?:target|label|outcome|response|y|ground[_ ]?truth)|"
    r"(?i:survived|churn(?:ed)?|default(?:ed)?|is_?fraud|diagnosis|species)"
)
_USUAL_NAME = re.compile(
    r"(?i)(?:.*[_\- .]|is|has)?(?:class|survival|price|value|fraud|variety|cultivar|progression|quality|income|"
    r"salary|revenue|sales|cost|amount|score|rating|grade|risk|status|result|type|category|won|winner|bought|"
    r"purchased|converted|clicked|approved|deposit|medv|demand|count)"
)
_MAX_CLASSES = 100
_MAX_MISSING = 0.2
_MIN_ROWS = 30
_OTHERS = 3
_CLEARLY = 0.5


def suggest_target(columns: Sequence[ColumnProfile], associations: Associations | None) -> TargetSuggestion | None:
    """None where no column can be predicted."""
    scored = []
    has_x = any(column.name.lower() == "x" for column in columns)  # then y is a coordinate
    for place, column in enumerate(columns):
        if _can_be_predicted(column):
            score, reasons = _score(column, place, len(columns), associations, has_x=has_x)
            scored.append((score, -place, column.name, _sentence(column, reasons)))
    if not scored:
        return None
    (_, _, name, reason), *others = sorted(scored, reverse=True)
    # A runner-up has more to it than being a column that can be predicted.
    named = tuple((other, why) for score, _, other, why in others if score >= 1)[:_OTHERS]
    return TargetSuggestion(column=name, reason=reason, others=named)


def _can_be_predicted(column: ColumnProfile) -> bool:
    if column.type in (ColumnType.DATE, ColumnType.TEXT, ColumnType.ID) or is_id_name(column.name):
        return False
    if _numbers_rows(column):
        return False
    if column.unique < 2 or column.present < _MIN_ROWS or column.missing > _MAX_MISSING * column.rows:
        return False
    is_number = column.type in (ColumnType.INTEGER, ColumnType.NUMERIC)
    return is_number or column.unique <= min(_MAX_CLASSES, column.present // 10)


def _numbers_rows(column: ColumnProfile) -> bool:
    """Whether it counts the rows, from whatever number on."""
    if column.type != ColumnType.INTEGER or column.missing or column.minimum is None or column.maximum is None:
        return False
    return column.unique >= column.rows == int(column.maximum) - int(column.minimum) + 1


def _score(
    column: ColumnProfile, place: int, width: int, associations: Associations | None, *, has_x: bool
) -> tuple[float, list[str]]:
    score, reasons = 0.5 * place / width, []
    if _SURE_NAME.fullmatch(column.name) and not (column.name.lower() == "y" and has_x):
        score += 5.5
        reasons.append("its name says so")
    elif _USUAL_NAME.fullmatch(column.name):
        score += 2.5
        reasons.append("its name is usual for what is predicted")
    if width > 1 and place == width - 1:
        score += 1.5
        reasons.append("it is the last column")
    elif width > 1 and place == 0:
        score += 1
        reasons.append("it is the first column")
    if column.unique == 2:
        score += 1
    elif column.type in (ColumnType.BOOLEAN, ColumnType.CATEGORY):
        score += 0.5
    if column.missing:
        score -= 0.5
    best = _strongest(column.name, associations)
    if best is not None:
        score += best[1]
        if best[1] >= _CLEARLY:
            reasons.append(f"other columns say something about it (`{best[0]}` most: {best[1]:.2f})")
    return score, reasons


def _strongest(name: str, associations: Associations | None) -> tuple[str, float] | None:
    """The column with the closest association, but for one that says the same in other words."""
    if associations is None or name not in associations.names:
        return None
    same = {other for pair in associations.equivalent if name in pair for other in pair}
    row = associations.matrix[associations.names.index(name)]
    found = [
        (abs(figure), other)
        for other, figure in zip(associations.names, row, strict=True)
        if figure is not None and other != name and other not in same
    ]
    if not found:
        return None
    figure, other = max(found, key=lambda pair: pair[0])
    return other, figure


def _sentence(column: ColumnProfile, reasons: Sequence[str]) -> str:
    if column.type in (ColumnType.INTEGER, ColumnType.NUMERIC) and column.unique > 2:
        what = f"it holds numbers ({column.unique:,} different ones)"
    else:
        what = f"it has {column.unique:,} different values"
    listed = [*reasons, what]
    joined = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])}, and {listed[-1]}"
    return f"`{column.name}`: {joined}."
