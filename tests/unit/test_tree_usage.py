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
    assert 64 << 20 < usage.memory_bytes < 256 << 20
    assert usage.cpu_seconds > 0
    assert tree_usage(process.pid).memory_bytes == 0


FORKS = (
    "import os, sys; x = b'x' * (64 << 20); read, write = os.pipe()\n"
    "for _ in range(3):\n    if os.fork() == 0:\n        os.close(write); os.read(read, 1); os._exit(0)\n"
    "print('ready', flush=True); sys.stdin.read()"
)


def test_memory_that_forked_processes_share_counts_once():
    process = subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    usage = tree_usage(process.pid)
    process.communicate(b"")
    assert 64 << 20 < usage.memory_bytes < 128 << 20


def test_the_machine_has_memory():
    assert machine_memory() > 2**28
