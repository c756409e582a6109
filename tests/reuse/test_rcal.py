"""Representation calibration: a step's loss by hand, what is drawn, and what each part changes."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.nn import Classifier
from farfield.reuse import Calibrated, ClassGaussians, Encoder, anchors, rcal_fit
from farfield.tasks import Table


def model(normalise=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norm = nn.BatchNorm1d(6) if normalise else nn.Identity()
        return Classifier(nn.Sequential(nn.Linear(4, 6), norm, nn.Tanh()), nn.Linear(6, 3))


def rows(counts=(30, 12, 6), seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(3).repeat_interleave(torch.tensor(counts))
    return Table(x=torch.randn(len(y), 4, generator=g) + 2 * nn.functional.one_hot(y, 4), y=y)


PLAIN = {"steps": 4, "batch_size": 48, "mixup_alpha": 0.0, "head_steps": 0, "tail": False}


def by_hand(data, z, *, weight, steps, share=None):
    """The loop with whole batches, no mixing; ``share`` of drawn points by their exact mean loss is not possible, so none are drawn."""
    net, variance = model(), z.var(0, correction=0).sum()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    x, y = data.columns["x"], data.columns["y"]
    for _ in range(steps):
        features = net.features(x)
        loss = cross_entropy(net.head(features), y) + weight / variance * (features - z).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def test_equals_a_plain_loop_without_drawn_points():
    data = rows()
    z = anchors(model(), data) + 0.3
    fitted = rcal_fit(model(), z, data, anchor_weight=2.0, sampled=None, **PLAIN)
    expected = by_hand(data, z, weight=2.0, steps=4)
    for a, b in zip(fitted.model.parameters(), expected.parameters()):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_first_loss_weighs_real_and_drawn_points_by_their_numbers():
    data, net = rows(), model()
    z = anchors(net, data)
    fitted = rcal_fit(net, z, data, sampled=0.5, anchor_weight=1.0, **{**PLAIN, "steps": 1})
    # 30 - n_k missing points, and 15 more of each class: 15, 33 and 39, in one batch.
    assert isinstance(fitted, Calibrated) and fitted.model is net
    drawn, labels = fitted.gaussians.sample([15, 33, 39], seed=0)
    start = model()
    real = cross_entropy(start(data.columns["x"]), data.columns["y"])
    expected = (48 * real + 87 * cross_entropy(start.head(drawn), labels)) / 135
    assert fitted.history.loss[0] == pytest.approx(expected.item(), rel=1e-4)


def test_features_stay_at_their_anchors_the_closer_the_heavier_the_penalty():
    data = rows()
    moved = []
    for weight in (0.0, 1.0, 100.0):
        net = model()
        z = anchors(net, data)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        rcal_fit(net, z, data, anchor_weight=weight, sampled=0.1, optimizer=optimizer, **{**PLAIN, "steps": 60})
        moved.append((anchors(net, data) - z).square().sum().item())
    assert moved[0] > 3 * moved[1] > 9 * moved[2]


def test_normalisation_layers_are_as_when_the_anchors_were_taken():
    data, net = rows(), model(normalise=True)
    with torch.no_grad():
        net.encoder[1].running_mean.fill_(0.7)
    z = anchors(net, data)
    settings = {**PLAIN, "steps": 1}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    loss = rcal_fit(net, z, data, anchor_weight=1e6, sampled=None, optimizer=optimizer, **settings).history.loss[0]
    assert loss < 10  # nothing to pay: the features are their anchors
    assert torch.equal(net.encoder[1].running_mean, torch.full((6,), 0.7))


def test_wrong_labels_and_rare_classes_cost_less_than_with_plain_training():
    from farfield.measure import balanced_accuracy
    from farfield.tasks import gaussian_classes, long_tailed, with_label_noise

    clean, _ = gaussian_classes(200, classes=5, dimension=6, delta=5, seed=1)
    test, _ = gaussian_classes(200, classes=5, dimension=6, delta=5, seed=2)
    noisy, _ = with_label_noise(long_tailed(clean, 20, seed=0)[0], 0.3, 5, seed=0, kind="lt-asymmetric")

    def linear():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Classifier(nn.Identity(), nn.Linear(6, 5))

    scores = {}
    for name, settings in {"plain": {"sampled": None}, "rcal": {}}.items():
        net = linear()
        z = noisy.columns["x"]
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        rcal_fit(net, z, noisy, steps=150, optimizer=optimizer, mixup_alpha=0.0, **settings)
        predicted = net(test.columns["x"]).argmax(1)
        scores[name] = balanced_accuracy(predicted, test.columns["y"])
    assert scores["rcal"] > scores["plain"] + 0.05, scores


def test_tokens_are_mixed_in_their_features():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 6)

        def forward(self, x):
            return self.table(x).mean(1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Classifier(Mean(), nn.Linear(6, 3))
    g = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    data = Table(x=torch.randint(3, (60, 5), generator=g) + 3 * y[:, None], y=y)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    rcal_fit(net, anchors(net, data), data, steps=60, optimizer=optimizer, mixup_alpha=1.0)
    assert (net(data.columns["x"]).argmax(1) == y).float().mean() > 0.9


def test_any_model_whose_last_linear_layer_ends_it_is_served():
    data, made = rows(), model()
    flat = nn.Sequential(*model().encoder, model().head)
    z = anchors(flat, data)
    assert torch.equal(z, anchors(made, data)) and torch.equal(Encoder(flat)(data.columns["x"]), z)
    a, b = (rcal_fit(m, z, data, **{**PLAIN, "steps": 3}).history.loss for m in (flat, made))
    assert a == pytest.approx(b)
    with pytest.raises(InputError, match="does more after its last linear layer"):
        rcal_fit(nn.Sequential(flat, nn.Softmax(1)), z, data, **PLAIN)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"z": torch.zeros(3, 6)}, r"z has shape \(3, 6\) for 48 rows"),
        ({"z": torch.zeros(48, 5)}, "the anchors have 5 dimensions; the features of the model have 6"),
        ({"classes": 4}, "class 3 of y has 0 rows"),
        ({"sampled": -0.5}, "sampled is -0.5"),
        ({"head_steps": -1}, "head_steps is -1"),
        ({"anchor_weight": -1.0}, "weight is"),
        ({"data": Table(x=torch.zeros(48, 4), y=torch.zeros(48, 2).long())}, "one label for each example"),
    ],
)
def test_what_cannot_be_is_refused(change, sentence):
    net, data = model(), rows()
    given = {"z": anchors(net, data), "data": data, **PLAIN, "gaussians": ClassGaussians(outlier=None), **change}
    with pytest.raises(InputError, match=sentence):
        rcal_fit(net, given.pop("z"), given.pop("data"), **given)
