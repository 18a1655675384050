"""Profiles one table: ``python -m ml.profiler``, a child process without a secret in its environment.

One JSON object as the first line of stdin says what to do; the process ends when stdin does, so it never outlives
its parent. JSON objects, one a line on stdout, say how far it is::

    {"table": PATH, "types": {column: type}, "formats": {...}, "output": PATH, "header": {...}, "trace": PATH}
    ... with "target": COLUMN                 each column against that one, in place of the profile

    {"stage": S, "progress": P}               now and then, P from 0 to 1
    {"columns": [COLUMN, ...]}                columns whose profiles are ready, or better than before
    {"done": true}                            the result is in the file OUTPUT, beside what HEADER holds
    {"error": {"code", "message", "hint"}}    and nothing after it

Everything the libraries print goes to stderr. TRACE is where it failed, without a value of anybody's rows.
"""

import faulthandler
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ml.child import be_first_to_go, follow, keep_stdout
from ml.column_types import ColumnType, ValueFormat
from ml.profile_records import ColumnProfile, column_as_dict
from smartml.errors import SmartMLError, trace_without_values

OUT_OF_MEMORY: Final = {
    "code": "out_of_memory",
    "message": "There was not enough memory to look at the whole table.",
    "hint": "Try again when less is going on; a machine with more memory helps.",
}
CRASHED: Final = {
    "code": "error",
    "message": "This stopped with an unexpected fault of the app.",
    "hint": "Try again; if it happens again, tell the operator.",
}

Say = Callable[[Mapping[str, Any]], None]


def carry_out(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The result of one request, as it is stored."""
    path = Path(request["table"])
    formats = ValueFormat(**request["formats"])
    types = {name: ColumnType(kind) for name, kind in request["types"].items()}
    if "target" in request:
        from ml.relation import relate

        return {"relation": relate(path, target=request["target"], formats=formats, overrides=types).as_dict()}
    from ml.profile import profile_table

    def on_columns(columns: tuple[ColumnProfile, ...]) -> None:
        say({"columns": [column_as_dict(column) for column in columns]})

    def on_progress(stage: str, progress: float) -> None:
        say({"stage": stage, "progress": progress})

    profile = profile_table(path, formats=formats, overrides=types, on_columns=on_columns, on_progress=on_progress)
    return {"profile": profile.as_dict()}


def run(request: Mapping[str, Any], say: Say) -> int:
    """Carry out the request and say how it ended; the exit code of the process."""
    with Path(request["trace"]).open("w", encoding="utf-8") as trace:
        # A fault in native code leaves Python's frames there, without values.
        faulthandler.enable(trace)
        try:
            result = {**request["header"], **carry_out(request, say)}
            text = json.dumps(result, ensure_ascii=False, allow_nan=False)
            Path(request["output"]).write_text(text, encoding="utf-8")
        except SmartMLError as error:
            told = {"code": error.code, "message": error.message, "hint": error.hint}
        except MemoryError as error:
            trace.write(trace_without_values(error))
            told = OUT_OF_MEMORY
        except Exception as error:  # noqa: BLE001 -- told to the parent, which logs where it was
            trace.write(trace_without_values(error))
            told = CRASHED
        else:
            say({"done": True})
            return 0
        finally:
            faulthandler.disable()
    say({"error": told})
    return 1


def main() -> None:
    """Read the request, then do nothing but what it says."""
    answers = keep_stdout()
    be_first_to_go()
    request = json.loads(sys.stdin.buffer.readline())
    follow(sys.stdin.fileno())

    def say(event: Mapping[str, Any]) -> None:
        answers.write(json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        answers.flush()

    sys.exit(run(request, say))


if __name__ == "__main__":
    main()
