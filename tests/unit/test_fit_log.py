"""What a fit says: known kinds of lines in words of our own, and never a value, a column's name or a path."""

import logging

import pytest

from ml.fit_log import LONGEST, Reader, overheard
from ml.problem import ProblemType
from tests.unit.ml_samples import cancer, fit

SAID = [
    ("Beginning AutoGluon training ... Time limit = 60s", "The fit begins, for 60 s at most"),
    ("Train Data Rows:    1712", "1,712 rows to learn from"),
    (
        "Automatically generating train/validation split with holdout_frac=0.2, Train Rows: 569, Val Rows: 143",
        "569 rows to learn from, 143 to choose by",
    ),
    (
        "Fitting model: LightGBMXT ... Training model for up to 19.71s of the 59.7s of remaining time.",
        "LightGBMXT: fitting, with up to 20 s of the 60 s left",
    ),
    (
        "\t-43618.8123\t = Validation score   (-root_mean_squared_error)",
        "{}: validation root mean squared error 43618.8",
    ),
    ("\t0.8101\t = Validation score   (accuracy)", "{}: validation accuracy 0.8101"),
    ("\t1.52s\t = Training   runtime", "{}: fitted in 1.5 s"),
    ("\tTime limit exceeded... Skipping CatBoost_BAG_L1.", "CatBoost_BAG_L1: left out, its time was up"),
    (
        "Fitting model: WeightedEnsemble_L2 ... Training model for up to 59.7s of the -0.5s of remaining time.",
        "WeightedEnsemble_L2: fitting",
    ),
    (
        "AutoGluon training complete, total runtime = 9.41s ... Best model: WeightedEnsemble_L2 | Estimated",
        "The fit is complete after 9.4 s",
    ),
]
KEPT_TO_ITSELF = [
    'AutoGluon will save models to "/srv/data/model_123/predictor"',
    "Label Column:       salary of Ada",
    "\t2 unique label values:  ['Ada Lovelace', 'Alan Turing']",
    "\t\t('object', []) : 3 | ['name', 'street', 'secret']",
    "\tWarning: Exception caused Ada Lovelace to fail",
    "Fitting model: /etc/passwd ...",
    "Tuning Data Rows:    12 Ada",
    "\t0.8\t = Validation score   (Ada)",
    "mongodb://admin:hunter2@host/",
    "",
]


def test_known_lines_are_said_in_words_of_our_own():
    reader = Reader()
    assert [reader.read(line) for line, _ in SAID] == [text.format("LightGBMXT") for _, text in SAID]


@pytest.mark.parametrize("line", KEPT_TO_ITSELF)
def test_everything_else_is_dropped(line):
    assert Reader().read(line) is None


def test_a_line_is_short_whatever_a_model_is_called():
    said = Reader().read(f"\tTime limit exceeded... Skipping L{'x' * 500}.")
    assert said is not None
    assert len(said) <= LONGEST


def test_a_real_fit_is_heard_and_its_values_and_names_are_not(tmp_path, caplog):
    lines: list[str] = []
    with caplog.at_level(logging.DEBUG):
        fit(cancer(), "outcome", ProblemType.BINARY, tmp_path / "predictor", on_line=lines.append)
    assert any(line.startswith("LinearModel: validation accuracy") for line in lines)
    assert any("rows to learn from" in line for line in lines)
    assert any("complete" in line for line in lines)
    everything = "\n".join(lines)
    for secret in ("benign", "malignant", "mean radius", "outcome", str(tmp_path)):
        assert secret not in everything
    # What was only overheard does not reach the log.
    assert not [
        record for record in caplog.records if record.levelno < logging.WARNING and "autogluon" in record.name
    ]


def test_afterwards_the_loggers_are_as_before():
    top, inner = logging.getLogger("autogluon"), logging.getLogger("autogluon.core")
    before = (top.handlers[:], top.propagate, inner.level)
    with pytest.raises(ZeroDivisionError), overheard(lambda line: None):
        raise ZeroDivisionError
    assert (top.handlers, True, inner.level) == (before[0], top.propagate, before[2])
