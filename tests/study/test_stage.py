"""A stage is computed once per key, by whoever comes first; others wait, and nothing is left half-written."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from farfield.errors import InputError
from farfield.study.stage import VARIABLE, folder, stage


@stage
def slow(*, log: str, n: int, seconds: float = 0.0):
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return {"x": torch.arange(n), "y": torch.eye(2)}


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    return tmp_path / "log"


def calls(log: Path) -> int:
    return len(log.read_text().split()) if log.exists() else 0


def test_computed_once_and_read_back_bit_for_bit(log):
    first, second = slow(log=str(log), n=3), slow(log=str(log), n=3)
    assert calls(log) == 1
    assert first["x"].tolist() == second["x"].tolist() == [0, 1, 2] and second["x"].dtype == torch.int64
    assert torch.equal(second["y"], torch.eye(2))


def test_other_arguments_are_another_stage(log):
    assert len(slow(log=str(log), n=3)["x"]) == 3 and len(slow(log=str(log), n=4)["x"]) == 4
    assert calls(log) == 2


def test_many_workers_wait_for_one(log):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=slow, kwargs={"log": str(log), "n": 2, "seconds": 1.0}) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert calls(log) == 1


def test_an_interrupted_stage_leaves_nothing_and_is_computed_again(log):
    worker = multiprocessing.get_context("spawn").Process(
        target=slow, kwargs={"log": str(log), "n": 5, "seconds": 60.0}
    )
    worker.start()
    deadline = time.monotonic() + 60
    while calls(log) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(10)
    assert not list(folder().glob("*.safetensors"))
    # The dead process's lock does not hold anyone up.
    assert len(slow(log=str(log), n=5, seconds=0.0)["x"]) == 5


def test_arguments_that_are_not_plain_data_are_refused(log):
    with pytest.raises(InputError, match="must be plain data"):
        slow(log=str(log), n=torch.tensor(1))
