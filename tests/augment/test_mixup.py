import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from farfield.augment import Mixup
from farfield.errors import InputError


def batch(n=6, classes=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(n, 2, 4, generator=g, dtype=torch.float64),
        "y": torch.randint(classes, (n,), generator=g),
        "domain": torch.arange(n),
    }


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_inputs_and_labels_are_mixed_with_one_share_and_one_partner(seed, alpha):
    # Inputs that name their row, so that the share and the partner can be read off the result.
    n = 5
    rows = {"x": torch.eye(n, dtype=torch.float64), "y": torch.arange(n)}
    mixed = Mixup(n, alpha=alpha, seed=seed)(rows)
    assert torch.equal(mixed["x"], mixed["y"])
    weights = mixed["x"]
    assert torch.allclose(weights.sum(1), torch.ones(n, dtype=torch.float64))
    own = weights.diagonal()
    alone = own == 1  # paired with itself
    lam = own[~alone]
    assert torch.allclose(lam, lam[:1].expand_as(lam))
    assert torch.allclose(weights.sum(0), torch.ones(n, dtype=torch.float64))  # each is partner once: a permutation


def test_the_loss_is_the_mixture_of_the_losses():
    b = batch()
    mixed = Mixup(3, alpha=1.0, seed=4)(b)
    random = np.random.default_rng([4, 0x312])
    lam, other = random.beta(1.0, 1.0), random.permutation(6)
    logits = mixed["x"].flatten(1)[:, :3]
    expected = lam * cross_entropy(logits, b["y"]) + (1 - lam) * cross_entropy(logits, b["y"][other])
    assert torch.allclose(cross_entropy(logits, mixed["y"]), expected)
    assert torch.allclose(mixed["x"], lam * b["x"] + (1 - lam) * b["x"][other])


def test_alpha_zero_changes_nothing():
    b = batch()
    mixed = Mixup(3, alpha=0.0, seed=1)(b)
    assert torch.equal(mixed["x"], b["x"])
    assert torch.equal(mixed["y"], one_hot(b["y"], 3).double())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_shares_follow_the_beta_distribution(alpha):
    mix, rows = Mixup(2, alpha=alpha, seed=0), {"x": torch.eye(2), "y": torch.arange(2)}
    shares = [mix(rows)["x"][0, 0].item() for _ in range(4000)]
    # Half of the time the partner is the other row and the share is lam, else it is 1.
    lam = torch.tensor([s for s in shares if s != 1])
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(lam.mean() - 0.5) < 5 * math.sqrt(variance / len(lam))
    assert abs(lam.var() / variance - 1) < 0.15


def test_other_columns_stay_and_the_batch_is_left_alone():
    b = batch()
    x, y = b["x"].clone(), b["y"].clone()
    mixed = Mixup(3, alpha=1.0)(b)
    assert torch.equal(mixed["domain"], b["domain"])
    assert torch.equal(b["x"], x) and torch.equal(b["y"], y)


def test_the_seed_decides_and_batches_differ():
    b = batch()
    a, c, d = Mixup(3, alpha=1.0, seed=1), Mixup(3, alpha=1.0, seed=1), Mixup(3, alpha=1.0, seed=2)
    first = a(b)["x"]
    assert torch.equal(first, c(b)["x"])
    assert not torch.equal(first, d(b)["x"])
    assert not torch.equal(first, a(b)["x"])


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    Mixup(3, alpha=1.0)(batch())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("x", [torch.zeros(2, 5, dtype=torch.long), ["some", "text"]])
def test_inputs_that_cannot_be_mixed_are_refused(x):
    with pytest.raises(InputError, match="mixup needs floating-point inputs"):
        Mixup(2)({"x": x, "y": torch.tensor([0, 1])})


@pytest.mark.parametrize("settings", [{"classes": 0}, {"classes": 2, "alpha": -0.1}, {"classes": 2, "alpha": math.nan}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError):
        Mixup(**settings)


def test_further_columns_are_mixed_like_the_inputs():
    batch = {"x": torch.rand(6, 2), "y": torch.arange(6) % 3, "anchor": torch.rand(6, 4), "domain": torch.arange(6)}
    batch["anchor"][:, :2] = batch["x"]
    mixed = Mixup(3, alpha=1.0, seed=0, also=("anchor",))(batch)
    torch.testing.assert_close(mixed["anchor"][:, :2], mixed["x"])
    assert torch.equal(mixed["domain"], batch["domain"]) and not torch.equal(mixed["x"], batch["x"])
    assert torch.equal(mixed["x"], Mixup(3, alpha=1.0, seed=0)(batch)["x"])
    assert torch.equal(Mixup(3, alpha=0, also=("anchor",))(batch)["anchor"], batch["anchor"])
