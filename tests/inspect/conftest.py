"""One inspection of two models with three layers each, made once."""

import numpy as np
import pytest

from farfield.inspect import inspect


@pytest.fixture(scope="session")
def inspected(tmp_path_factory):
    """Results of three layers of two models on the same three classes, one name with signs of HTML and formulas in it."""
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    clean = rng.normal(size=(150, 6))
    layers = [clean, clean + 2 * np.eye(6)[y], 0.3 * clean + 4 * np.eye(6)[y]]
    files = []
    for seed in range(2):
        turn = np.random.default_rng(seed + 5)
        path = tmp_path_factory.mktemp("models") / f"<m>${seed}.npz"
        np.savez(path, **{f"layer{i}": x @ np.linalg.qr(turn.normal(size=(6, 6)))[0] for i, x in enumerate(layers)})
        files.append(path)
    labels = np.array(["cat", "<b>dog</b>", "$x_1$"])[y]
    return inspect(*files, labels=labels)
