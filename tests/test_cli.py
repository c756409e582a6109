"""Every command through the real command line: what it prints, what it writes, and how it refuses."""

import functools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture
def shops(tmp_path):
    """A clean table that a comparison takes; tests spoil copies of it."""
    rng = np.random.default_rng(0)
    n = 120
    size = rng.normal(size=n)
    frame = pd.DataFrame(
        {"size": size, "price": rng.normal(size=n), "shop": np.arange(n) % 3, "sold": np.where(size > 0, "yes", "no")}
    )
    frame.to_csv(tmp_path / "shops.csv", index=False)
    return frame


QUICK = ("--methods", "erm", "--model", "linear", "--seeds", "1", "--steps", "20", "--workers", "1")


def test_compare_save_and_predict_on_a_table(farfield, shops, tmp_path):
    command = ("compare", "shops.csv", "--target", "sold", "--domain", "shop", *QUICK, "--save", "best.safetensors")
    code, out, _ = farfield(*command, "--out", "results")
    assert code == 0
    assert "Report:" in out and "erm" in out and "farfield predict best" in out
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["command"].startswith("farfield compare shops.csv --target sold")
    assert {task["name"][-1] for task in results["tasks"]} == {"0", "1", "2"}

    shops.drop(columns="sold").head(7).to_csv("new.csv", index=False)
    code, out, _ = farfield("predict", "best", "new.csv")
    assert code == 0 and out.startswith("7 rows: ")
    assert len(pd.read_csv("new.predictions.csv")) == 7
    code, out, _ = farfield("predict", "best.safetensors", "new.csv", "--json", "--out", "p.csv")
    assert len(json.loads(out)) == 7


def test_compare_prints_json_and_nothing_else(farfield):
    code, out, err = farfield("compare", "digits/noise", *QUICK, "--json")
    assert code == 0 and err == ""
    assert json.loads(out)["leaderboard"][0]["method"] == "erm"


def test_compare_on_an_image_folder(farfield, tmp_path):
    rng = np.random.default_rng(0)
    for domain in ("day", "night"):
        for label, level in (("dark", 40), ("light", 200)):
            folder = tmp_path / "photos" / domain / label
            folder.mkdir(parents=True)
            for i in range(8):
                Image.fromarray(rng.integers(level - 30, level + 30, (16, 16, 3), dtype=np.uint8)).save(
                    folder / f"{i}.png"
                )
    code, out, _ = farfield("compare", "photos", *QUICK)
    assert code == 0 and "erm" in out


