"""Adapters to shorter vectors: principal components against numpy, and what learning must do that they cannot."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.reuse import matryoshka_adapter, neighbour_loss, pca_adapter

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 12)) * np.linspace(3, 0.3, 12) + 0.5


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("centre", [False, True])
def test_components_are_those_of_a_singular_value_decomposition(centre):
    rows = unit(X)
    mean = rows.mean(0) if centre else np.zeros(12)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    adapter = pca_adapter(X, [2, 5], centre=centre)
    np.testing.assert_allclose(np.abs((adapter.weight.numpy() * directions[:5]).sum(1)), 1, atol=1e-5)
    np.testing.assert_allclose(adapter.weight.numpy() @ mean, -adapter.bias.numpy(), atol=1e-5)


def test_all_components_keep_every_cosine():
    y = pca_adapter(X, [4, 12])(X)
    np.testing.assert_allclose(y @ y.T, unit(X) @ unit(X).T, atol=1e-5)


def test_lengths_of_rows_change_nothing():
    lengths = RNG.uniform(0.1, 9, size=(200, 1))
    np.testing.assert_allclose(pca_adapter(X, [4])(X), pca_adapter(X * lengths, [4])(X), atol=1e-4)


def test_neighbour_loss_is_the_divergence_of_softmaxes():
    x, y = torch.from_numpy(X[:7]), torch.from_numpy(RNG.normal(size=(7, 4)))

    def distribution(z):
        similar = unit(z) @ unit(z).T / 0.05
        return [np.exp(np.delete(row, i)) / np.exp(np.delete(row, i)).sum() for i, row in enumerate(similar)]

    expected = 0.0
    for m in (2, 4):
        for p, q in zip(distribution(x.numpy()), distribution(y[:, :m].numpy())):
            expected += (p * np.log(p / q)).sum() / 7
    assert float(neighbour_loss(y, x, [2, 4])) == pytest.approx(expected)
    assert float(neighbour_loss(x @ torch.linalg.qr(torch.randn(12, 12, dtype=x.dtype))[0], x, [12])) == pytest.approx(
        0, abs=1e-9
    )


def test_learning_lowers_the_loss_at_every_size():
    rows = F.normalize(torch.from_numpy(X).float(), dim=1)
    before, after = (
        pca_adapter(rows, [2, 4])(rows),
        matryoshka_adapter(rows, [2, 4], steps=150, learning_rate=1e-2)(rows),
    )
    for m in (2, 4):
        assert neighbour_loss(after, rows, [m]) < 0.95 * neighbour_loss(before, rows, [m])


def hidden_classes(n, seed):
    """Return rows whose class lies in their weakest columns, so that the leading components miss it."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.normal(size=(n, 20))
    x[:, :3] = 0.8 * np.eye(3)[y] + 0.03 * rng.normal(size=(n, 3))
    return x, y


def accuracy(z, y):
    similar = z @ z.T
    np.fill_diagonal(similar, -9)
    return (y[similar.argmax(1)] == y).mean()


def test_labels_bring_the_classes_into_the_first_dimensions():
    (x, y), (new, classes) = hidden_classes(600, 0), hidden_classes(300, 1)
    pca, learned = (
        pca_adapter(x, [2, 3])(new),
        matryoshka_adapter(x, [2, 3], labels=y, steps=300, learning_rate=2e-2)(new),
    )
    assert accuracy(pca, classes) < 0.6 < 0.9 < accuracy(learned, classes)
    assert accuracy(unit(learned[:, :2]), classes) > 0.85


def test_pairs_bring_what_they_share_into_the_first_dimensions():
    rng = np.random.default_rng(0)
    shared = np.repeat(rng.normal(size=(300, 3)), 2, axis=0)
    x = np.concatenate([0.5 * shared, rng.normal(size=(600, 12))], 1)
    pairs = np.arange(600).reshape(300, 2)
    seen, new = pairs[:200], pairs[200:] - 400

    def found(adapter):
        z = adapter(x[400:])
        similar = z @ z.T
        np.fill_diagonal(similar, -9)
        return (similar.argsort(1)[new[:, 0], -10:] == new[:, 1:]).any(1).mean()

    assert (
        found(matryoshka_adapter(x, [3], pairs=seen, steps=200, learning_rate=2e-2)) > found(pca_adapter(x, [3])) + 0.2
    )


def test_a_seed_gives_the_same_and_leaves_the_random_state():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again = (matryoshka_adapter(X, [2, 4], labels=np.arange(200) % 2, steps=5, seed=3).weight for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.rand(1), expected)
    assert not torch.equal(first, matryoshka_adapter(X, [2, 4], labels=np.arange(200) % 2, steps=5, seed=4).weight)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"dims": [13]}, "each must be from 1 to 12"),
        ({"labels": np.zeros(200, int), "pairs": np.array([[0, 1]])}, "labels and pairs were both given"),
        ({"labels": np.zeros(200, int)}, "at least 2 classes"),
        ({"labels": np.arange(199) % 2}, "x has 200 rows but labels has 199"),
        ({"pairs": np.array([[0, 200]])}, "expected row numbers .* from 0 to 199"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_what_it_refuses(more, sentence):
    with pytest.raises(InputError, match=sentence):
        matryoshka_adapter(X, **{"dims": [2], **more})
