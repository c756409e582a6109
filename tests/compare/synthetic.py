"""Results of a comparison from drawn trials: the numbers are made up, all that is computed from them is real."""

import hashlib

import numpy as np

from farfield.compare.leaderboard import by_task, leaderboard

METHODS = (
    ("erm", "Minimise the mean training loss with AdamW.", "Vapnik, 1998"),
    ("sam", "Step against the gradient at the worst nearby point.", "Foret et al., ICLR 2021, arXiv:2010.01412"),
    ("asam", "Sharpness-aware steps, scaled by each weight.", "Kwon et al., ICML 2021"),
    ("swad", "Average the weights densely over the flat part of training.", "Cha et al., NeurIPS 2021"),
    ("weight-average", "Average the weights exponentially over training.", "Izmailov et al., UAI 2018"),
    ("mixup", "Train on blends of pairs of examples.", "Zhang et al., ICLR 2018"),
    ("coral", "Match the feature covariances of the domains.", "Sun & Saenko, 2016, https://arxiv.org/abs/1607.01719"),
    ("mmd", "Match the feature distributions of the domains.", "Li et al., CVPR 2018"),
    ("dann", "Make the features say nothing of the domain.", "Ganin et al., JMLR 2016"),
    ("vrex", "Penalise the variance of the domains' losses.", "Krueger et al., ICML 2021"),
    ("irm", "Ask one head to be optimal in every domain.", "Arjovsky et al., 2019"),
    ("group-dro", "Minimise the loss of the worst domain.", "Sagawa et al., ICLR 2020"),
    ("erm-sgd", "Minimise the mean training loss with SGD.", "Vapnik, 1998"),
)
GRADED = {
    "digits/rotation": (
        ["rotation 0°", "rotation 15°", "rotation 30°"],
        ["rotation 45°", "rotation 60°", "rotation 75°"],
    ),
    "digits/noise": (["noise 0.0", "noise 0.1", "noise 0.2"], ["noise 0.3", "noise 0.5"]),
    "digits/blur": (["blur 0 px", "blur 1 px"], ["blur 2 px", "blur 3 px", "blur 4 px"]),
}


def task(name, domains, tests, *, classes=10, graded=False, notes=()):
    """The entry of a task in results.json."""
    names = [*domains, *tests]
    return {
        "name": name,
        "inputs": "images of 1x8x8",
        "classes": [str(c) for c in range(classes)] if isinstance(classes, int) else list(classes),
        "rows": {"train": 1077, "val": 359},
        "domains": list(domains),
        "tests": {"iid": 361, **{test: 400 + i for i, test in enumerate(tests)}},
        "severity": {name: i for i, name in enumerate(names)} if graded else {},
        "notes": list(notes),
        "fingerprint": hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest(),
    }


def graded_tasks(classes=10):
    """Three tasks with a graded shift."""
    note = "2 of 1797 rows repeat another one; equal rows were kept in one split."
    return [task(name, *places, classes=classes, graded=True, notes=[note]) for name, places in GRADED.items()]


def left_out(domains, *, classes=3):
    """One task for each of these domains, left out of training; no severity."""
    return [
        task(f"csv:a.csv?domain=site&test={d}", [o for o in domains if o != d], [d], classes=classes) for d in domains
    ]


def results(
    *, methods=METHODS, tasks=None, seeds=3, failed=(), gain=0.02, spread=0.006, seed=0, selection="iid", trials=1
):
    """Draw trials and sum them up.

    ``failed``: pairs (method, seed), or (method, None) for all its seeds. ``gain``: how far the second method lies above
    the first, the baseline, in far accuracy; each further one lies 0.006 lower. ``spread``: the deviation over seeds.
    """
    rng = np.random.default_rng(seed)
    tasks = graded_tasks() if tasks is None else tasks
    entries, confusion = [], {}
    for t in tasks:
        for rank, (method, _, _) in enumerate(methods):
            for s in range(seeds):
                lost = (method, s) in failed or (method, None) in failed
                entries.append(_trial(t, method, s, rank, gain, spread, rng, lost=lost))
            classes = len(t["classes"])
            if classes <= 30 and any(
                e["state"] == "done" for e in entries if (e["task"], e["method"]) == (t["name"], method)
            ):
                confusion.setdefault(t["name"], {})[method] = {
                    test: (rng.poisson(2 + rank / 6, (classes, classes)) + np.diag(rng.poisson(70, classes))).tolist()
                    for test in t["tests"]
                }
    names = [m for m, _, _ in methods]
    board = leaderboard(entries, methods=names, baseline="erm")
    about = {m: {"summary": summary, "source": source} for m, summary, source in methods}
    return {
        "command": f"farfield compare digits --methods all --seeds {seeds}",
        "version": "0.1.0",
        "commit": "abc1234",
        "created": "2026-11-24T13:00:00+00:00",
        "seconds": 123.4,
        "machine": {
            "processor": "a processor with 2 cores",
            "cores": 2,
            "platform": "Linux-6.1-x86_64",
            "python": "3.11.7",
            "device": "cpu",
            "packages": {"torch": "2.13.0", "numpy": "2.4.0"},
        },
        "settings": {
            "data": "digits",
            "model": "cnn",
            "methods": names,
            "seeds": seeds,
            "steps": 340,
            "batch_size": 64,
            "selection": selection,
            "trials": trials,
            "workers": 2,
            "baseline": "erm",
        },
        "notes": ["dann was given two domains at least."],
        "tasks": tasks,
        "leaderboard": [{**row, **about[row["method"]]} for row in board],
        "by_task": by_task(entries, methods=names),
        "trials": entries,
        "confusion": confusion,
    }


def _trial(t, method, seed, rank, gain, spread, rng, *, lost):
    trial = {"key": f"{rng.integers(2**40):010x}", "task": t["name"], "method": method, "seed": seed}
    if lost:
        error = "the loss is nan at step 41; before it: 2.31, 9.7, 1.2e+04"
        empty = dict.fromkeys(("validation", "chosen", "step", "candidates", "curve"))
        return {**trial, "state": "failed", "seconds": 0.4, "error": error, "accuracy": {}, "domains": {}, **empty}
    skill = gain - 0.006 * (rank - 1) if rank else 0.0
    noise = rng.normal(0, spread)
    near = 0.93 + 0.3 * skill + noise
    far = {
        test: float(0.84 - 0.12 * i + skill + 2 * noise + rng.normal(0, spread))
        for i, test in enumerate(n for n in t["tests"] if n != "iid")
    }
    steps = list(range(34, 341, 34))
    return {
        **trial,
        "state": "done",
        "seconds": 0.8 + 0.1 * rank,
        "error": None,
        "accuracy": {"iid": float(near), **far},
        "domains": {d: float(0.95 - 0.01 * i + 0.3 * skill + noise) for i, d in enumerate(t["domains"])},
        "validation": float(near + 0.01),
        "chosen": {"learning_rate": 0.00123456},
        "step": 306,
        "candidates": None,
        "curve": {
            "step": steps,
            "loss": [float(2.3 * np.exp(-step / 60) + 0.05 + 0.01 * rank) for step in steps],
            "validation": [float((near + 0.01) * (1 - np.exp(-step / 70))) for step in steps],
        },
    }
