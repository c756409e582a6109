"""The same trials on a real Ray cluster of two nodes on this machine, one of which is killed in the middle."""

import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from farfield.errors import InputError, MissingExtra
from farfield.study import Store, Trial, run

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: pip install 'farfield[ray]'")

# In a process of its own: a cluster is global to its process, and its end closes all that Ray started.
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
import psutil
import ray
from ray.cluster_utils import Cluster
from farfield.study import Store, Trial, run

def work(point, seed):
    here = Path(point["folder"]) if point["folder"] else Path()
    with open(here / "log", "a") as log:
        log.write(f"{seed} {os.getpid()} {ray.get_runtime_context().get_node_id()}\\n")
    match point.get("do"):
        case "fail":
            raise ValueError("it was asked to fail")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die once" if not (here / "died").exists():
            (here / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(point.get("seconds", 0))
    return {"value": seed, "threads": os.environ["OMP_NUM_THREADS"], "array": np.full(3, seed)}

def log(folder):
    return [line.split() for line in (folder / "log").read_text().splitlines()]

def report(outcomes, store):
    attempts = {r.key: r.attempts for r in store.records()}
    print("REPORT" + json.dumps([
        [o.trial.seed, o.result and o.result["value"], o.error, attempts[o.trial.key],
         o.result and np.asarray(o.result["array"]).tolist()] for o in outcomes
    ]))

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    os.chdir(folder)
    store = Store.in_folder(folder)
"""

TWO_NODES = """
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=2)
    todo = [Trial("demo", {"folder": str(folder), "seconds": 1.0}, seed) for seed in range(8)]
    outcomes, killed = [], False
    for outcome in run(work, todo, store, on=f"ray:{cluster.address}"):
        outcomes.append(outcome)
        if not killed:
            # What runs there now is lost with it: its raylet and its workers die without a word.
            killed = True
            assert len({node for *_, node in log(folder)}) == 2, "both nodes should have had work"
            cluster.remove_node(second, allow_graceful=False)
    report(outcomes, store)
    print("NODES" + json.dumps([len(ray.nodes()) if ray.is_initialized() else 0]))
    cluster.shutdown()
"""

ONE_NODE = """
    todo = [
        Trial("demo", {"folder": "", "do": "fail"}, 0),
        Trial("demo", {"folder": "", "do": "die"}, 1),
        Trial("demo", {"folder": "", "do": "die once"}, 2),
        Trial("demo", {"folder": ""}, 3),
    ]
    outcomes = list(run(work, todo, store, on="ray", workers=2))
    assert not ray.is_initialized()
    report(outcomes, store)
"""

TIME_LIMIT = """
    # Functions of a script travel by value; in a worker's own process they must be importable, as a study's are.
    sys.path.insert(0, str(folder))
    from slow import sleep
    todo = [Trial("demo", {"seconds": 60}, 0), Trial("demo", {"seconds": 0}, 1)]
    outcomes = {o.trial.seed: o for o in run(sleep, todo, store, on="ray", workers=2, time_limit=2)}
    print("REPORT" + json.dumps([outcomes[0].error, outcomes[1].result]))
"""


def run_script(tmp_path, body, *arguments, environment=None):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(SCRIPT) + body)
    ended = subprocess.run(
        [sys.executable, script, tmp_path, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("REPORT")]
    return json.loads(line.removeprefix("REPORT"))


@needs_ray
def test_a_node_that_is_killed_costs_its_trials_an_attempt_and_nothing_else(tmp_path):
    found = run_script(tmp_path, TWO_NODES)
    assert sorted(seed for seed, *_ in found) == list(range(8))
    assert all(value == seed and error is None and array == [seed] * 3 for seed, value, error, _, array in found)
    attempts = sorted(n for *_, n, _ in found)
    # Two trials ran on the lost node, one on the other.
    assert attempts[0] == 1 and 1 <= sum(n - 1 for n in attempts) <= 2
    begun = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len({node for *_, node in begun}) == 2
    assert 8 <= len(begun) <= sum(attempts)


@needs_ray
def test_failures_and_deaths_are_as_on_one_machine(tmp_path):
    found = {seed: rest for seed, *rest in run_script(tmp_path, ONE_NODE)}
    assert found[0] == [None, "ValueError: it was asked to fail", 1, None]
    assert found[1][0] is None and "died twice" in found[1][1] and found[1][2] == 2
    assert found[2] == [2, None, 2, [2, 2, 2]]
    assert found[3] == [3, None, 1, [3, 3, 3]]
    # Relative paths are those of the driver's folder.
    assert (tmp_path / "died").exists()


CLIENT = """
    # A cluster that runs on its own, reached from outside through its client server.
    address = sys.argv[2]
    todo = [Trial("demo", {"folder": str(folder), "do": do}, i) for i, do in enumerate(["", "fail", "die once"])]
    report(list(run(work, todo, store, on=address)), store)
"""


@needs_ray
@pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="needs grpcio: pip install 'farfield[ray]'")
def test_ray_client_from_outside_the_cluster(tmp_path, free_ports):
    """`ray://HOST:PORT`: the driver is no node of the cluster."""
    port, client_port = free_ports
    head = [
        Path(sys.executable).with_name("ray"),
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        "--disable-usage-stats",
    ]
    head += ["--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client_port}"]
    head += ["--include-dashboard=false"]
    # A cluster asks for a token; this one has its own, as a user's would.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(head, env={**os.environ, **token}, **quiet) as process:
        try:
            wait_for(client_port)
            address = f"ray://127.0.0.1:{client_port}"
            found = {seed: rest for seed, *rest in run_script(tmp_path, CLIENT, address, environment=token)}
        finally:
            process.terminate()
    assert found[0] == [0, None, 1, [0, 0, 0]]
    assert found[1] == [None, "ValueError: it was asked to fail", 1, None]
    assert found[2] == [2, None, 2, [2, 2, 2]]


@pytest.fixture
def free_ports():
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def wait_for(port):
    give_up = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < give_up, "the Ray client server did not start"
            time.sleep(0.2)


@needs_ray
def test_time_limit(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\ndef sleep(point, seed):\n    time.sleep(point['seconds'])\n    return {'value': seed}\n"
    )
    late, punctual = run_script(tmp_path, TIME_LIMIT)
    assert late == "the trial took longer than its time limit of 2 seconds" and punctual == {"value": 1}


@needs_ray
def test_no_cluster_at_an_address(tmp_path):
    body = """
    try:
        list(run(work, [Trial("demo", {"folder": ""}, 0)], store, on="ray:127.0.0.1:1"))
    except Exception as error:
        print("REPORT" + json.dumps([type(error).__name__, str(error), len(store.records())]))
"""
    kind, sentence, records = run_script(tmp_path, body)
    assert kind == "InputError" and "no Ray cluster answers at 127.0.0.1:1" in sentence and records == 0


def test_ray_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    store = Store.in_folder(tmp_path)
    with pytest.raises(MissingExtra, match=r"pip install 'farfield\[ray\]'"):
        list(run(print, [Trial("demo", {}, 0)], store, on="ray"))
    with pytest.raises(InputError, match="on is 'slurm'; expected local, ray, ray:ADDRESS"):
        run(print, [], store, on="slurm")
    assert store.records() == []
    store.close()
