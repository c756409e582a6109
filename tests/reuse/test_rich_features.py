"""Rounds that look for what the ones before did not use."""

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.losses import GroupMax
from farfield.nn import Classifier
from farfield.reuse import RichFeatures, rich_features, synthesis_batches
from farfield.tasks import Table


def make(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(nn.Sequential(nn.Linear(2, 8), nn.ReLU()), nn.Linear(8, 2))


def two_features(n=400):
    """A strong feature that is right in 80 %, and a weak one (small numbers) that is always right."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    sign = 2.0 * y - 1
    strong = torch.where(torch.rand(n, generator=g) < 0.8, sign, -sign)
    return Table(x=torch.stack([strong, 0.1 * sign], 1), y=y)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def test_the_second_round_finds_the_feature_that_the_first_left_and_the_synthesis_has_both():
    data = two_features()
    found = rich_features(make, data, steps=(25, 400), synthesis_steps=300, optimize=adam)
    assert isinstance(found, RichFeatures)
    # The first round goes by the strong feature.
    strong = (data.columns["x"][:, 0] > 0).long()
    assert torch.equal(found.pseudo_labels[:, 0], strong)
    assert float(found.correct[:, 0].double().mean()) == pytest.approx(0.8, abs=0.06)
    assert bool(found.correct[:, 1].all())
    z = found.model.features(data.columns["x"])
    for r, head in enumerate(found.heads):
        assert float((head(z).argmax(1) == found.pseudo_labels[:, r]).double().mean()) > 0.98
    mean = sum(head(z) for head in found.heads) / 2
    assert torch.allclose(found.model(data.columns["x"]), mean, atol=1e-5)


def test_the_second_round_takes_the_first_step_of_the_worst_group():
    data = two_features(100)
    sgd = lambda model: torch.optim.SGD(model.parameters(), lr=0.5)  # noqa: E731
    found = rich_features(make, data, steps=(10, 1), synthesis_steps=1, optimize=sgd, l2=0.01)
    model, (x, y) = make(1), (data.columns["x"], data.columns["y"])
    right = found.correct[:, :1]
    losses = nn.functional.cross_entropy(model(x), y, reduction="none")
    loss = GroupMax()(losses, torch.cat([right, ~right], 1)) + 0.01 * sum(p.square().sum() for p in model.parameters())
    loss.backward()
    sgd(model).step()
    for p, q in zip(model.parameters(), found.rounds[1].parameters()):
        assert torch.allclose(p, q, atol=1e-6)


def test_half_of_a_batch_are_rows_on_which_rounds_differ():
    correct = torch.tensor([[True, True]] * 90 + [[True, False]] * 6 + [[False, False]] * 4)
    stream = synthesis_batches(correct, 50, seed=0)
    rows = torch.stack([next(stream) for _ in range(40)])
    differ = (rows >= 90) & (rows < 96)
    assert differ.sum(1).tolist() == [25] * 40
    assert set(rows[differ].tolist()) == set(range(90, 96))
    agreeing = next(synthesis_batches(torch.ones(5, 2, dtype=torch.bool), 7, seed=0))
    assert len(agreeing) == 7 and int(agreeing.max()) < 5


def test_hooks_see_the_mean_of_the_heads_and_do_not_change_the_training():
    seen, data = [], two_features(60)
    settings = {"steps": (5, 5), "synthesis_steps": 4}
    watched = rich_features(make, data, hooks=[lambda s, m, v: seen.append((s, m.head.weight.detach().clone(), v))], **settings)  # fmt: skip
    plain = rich_features(make, data, **settings)
    assert [s for s, *_ in seen] == [1, 2, 3, 4] and [v for *_, v in seen] == watched.history.loss
    assert torch.equal(seen[-1][1], watched.model.head.weight) and not torch.equal(seen[0][1], seen[-1][1])
    assert torch.equal(plain.model.head.weight, watched.model.head.weight)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="at least two rounds"):
        rich_features(make, two_features(10), steps=(3,))
    with pytest.raises(InputError, match="make returned Linear; expected a model with a method features"):
        rich_features(lambda seed: nn.Linear(2, 2), two_features(10))
    with pytest.raises(InputError, match="size is 0"):
        next(synthesis_batches(torch.ones(2, 2, dtype=torch.bool), 0, seed=0))
