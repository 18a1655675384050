"""How many cores a fit may use."""

import os


def usable_cores() -> int:
    """The cores this process may use, which in a container are fewer than the machine's, unless AutoGluon's own
    ``AG_CPU_COUNT`` names a number."""
    if (chosen := os.environ.get("AG_CPU_COUNT", "")).isdecimal() and int(chosen):
        return int(chosen)
    return max(len(os.sched_getaffinity(0)), 1) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
