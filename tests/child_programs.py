"""What a child of ``datasets.children`` may do: ``python -m tests.child_programs``; the request says which."""

import json
import os
import subprocess
import sys
import time

from ml.child import be_first_to_go, follow, keep_stdout


def main() -> None:
    answers = keep_stdout()
    be_first_to_go()
    request = json.loads(sys.stdin.buffer.readline())
    follow(sys.stdin.fileno())

    def say(event: object) -> None:
        answers.write(json.dumps(event).encode() + b"\n")
        answers.flush()

    print("what a library prints")
    say({"pid": os.getpid(), "environment": dict(os.environ), "directory": os.getcwd()})
    kind = request["do"]
    if kind == "grow":
        kept = []
        while True:
            kept.append(b"x" * (16 << 20))
            time.sleep(0.01)
    if kind == "wait":
        time.sleep(600)
    if kind == "sleep":
        # Of a group of its own, so that signalling the child's group does not reach it.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        say({"asleep": True})
        time.sleep(600)
    if kind == "fail":
        say({"error": {"code": "invalid_target", "message": "It cannot be done.", "hint": "Do another thing."}})
        sys.exit(1)
    if kind == "crash":
        os.abort()
    if kind == "finish":
        say({"done": True})
    # "vanish": an orderly exit that says nothing


if __name__ == "__main__":
    main()
