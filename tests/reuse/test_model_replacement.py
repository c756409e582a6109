"""Tasks, replacements and memory: what a task starts from, what it is tied to, and that galleries stay."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from farfield.errors import InputError
from farfield.losses import HOCLoss, compatible_total
from farfield.measure import average_accuracy, compatibility_matrix
from farfield.nn import Classifier, SimplexClassifier
from farfield.reuse import ExperienceReplay, FixedSimplex, ModelReplacementRun, UpdateMethod
from farfield.reuse.model_replacement import frozen, sgd
from farfield.tasks import Table
from farfield.train import train

WIDE = 12


def clusters(classes, rows=20, seed=0):
    """Classes as clusters around centres that are the same for every call."""
    centres = 2 * torch.randn(20, WIDE, generator=torch.Generator().manual_seed(7))
    y = torch.tensor(list(classes)).repeat_interleave(rows)
    return Table(x=centres[y] + 0.4 * torch.randn(len(y), WIDE, generator=torch.Generator().manual_seed(seed)), y=y)


def encoder(out, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(WIDE, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, out, bias=False))


def pretrained(slots, count, seed, fixed):
    """An encoder that knows the first classes, with slots from 0 or with a learned head."""
    model = Classifier(encoder(slots - 1, seed), SimplexClassifier(slots) if fixed else nn.Linear(slots - 1, count))
    rows = clusters(range(count))
    train(model, rows, lambda m, b: cross_entropy(m(b["x"]), b["y"]), sgd(model, 0.05, 5e-4), steps=60, seed=seed)
    return model.encoder


def tasks(*sizes, offset=8):
    """Tasks with new classes each; their centres are those from ``offset`` on."""
    found, first = [], 0
    for size in sizes:
        rows = clusters(range(offset + first, offset + first + size))
        found.append(rows.replace(y=rows.columns["y"] - offset))
        first += size
    return found


def run(method, models, parts=(3, 2), replace_at=(0,), **settings):
    return ModelReplacementRun(
        models, tasks(*parts), replace_at, method, **{"rehearsal": 4, "epochs": 4, "batch_size": 16, **settings}
    )


def search(models):
    """The compatibility matrix for classes that no task has."""
    gallery, query = clusters(range(14, 20), 8, seed=1), clusters(range(14, 20), 8, seed=2)
    parts = ((t.columns["x"], t.columns["y"]) for t in (query, gallery))
    return compatibility_matrix(models, *parts)


def test_a_fixed_simplex_keeps_galleries_over_a_replacement_and_replay_does_not():
    slots, settings = 24, {"parts": (2, 2), "replace_at": (0, 1), "learning_rate": 0.005, "epochs": 6}
    fixed = run(FixedSimplex(slots), [pretrained(slots, n, n, True) for n in (5, 8)], **settings)
    replay = run(ExperienceReplay(), [pretrained(slots, n, n, False) for n in (5, 8)], **settings)
    (own, _), (cross, _) = search(fixed.models())
    (own_replay, _), (cross_replay, _) = c = search(replay.models())
    assert own > 0.8 and own_replay > 0.8
    # Chance is 1/6.
    assert cross > 0.5 and cross_replay < 0.4 and average_accuracy(c) < 100 * own_replay


def test_models_are_frozen_the_same_again_and_what_came_is_left_alone():
    given = pretrained(16, 8, 0, True)
    before = {name: value.clone() for name, value in given.state_dict().items()}
    models, again = (run(FixedSimplex(16), [given]).models() for _ in range(2))
    assert len(models) == 2
    x = clusters(range(3)).columns["x"]
    for a, b in zip(models, again):
        assert not a.training and not any(p.requires_grad for p in a.parameters())
        assert torch.equal(a(x), b(x))
    assert not torch.equal(models[0](x), models[1](x))
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())
    other = run(FixedSimplex(16), [given], seed=1).models()
    assert not torch.equal(other[1](x), models[1](x))


def test_a_task_starts_from_the_last_model_or_the_one_that_comes():
    """A rate so small that nothing is learned shows where each task began, but for running statistics."""
    a, b = encoder(15, seed=1), encoder(15, seed=2)
    found = run(
        FixedSimplex(16), [a, b], parts=(2, 1, 1), replace_at=(0, 2), learning_rate=1e-30, final_learning_rate=0.0
    ).models()
    for model, source in zip(found, (a, a, b)):
        assert torch.equal(model[3].weight, source[3].weight)


def test_the_loss_of_the_simplex_is_the_papers():
    method, model = FixedSimplex(16, HOCLoss(5.0), 0.3), Classifier(encoder(15), SimplexClassifier(16))
    started = frozen(Classifier(encoder(15, seed=3), SimplexClassifier(16)))
    batch = tasks(3)[0][slice(None)]
    z = model.features(batch["x"])
    # Local classes have the slots from the end.
    ce = cross_entropy(z @ model.head.weight.T, 15 - batch["y"])
    expected = compatible_total(ce, HOCLoss(5.0)(z, started.features(batch["x"]), batch["y"]), 0.3)
    torch.testing.assert_close(method.loss(started, None)(model, batch), expected)
    torch.testing.assert_close(FixedSimplex(16, hoc=None).loss(started, None)(model, batch), ce)
    # As of the paper's own settings.
    default = FixedSimplex(1024)
    assert (default.lam, default.hoc.mu, default.hoc.masked) == (0.1, 10.0, "zero")


def test_the_higher_order_loss_holds_features_where_they_were():
    given = pretrained(16, 8, 0, True)
    x = clusters(range(8, 13)).columns["x"]
    moved = {}
    for name, method in (("ce", FixedSimplex(16, hoc=None)), ("hoc", FixedSimplex(16))):
        model = run(method, [given], learning_rate=0.02, epochs=10).models()[-1]
        moved[name] = (
            (normalize(model(x)) * normalize(frozen(Classifier(given, nn.Identity())).features(x))).sum(1).mean()
        )
    assert moved["hoc"] > moved["ce"]


def test_replays_head_grows_and_bct_reads_the_last_head():
    method, rows = ExperienceReplay(alpha=2.0), tasks(3, 2)
    first = method.start(encoder(6), 6, None, 3)
    grown = method.start(encoder(6), 6, first, 5)
    assert torch.equal(grown.head.weight[:3], first.head.weight) and torch.equal(grown.head.bias[:3], first.head.bias)
    # At a replacement there is none to go on from.
    assert not torch.equal(method.start(encoder(6), 6, None, 5).head.weight[:3], first.head.weight)
    last, batch = (
        frozen(first),
        Table(x=torch.cat([r.columns["x"] for r in rows]), y=torch.cat([r.columns["y"] for r in rows])),
    )
    batch = batch[slice(None)]
    z, known = grown.features(batch["x"]), batch["y"] < 3
    ce = cross_entropy(grown.head(z), batch["y"])
    old = cross_entropy(first.head(z[known]), batch["y"][known])
    torch.testing.assert_close(method.loss(last, last)(grown, batch), ce + 2 * old)
    torch.testing.assert_close(method.loss(last, None)(grown, batch), ce)
    torch.testing.assert_close(ExperienceReplay().loss(last, last)(grown, batch), ce)


def test_a_method_of_ones_own():
    class Keep(ExperienceReplay):
        """Hold features where they were when the task began."""

        def loss(self, started, last):
            return lambda model, batch: (model.features(batch["x"]) - started.features(batch["x"])).square().mean()

    method: UpdateMethod = Keep()
    given, x = encoder(6), clusters(range(8, 13)).columns["x"]
    settings = {"weight_decay": 0.0, "epochs": 20, "learning_rate": 0.01}
    distances = []
    for each in (method, ExperienceReplay()):
        first, second = run(each, [given], **settings).models()
        distances.append(float((first(x) - second(x)).norm()))
    assert distances[0] < 0.5 * distances[1]


def test_weights_decay_and_biases_do_not():
    model = encoder(4)
    for group in sgd(model, 0.1, 0.01).param_groups:
        assert group["weight_decay"] == (0.01 if group["params"][0].ndim > 1 else 0.0) and group["momentum"] == 0.9
    assert sum(len(g["params"]) for g in sgd(model, 0.1, 0.01).param_groups) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"replace_at": (0, 1)}, "replace_at has 2 tasks for 1 pretrained"),
        ({"replace_at": (1,)}, "must rise from 0"),
        ({"batch_size": 1}, "batch_size 1"),
        ({"parts": ()}, "tasks is empty"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, says):
    with pytest.raises(InputError, match=says):
        run(FixedSimplex(16), [encoder(15)], **change)


def test_models_and_classes_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="needs 15: add a linear layer, the junction"):
        run(FixedSimplex(16), [encoder(8)]).models()
    with pytest.raises(InputError, match="num_classes is 4, but 5 classes"):
        run(FixedSimplex(4), [encoder(3)]).models()
    with pytest.raises(InputError, match="comes at task 1 gives 9 features, those before 8"):
        run(ExperienceReplay(), [encoder(8), encoder(9)], replace_at=(0, 1)).models()
    with pytest.raises(InputError, match=r"tasks\[1\] has the classes 0 to 2; new ones numbered from 3 on"):
        ModelReplacementRun([encoder(15)], [tasks(3)[0], tasks(3)[0]], [0], FixedSimplex(16))
    with pytest.raises(InputError, match="alpha is -1"):
        ExperienceReplay(alpha=-1)
