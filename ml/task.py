"""The frame of a child process that does one thing: a request in, events and a result out, then the end.

One JSON object as the first line of stdin says what to do; the process ends when stdin does, so it never outlives
its parent. ``output``, ``trace`` and perhaps ``header`` of it are the frame's own. JSON objects, one a line on
stdout, say how far it is; the last is one of these::

    {"done": true}                            the result is in the file OUTPUT, beside what HEADER holds
    {"error": {"code", "message", "hint"}}

Everything the libraries print goes to stderr. TRACE is where it failed, without a value of anybody's rows.
"""

import faulthandler
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ml.child import be_first_to_go, follow, keep_stdout
from smartml.errors import DiskFull, SmartMLError, means_disk_full, trace_without_values

OUT_OF_MEMORY: Final = {
    "code": "out_of_memory",
    "message": "There was not enough memory for this.",
    "hint": "Try again when less is going on; a machine with more memory helps.",
}
CRASHED: Final = {
    "code": "error",
    "message": "This stopped with an unexpected fault of the app.",
    "hint": "Try again; if it happens again, tell the operator.",
}

Say = Callable[[Mapping[str, Any]], None]
CarryOut = Callable[[Mapping[str, Any], Say], dict[str, Any]]


def run(request: Mapping[str, Any], say: Say, carry_out: CarryOut) -> int:
    """Carry out the request and say how it ended; the exit code of the process."""
    try:
        return _run(request, say, carry_out)
    except Exception as error:
        if not means_disk_full(error):
            raise
    # Nothing is written down, not even where it was.
    full = DiskFull()
    say({"error": {"code": full.code, "message": full.message, "hint": full.hint}})
    return 1


def _run(request: Mapping[str, Any], say: Say, carry_out: CarryOut) -> int:
    with Path(request["trace"]).open("w", encoding="utf-8") as trace:
        # A fault in native code leaves Python's frames there, without values.
        faulthandler.enable(trace)
        try:
            result = {**request.get("header", {}), **carry_out(request, say)}
            text = json.dumps(result, ensure_ascii=False, allow_nan=False)
            Path(request["output"]).write_text(text, encoding="utf-8")
        except MemoryError as error:
            trace.write(trace_without_values(error))
            told = OUT_OF_MEMORY
        except Exception as error:
            if means_disk_full(error):
                raise
            if isinstance(error, SmartMLError):
                told = {"code": error.code, "message": error.message, "hint": error.hint}
            else:  # told to the parent, which logs where it was
                trace.write(trace_without_values(error))
                told = CRASHED
        else:
            say({"done": True})
            return 0
        finally:
            faulthandler.disable()
    say({"error": told})
    return 1


def main(carry_out: CarryOut) -> None:
    """Read the request, then do nothing but what it says."""
    answers = keep_stdout()
    be_first_to_go()
    request = json.loads(sys.stdin.buffer.readline())
    follow(sys.stdin.fileno())

    def say(event: Mapping[str, Any]) -> None:
        answers.write(json.dumps(event, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        answers.flush()

    sys.exit(run(request, say, carry_out))
