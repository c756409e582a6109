"""A small real task: scikit-learn's digits, whose domains are brightness levels."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.tasks import Classes, Table, Task, Vector
from farfield.tasks.split import assign


def make_digits_task(seed=0, *, permute_far_labels=False, domains=3):
    """Digits 8x8 as vectors; training domains are scaled by 1, 0.8, 0.6, ..., the far domain is inverted."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    domain = np.arange(len(y)) % (domains + 1)
    a = assign(y, domain, test_domains=[domains], seed=seed)
    x = torch.tensor(x / 16, dtype=torch.float32)
    y, domain = torch.tensor(y), torch.tensor(domain)
    x = torch.where((domain == domains)[:, None], 1 - x, x * (1 - 0.2 * domain[:, None]))
    if permute_far_labels:
        far = torch.tensor(a.tests[domains])
        y[far] = y[far][torch.randperm(len(far), generator=torch.Generator().manual_seed(1))]
    rows = Table(x=x, y=y, domain=domain)
    return Task(
        "digits-brightness",
        rows.take(torch.tensor(a.train)),
        rows.take(torch.tensor(a.val)),
        {"iid": rows.take(torch.tensor(a.iid)), "inverted": rows.take(torch.tensor(a.tests[domains]))},
        Vector(64),
        Classes(10),
        tuple(f"brightness {1 - 0.2 * d:.1f}" for d in range(domains)),
    )


@pytest.fixture
def digits_task():
    """The function that makes the task, so that a test can ask for another seed or number of domains."""
    return make_digits_task


@pytest.fixture(scope="session")
def synthetic():
    """The module synthetic.py beside this file: it draws results to report."""
    spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
