"""Keeps predictors in memory and answers one row at a time: ``python -m ml.serving``, a child process.

Protocol: one JSON object a line on stdin, one JSON object a line on stdout, strictly in turn. ``id``, if given,
comes back as it was. The process ends when stdin ends, so it never outlives its parent.

    {"op": "load", "key": K, "directory": D, "budget_bytes": N}
        -> {"loaded": K, "bytes": B, "evicted": [K2, ...]}
    {"op": "predict", "key": K, "rows": [{feature: value, ...}, ...]}
        -> {"predictions": [{"prediction": P, "probabilities": {class: share, ...} | null}, ...]}
    {"op": "explain", "key": K, "row": {feature: value, ...}, "ranking": [feature, ...], "holdout": PATH}
        -> {"explanation": {...}}                 see ``ml.local_explanation``
    {"op": "examples", "key": K, "holdout": PATH}
        -> {"examples": [...]}                    see ``ml.example_rows``
    {"op": "unload", "key": K} -> {"unloaded": true | false}
    {"op": "status"}           -> {"keys": [least recently used, ..., most recently used], "bytes": B}
    anything that fails        -> {"error": {"code": C, "message": M}}

D is a directory made by ``ml.bundle.unpack`` and may be deleted as soon as the answer to ``load`` is there.
Rows are those of ``ml.prediction.check_row``. ``predict`` for a key that is not in memory (never loaded, or
evicted) has the error code ``not_loaded``: load it and ask again. ``explain`` and ``examples`` need the rows held
out, a file of ``ml.holdout_rows``: with the first such request, and to explain a row of them (``"place": N`` in
place of ``row``); without it they have the error code ``no_rows``. Everything the libraries print goes to stderr.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from threadpoolctl import ThreadpoolController

from ml import bundle, example_rows, loading, local_explanation, quick_row
from ml.answering import Answer, answer_rows
from ml.child import keep_stdout
from ml.prediction import Feature, to_frame
from ml.problem import ProblemType
from ml.quiet import quiet_autogluon
from smartml.errors import InvalidInput, SmartMLError, trace_without_values

logger = logging.getLogger("ml.serving")

_MAX_LINE_BYTES = 64 * 2**20
_FEW_ROWS = 200


class NotLoaded(SmartMLError):
    """This predictor is not in memory."""

    status = 409
    code = "not_loaded"


class NoRows(SmartMLError):
    """The rows to compare with are not in memory."""

    status = 409
    code = "no_rows"


@dataclass(slots=True)
class _Loaded:
    predictor: Any
    features: tuple[Feature, ...]
    is_regression: bool
    size: int
    threads: ThreadpoolController
    quick: quick_row.QuickRow | None = None
    usual: Any = None


class Predictors:
    """Loaded predictors, least recently used first, bounded by what they take in memory."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self._loaded.values())

    def keys(self) -> list[str]:
        return list(self._loaded)

    def load(self, key: str, directory: Path, budget_bytes: int) -> tuple[int, list[str]]:
        """Load, persist in memory and warm up; returns the bytes it takes and the keys evicted for it.

        The newest predictor stays even when it alone is over the budget: it has been asked for.
        """
        self._loaded.pop(key, None)
        entry = _load(directory)
        self._loaded[key] = entry
        evicted = []
        while self.size > budget_bytes and len(self._loaded) > 1:
            evicted.append(self._loaded.popitem(last=False)[0])
        return entry.size, evicted

    def unload(self, key: str) -> bool:
        return self._loaded.pop(key, None) is not None

    def examples(self, key: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        entry = self._entry(key)
        if "holdout" in request:
            entry.usual = local_explanation.usual_rows(Path(request["holdout"]))
        if entry.usual is None:
            raise NoRows("The rows held out are not in memory.")
        return example_rows.examples(entry.usual, entry.features, target=str(entry.predictor.label))

    def _entry(self, key: str) -> _Loaded:
        entry = self._loaded.get(key)
        if entry is None:
            raise NotLoaded("This model is not in memory.")
        self._loaded.move_to_end(key)
        return entry

    def explain(self, key: str, request: Mapping[str, Any]) -> dict[str, Any]:
        entry = self._entry(key)
        with quiet_autogluon():
            path = Path(request["holdout"]) if "holdout" in request else None
            if path is not None:
                entry.usual = local_explanation.usual_rows(path)
            if entry.usual is None or (path is None and "place" in request):
                raise NoRows("The rows held out are not in memory.")
            if path is not None and "place" in request:
                row = local_explanation.row_at(path, int(request["place"]))
            else:
                row = to_frame(entry.features, [request["row"]])
            return local_explanation.explain(
                entry.predictor, entry.features, row, entry.usual, ranking=request["ranking"]
            )

    def predict(self, key: str, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return _predict(self._entry(key), rows)


def _load(directory: Path) -> _Loaded:
    home = directory / bundle.PREDICTOR
    with quiet_autogluon():
        loading.import_libraries(home)
        before = _resident_bytes()
        loaded = loading.load(directory)
        predictor, features = loaded.predictor, loaded.features
        is_regression = loaded.problem_type is ProblemType.REGRESSION
        # Made anew for each model: it knows the libraries that are loaded by now.
        entry = _Loaded(predictor, features, is_regression, 0, ThreadpoolController())
        # The first prediction compiles and allocates: 30 to 1000 ms that the first person should not wait.
        _predict(entry, [{feature.name: feature.default for feature in features}])
        entry.quick = _quick(predictor, features)
        stored = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        return replace(entry, size=max(_resident_bytes() - before, stored))


def _quick(predictor: Any, features: Sequence[Feature]) -> quick_row.QuickRow | None:
    try:
        return quick_row.learn(predictor, features)
    except Exception as error:  # noqa: BLE001 -- logged; without it rows are answered all the same, only later
        logger.warning("rows are transformed by AutoGluon alone: %s", trace_without_values(error))
        return None


def _predict(entry: _Loaded, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
    # Few rows are not worth a second thread: to wait for it costs more than it does, far more on a busy machine
    # (one row of LightGBM on two busy cores: 2.3 ms of computing instead of 9.0, 7 to 17 ms instead of 33 to 46).
    with entry.threads.limit(limits=1) if len(rows) <= _FEW_ROWS else nullcontext():
        return answer_rows(
            entry.predictor, entry.features, rows, is_regression=entry.is_regression, quick=entry.quick
        )


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:  # not Linux: the peak is the nearest thing there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def answer(predictors: Predictors, request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one request; raises what went wrong."""
    op = request.get("op")
    if op == "load":
        key = str(request["key"])
        size, evicted = predictors.load(key, Path(request["directory"]), int(request["budget_bytes"]))
        return {"loaded": key, "bytes": size, "evicted": evicted}
    if op == "predict":
        return {"predictions": predictors.predict(str(request["key"]), request["rows"])}
    if op == "explain":
        return {"explanation": predictors.explain(str(request["key"]), request)}
    if op == "examples":
        return {"examples": predictors.examples(str(request["key"]), request)}
    if op == "unload":
        return {"unloaded": predictors.unload(str(request["key"]))}
    if op == "status":
        return {"keys": predictors.keys(), "bytes": predictors.size}
    raise InvalidInput(f"There is no operation {op!r}.")


def reply(predictors: Predictors, line: bytes) -> dict[str, Any]:
    """The answer to one line. A request that fails, fails alone."""
    request: Any = None
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise InvalidInput("A request is a JSON object.")
        result = answer(predictors, request)
    except SmartMLError as error:
        result = {"error": {"code": error.code, "message": error.message}}
    except ValueError as error:
        logger.warning("bad request or row: %s", trace_without_values(error))
        result = {"error": {"code": "invalid_input", "message": "The model cannot use these values."}}
    except MemoryError as error:
        logger.error("out of memory: %s", trace_without_values(error))
        result = {"error": {"code": "out_of_memory", "message": "There is not enough memory for this model."}}
    except Exception as error:  # noqa: BLE001 -- logged; one bad request must not end the process
        logger.error("request failed: %s", trace_without_values(error))
        result = {"error": {"code": "prediction_failed", "message": "The model could not make this prediction."}}
    if isinstance(request, dict) and "id" in request:
        result["id"] = request["id"]
    return result


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer line by line until the source ends or nobody reads the answers any more."""
    predictors = Predictors()
    while line := source.readline(_MAX_LINE_BYTES):
        if not line.strip():
            continue
        if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
            # The rest of the line cannot be told from a request: give up rather than answer out of turn.
            raise SystemExit("a request is longer than the limit")
        encoded = json.dumps(reply(predictors, line), allow_nan=False).encode() + b"\n"
        try:
            sink.write(encoded)
            sink.flush()
        except BrokenPipeError:
            return


def main() -> None:
    """Serve; the process ends with its parent, whose pipe then ends."""
    serve(sys.stdin.buffer, keep_stdout())


if __name__ == "__main__":
    main()
