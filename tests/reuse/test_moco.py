"""Momentum contrast: one step by hand, the queue as a ring, and what it learns without labels."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from farfield.augment import RandomView
from farfield.errors import InputError
from farfield.losses import InfoNCE
from farfield.measure import knn_accuracy
from farfield.reuse import Encoder, MoCo, anchors, contrast
from farfield.tasks import Table, gaussian_classes


def encoder(seed=0, width=6):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(4, width)


def x(n=5, seed=0):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def test_a_step_by_hand():
    moco = MoCo(encoder(), 6, dim=3, queue=7, momentum=0.9, temperature=0.5, seed=1)
    before = moco.queue.clone()
    with torch.no_grad():
        moco.encoder.weight.add_(1.0)  # as an optimizer step would
    key = 0.9 * encoder().weight + 0.1 * moco.encoder.weight
    loss = moco(x(), x(seed=1))
    q = moco.projection(moco.encoder(x()))
    k = moco.key_projection(nn.functional.linear(x(seed=1), key, moco.key_encoder.bias))
    torch.testing.assert_close(moco.key_encoder.weight, key.detach())
    torch.testing.assert_close(loss, InfoNCE(0.5)(q, k, before))
    torch.testing.assert_close(moco.queue, torch.cat([normalize(k, dim=1), before[5:]]).detach())


def test_the_queue_is_a_ring_and_a_long_batch_leaves_its_last_keys():
    moco = MoCo(encoder(), 6, dim=3, queue=7, momentum=1.0)
    keys = lambda rows: normalize(moco.key_projection(moco.key_encoder(rows)), dim=1)  # noqa: E731
    moco(x(), x())
    moco(x(), x(seed=1))
    assert moco.oldest.item() == 3
    torch.testing.assert_close(moco.queue[:3], keys(x(seed=1))[2:])
    torch.testing.assert_close(moco.queue[5:], keys(x(seed=1))[:2])
    moco(x(20), x(20))
    torch.testing.assert_close(moco.queue.sort(0).values, keys(x(20))[-7:].sort(0).values)
    assert moco.oldest.item() == 23 % 7


def test_only_the_encoder_gets_gradients_and_evaluation_changes_nothing():
    moco = MoCo(encoder(), 6)
    moco(x(), x()).backward()
    assert moco.encoder.weight.grad.abs().sum() > 0 and moco.key_encoder.weight.grad is None
    moco.eval()
    queue, key = moco.queue.clone(), moco.key_encoder.weight.clone()
    with torch.no_grad():
        moco.encoder.weight.add_(1.0)
    moco(x(), x())
    assert torch.equal(moco.queue, queue) and torch.equal(moco.key_encoder.weight, key)


def test_contrast_keeps_classes_together_that_it_never_saw():
    table, _ = gaussian_classes(60, classes=4, dimension=8, delta=6, seed=0)
    g = torch.Generator().manual_seed(0)
    # Loud features that say nothing, and differ between the views.
    noise = 4 * torch.randn(len(table), 24, generator=g)
    rows = Table(x=torch.cat([table.columns["x"], noise], 1))

    def view(batch):
        fresh = 4 * torch.randn(len(batch), 24, generator=g)
        return torch.cat([batch[:, :8], fresh], 1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8), nn.Linear(8, 4))
    before = knn_accuracy(anchors(model, rows), table.columns["y"]).value
    history = contrast(Encoder(model), rows, view, steps=150, batch_size=64, learning_rate=3e-3)
    after = knn_accuracy(anchors(model, rows), table.columns["y"]).value
    assert len(history.loss) == 150 and after > before + 0.1, (before, after)


def test_the_same_seed_gives_the_same_encoder_and_few_rows_do():
    made = []
    for seed in (0, 0, 1):
        model = encoder()
        contrast(model, Table(x=x(5)), RandomView(seed=seed), steps=3, batch_size=64, seed=seed)
        made.append(model.weight.detach())
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_what_cannot_be_is_refused():
    for wrong in ({"queue": 0}, {"dim": 0}, {"momentum": 1.5}):
        with pytest.raises(InputError, match=r"expected at least 1 of the first three"):
            MoCo(encoder(), 6, **wrong)
    with pytest.raises(InputError, match="temperature is 0"):
        MoCo(encoder(), 6, temperature=0)
    with pytest.raises(InputError, match="at least 2"):
        contrast(encoder(), Table(x=x(1)), RandomView(), steps=1)
