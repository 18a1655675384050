"""Twins with believable facts and trees of chance."""

import random
from datetime import datetime, timedelta
from typing import Any

DAY = datetime(2020, 1, 1)
CITIES = ["Rome", "Oslo", "<b>Lima</b>"]


def make_twin(
    problem_type: str = "binary", *, kind: str = "trees", seed: int = 1, **agreement: Any
) -> dict[str, Any]:
    """A stored twin with a column of each kind."""
    chance = random.Random(seed)
    classes = {"binary": ["goes", "stays"], "multiclass": ["a", "</script>", "c"], "regression": []}[problem_type]
    common = {"gaps": True, "whole": False, "low": None, "high": None, "values": [], "usual": None}
    twin = {
        "format": 1,
        "problem_type": problem_type,
        "target": "left",
        "classes": classes,
        "positive": 1 if problem_type == "binary" else None,
        "threshold": 0.4,
        "inputs": [
            {
                **common,
                "name": "age",
                "kind": "number",
                "low": 20,
                "high": 69,
                "usual": 44,
                "whole": True,
                "gaps": False,
            },
            {**common, "name": "income", "kind": "number", "low": 100.5, "high": 5000.25, "usual": 2000.5},
            {**common, "name": "city", "kind": "category", "values": CITIES, "usual": "Rome"},
            {
                **common,
                "name": "joined",
                "kind": "date",
                "low": "2020-01-01T00:00:00",
                "high": "2023-01-01T00:00:00",
            },
            {**common, "name": "member", "kind": "boolean", "usual": True},
        ],
        "columns": [
            *(["value", 0], ["value", 1], ["gap", 1], *(["is", 2, city] for city in CITIES)),
            *(["value", 3], ["value", 4]),
        ],
        "unused": ["remark"],
        "kind": kind,
        "learned_from": {"training_rows": 800, "held_out_rows": 0, "made_up_rows": 3200},
        "agreement": {
            "rows": 200,
            "fidelity": 0.985,
            "typical_difference": 0.0123,
            "is_good": True,
            "metric": "root_mean_squared_error" if problem_type == "regression" else "accuracy",
            "lower_is_better": problem_type == "regression",
            "twin_score": 0.84,
            "model_score": 0.86,
            **agreement,
        },
    }
    count = 3 if problem_type == "multiclass" else 1
    if kind == "trees":
        twin["outputs"] = [{"trees": [_tree(chance, 5) for _ in range(40)]} for _ in range(count)]
    else:
        width = len(twin["columns"])
        twin["outputs"] = [
            {
                "intercept": chance.gauss(0, 1),
                "weights": [chance.gauss(0, 0.01) for _ in range(width)],
                "centres": [chance.gauss(10, 5) for _ in range(width)],
            }
            for _ in range(count)
        ]
    return twin


def make_rows(count: int, *, seed: int = 2) -> list[dict[str, Any]]:
    """Rows as ``ml.prediction.check_rows`` gives them, with gaps and with values never seen."""
    chance = random.Random(seed)

    def gap(value: Any) -> Any:
        return None if chance.random() < 0.15 else value

    return [
        {
            "age": chance.randint(10, 90),
            "income": gap(chance.uniform(-10, 1e6)),
            "city": gap(chance.choice([*CITIES, "Köln"])),
            "joined": gap(_moment(chance).isoformat()),
            "member": gap(chance.random() < 0.5),
        }
        for _ in range(count)
    ]


def _moment(chance: random.Random) -> datetime:
    day = DAY + timedelta(days=chance.randrange(-40_000, 2000))
    return day + timedelta(microseconds=chance.choice([0, 0, chance.randrange(86_400) * 10**6, 3_600_123_456]))


def _tree(chance: random.Random, depth: int) -> Any:
    if depth == 0 or chance.random() < 0.1:
        return chance.gauss(0, 0.3)
    column = chance.randrange(8)
    low, high = [(20, 69), (0, 5000), (0, 1), (0, 1), (0, 1), (0, 1), (10_000, 20_000), (0, 1)][column]
    children = _tree(chance, depth - 1), _tree(chance, depth - 1)
    return [column, chance.uniform(low, high), chance.randrange(2), *children]
