"""What a process and those it has started take of the machine."""

import subprocess
import sys

from datasets.tree_usage import machine_memory, tree_usage

HOLDS_64_MIB = "x = b'x' * (64 << 20); print('ready', flush=True); import sys; sys.stdin.read()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_64_MIB!r}])"


def test_memory_of_descendants_counts():
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    usage = tree_usage(process.pid)
    process.communicate(b"")
    assert 64 << 20 < usage.rss_bytes < 256 << 20
    assert usage.cpu_seconds > 0
    assert tree_usage(process.pid).rss_bytes == 0


def test_the_machine_has_memory():
    assert machine_memory() > 2**28
