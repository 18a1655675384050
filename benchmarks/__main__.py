"""Runs the benchmarks named on the command line, or all of them, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main() -> int:
    names = sys.argv[1:] or SCRIPTS
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; choose from {', '.join(SCRIPTS)}.", file=sys.stderr)
        return 1
    failed = False
    for name in names:
        print(f"== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
