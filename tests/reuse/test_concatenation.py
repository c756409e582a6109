"""Networks side by side: the official head, permutations, frozen parts, and the runs they come from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.nn import BNLinearProbe
from farfield.reuse import Cat, mean_head, snapshots, train_many
from farfield.tasks import Table
from farfield.train import train

OFFICIAL = Path(__file__).parent / "data" / "rich-representations.npz"


def linear(d, out, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(d, out)


def official():
    with np.load(OFFICIAL, allow_pickle=False) as found:
        return {name: torch.from_numpy(found[name]) for name in found}


class Stored(nn.Module):
    """An encoder whose features of row i are known."""

    def __init__(self, features):
        super().__init__()
        self.register_buffer("kept", features)

    def forward(self, x):
        return self.kept[x]


def official_heads(found):
    heads = []
    for k in range(3):
        head = linear(6, 4, 0)
        head.load_state_dict({"weight": found[f"w{k}"], "bias": found[f"b{k}"]})
        heads.append(head)
    return heads


def test_the_head_is_the_official_one_and_its_logits_the_mean_of_the_networks():
    found = official()
    cat, heads = Cat([Stored(found[f"feat{k}"]) for k in range(3)]), official_heads(found)
    head = cat.head_from(heads)
    assert torch.allclose(head.weight, found["cat_weight"], atol=1e-6)
    assert torch.allclose(head.bias, found["cat_bias"], atol=1e-6)
    logits = head(cat(torch.arange(5)))
    assert torch.allclose(logits, found["cat_logits"], atol=1e-5)
    mean = sum(h(found[f"feat{k}"]) for k, h in enumerate(heads)) / 3
    assert torch.allclose(logits, mean, atol=1e-5)


def test_batch_normalisation_before_it_breaks_that_start_as_officially():
    found = official()
    cat, probe = Cat([Stored(found[f"feat{k}"]) for k in range(3)]), BNLinearProbe(18, 4)
    probe.linear = cat.head_from(official_heads(found))
    features = cat(torch.arange(5))
    assert torch.allclose(probe(features), found["bn_train_logits"], atol=1e-5)
    assert torch.allclose(probe.eval()(features), found["bn_eval_logits_after_one_batch"], atol=1e-5)
    assert not torch.allclose(found["bn_train_logits"], found["cat_logits"], atol=0.1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_permuting_encoders_permutes_blocks_only(widths, random):
    encoders = [linear(3, w, i) for i, w in enumerate(widths)]
    heads = [linear(w, 2, 10 + i) for i, w in enumerate(widths)]
    order = list(range(len(widths)))
    random.shuffle(order)
    x = torch.arange(12.0).view(4, 3)
    cat, shuffled = Cat(encoders), Cat([encoders[i] for i in order])
    blocks = cat(x).split(widths, 1)
    assert torch.equal(shuffled(x), torch.cat([blocks[i] for i in order], 1))
    same = shuffled.head_from([heads[i] for i in order])(shuffled(x))
    assert torch.allclose(cat.head_from(heads)(cat(x)), same, atol=1e-4)


def test_frozen_encoders_get_no_gradient_and_keep_their_statistics():
    encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    cat = Cat([encoder])
    head = nn.Linear(4, 2)
    cat.train()
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cat(x), cat(x))
    head(cat(x)).sum().backward()
    assert all(p.grad is None for p in cat.parameters()) and head.weight.grad is not None
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    free = Cat([linear(3, 4, 0)], freeze=False)
    free(x).sum().backward()
    assert all(p.grad is not None for p in free.parameters())


def test_heads_are_copied_and_without_a_bias_there_is_none():
    cat = Cat([linear(3, 2, 0), linear(3, 2, 1)])
    heads = [linear(2, 2, 2), linear(2, 2, 3)]
    head, first = cat.head_from(heads), heads[0].weight.detach().clone()
    with torch.no_grad():
        head.weight.zero_()
    assert torch.equal(heads[0].weight, first) and head.weight.requires_grad
    assert cat.head_from([nn.Linear(2, 2, bias=False)] * 2).bias is None


def test_the_mean_head_gives_the_mean():
    heads, z = [linear(3, 2, i) for i in range(4)], torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(mean_head(heads)(z), sum(h(z) for h in heads) / 4, atol=1e-6)


def test_snapshots_are_copies_at_equal_distances_and_the_last_is_the_end():
    model = linear(1, 1, 0)
    data, states = Table(x=torch.ones(4, 1)), []

    def run(hook):
        sgd = torch.optim.SGD(model.parameters(), lr=0.01)
        keep = lambda s, m, loss: states.append(m.weight.detach().clone())  # noqa: E731
        train(model, data, lambda m, b: m(b["x"]).square().mean(), sgd, steps=10, hooks=[hook, keep])

    taken = snapshots(run, 3, steps=10, start=4)
    assert [int(next(i for i, s in enumerate(states) if torch.equal(s, m.weight))) for m in taken] == [5, 7, 9]
    assert torch.equal(taken[-1].weight, model.weight) and all(m is not model and not m.training for m in taken)


def test_runs_are_made_by_seed_and_returned_in_evaluation_mode():
    encoders = train_many(lambda seed: linear(2, 2, seed), (4, 7))
    assert torch.equal(encoders[1].weight, linear(2, 2, 7).weight) and not encoders[0].training


one = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cat([]), "encoders is empty"),
        (lambda: Cat([one, nn.Flatten(0)])(torch.zeros(3, 2)), r"encoder 1 gives features of shape \(6,\)"),
        (lambda: Cat([one]).head_from([one, one]), "2 heads came for 1 encoders"),
        (lambda: Cat([one, one]).head_from([one, nn.Linear(2, 3)]), r"have \[2, 3\] outputs"),
        (lambda: Cat([one]).head_from([nn.ReLU()]), r"heads is \['ReLU'\]"),
        (lambda: mean_head([]), "heads is empty"),
        (lambda: mean_head([one, nn.Linear(3, 2)]), r"read \[2, 3\] features"),
        (lambda: train_many(lambda seed: one, [0, 1]), r"train_fn\(1\) returned the module of an earlier seed"),
        (lambda: train_many(lambda seed: 3, [0]), r"train_fn\(0\) returned int"),
        (lambda: train_many(lambda seed: nn.Linear(1, 1), [1, 1]), "no seed twice"),
        (lambda: snapshots(lambda hook: None, 3, steps=6), "came to 0 of 3 snapshots"),
        (lambda: snapshots(lambda hook: None, 3, steps=6, start=4), "expected 1 to 2"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
