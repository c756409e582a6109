"""What the benchmarks share: how much memory a piece of work takes, and how rows are told."""

import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

from farfield.provenance import describe


def peak(file, *what):
    """Return by how many MiB a fresh process of ``file --peak WHAT...`` grows: that process prints it by `growth`."""
    command = [sys.executable, file, "--peak", *map(str, what)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def growth(work):
    """Return the highest resident size during some work, over that before, in MiB; looked at all the time by a second thread."""
    before, highest, done = resident(), 0, threading.Event()

    def watch():
        nonlocal highest
        while not done.is_set():
            highest = max(highest, resident())
            time.sleep(2e-4)

    watcher = threading.Thread(target=watch)
    watcher.start()
    kept = work()
    done.set()
    watcher.join()
    highest = max(highest, resident())
    del kept
    return (highest - before) / 2**20


def resident():
    """Return the bytes of this process that lie in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def tell(rows, show, *, as_json):
    """Print rows as JSON with the machine, or as ``show(rows, machine)`` does."""
    machine = describe()["machine"]
    if as_json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=1))
    else:
        show(rows, machine)