def test_compare_on_a_users_module(farfield, tmp_path):
    (tmp_path / "my_task.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Vector

            def make(seed=0):
                generator = torch.Generator().manual_seed(seed)
                def rows(n, offset):
                    x = torch.randn(n, 2, generator=generator) + offset
                    return Table(x=x, y=(x[:, 0] > 0).long(), domain=torch.arange(n) % 2)
                return Task("mine", rows(80, 0), rows(20, 0), {"iid": rows(20, 0), "moved": rows(40, 1.0)},
                            Vector(2), Classes(2), ("a", "b"))
            """
        )
    )
    code, out, _ = farfield("compare", "my_task:make", *QUICK)
    assert code == 0 and "moved" in out


def test_lists(farfield):
    code, out, _ = farfield("methods", "--json")
    assert code == 0 and {"erm", "sam", "swad"} <= {row["name"] for row in json.loads(out)}
    code, out, _ = farfield("tasks")
    assert code == 0 and "digits/rotation" in out
    code, out, _ = farfield("--version")
    assert code == 0 and out.strip()


def spoil_missing_target(frame):
    return frame.drop(columns="sold")


def spoil_one_domain(frame):
    return frame.assign(shop="a")


def spoil_class_in_one_domain(frame):
    sold = frame["sold"].where(frame["shop"] != 0, "maybe")
    return frame.assign(sold=sold)


def spoil_labels_all_the_same(frame):
    return frame.assign(sold="yes")


def spoil_nan(frame):
    return frame.assign(price=frame["price"].where(frame.index > 4))


def spoil_infinite(frame):
    return frame.assign(price=frame["price"].where(frame.index > 2, np.inf))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_missing_target, ["sold", "size"]),
        (spoil_one_domain, ["one domain only"]),
        (spoil_class_in_one_domain, ["'maybe'", "one domain alone"]),
        (spoil_labels_all_the_same, ["all the same"]),
        (spoil_nan, ["5", "price"]),
        (spoil_infinite, ["3", "price"]),
        (lambda frame: frame.head(0), ["no rows"]),
    ],
)
def test_a_table_that_does_not_fit_ends_with_one_sentence_before_training(farfield, shops, tmp_path, spoil, words):
    spoil(shops).to_csv("spoilt.csv", index=False)
    code, out, err = farfield("compare", "spoilt.csv", "--target", "sold", "--domain", "shop", *QUICK)
    assert code == 2 and out == ""
    assert err.startswith("farfield: ") and err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not (tmp_path / "farfield-compare").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "none.csv"), ["none.csv"]),
        (("compare", "digist"), ["unknown", "digits"]),
        (("compare", "digits/rotatoin"), ["rotation"]),
        (("compare", "digits", "--methods", "samm"), ["unknown method 'samm'", "sam"]),
        (("compare", "digits/noise", "--model", "timm:resnet18"), ["timm", "farfield[vision]"]),
        (("compare", "digits/noise", "--model", "cnnn"), ["unknown model", "cnn"]),
        (("compare", "digits/noise", "--model", "mlp?hiden=3"), ["hidden"]),
        (("compare", "digits/noise", "--select", "test"), ["unknown model selection"]),
        (("compare", "digits/noise", "--save", "best.pt"), ["best.safetensors"]),
        (("compare", "no_such_module:task"), ["no_such_module"]),
        (("predict", "nothing", "new.csv"), ["nothing.safetensors"]),
    ],
)
def test_names_that_do_not_fit_end_with_one_sentence(farfield, arguments, words):
    code, out, err = farfield(*arguments)
    assert code == 2 and out == ""
    assert err.startswith("farfield: ") and err.count("\n") == 1
    assert all(word in err for word in words), err


def test_a_model_that_does_not_fit_the_input(farfield, shops):
    code, _, err = farfield(
        "compare", "shops.csv", "--target", "sold", "--domain", "shop", "--model", "cnn", "--methods", "erm"
    )
    assert code == 2 and "cnn takes images" in err and "mlp" in err


def test_an_unreadable_image_is_named(farfield, tmp_path):
    for domain in ("day", "night"):
        for label in ("cat", "dog"):
            folder = tmp_path / "photos" / domain / label
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(folder / "a.png")
    (tmp_path / "photos" / "night" / "dog" / "bad.png").write_bytes(b"not an image")
    code, _, err = farfield("compare", "photos")
    assert code == 2 and os.path.join("night", "dog", "bad.png") in err


def test_ctrl_c_keeps_what_is_done_and_the_same_command_continues(tmp_path):
    command = [sys.executable, "-m", "farfield.cli", "compare", "digits/rotation", "--methods", "erm,coral", "--model"]
    command += ["linear", "--seeds", "8", "--steps", "400", "--workers", "2", "--out", str(tmp_path / "out")]
    database = tmp_path / "out" / "trials.db"
    # A session of its own, so that the signal reaches the driver and its workers as Ctrl-C in a terminal does.
    # A suite that runs in the background of a shell ignores Ctrl-C, and its children would inherit that.
    attend = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=attend
    ) as run:
        deadline = time.monotonic() + 120
        while len(done(database)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        _, error = run.communicate(timeout=60)
    assert run.returncode == 130, error
    kept = done(database)
    assert 3 <= len(kept) < 16
    assert "of 16 trials are kept in" in error and "same command" in error
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    after = done(database)
    assert len(after) == 16
    # What was kept was not run again: its seconds, measured, are the same to the last digit.
    assert {key: after[key] for key in kept} == kept


def done(database):
    """Seconds of each finished trial by key; none while the file or its table is not there yet."""
    if not database.exists():
        return {}
    connection = sqlite3.connect(database, timeout=10)
    try:
        return dict(connection.execute("select key, seconds from trials where state = 'done'").fetchall())
    except sqlite3.OperationalError:
        return {}
    finally:
        connection.close()
