import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.nn import PairGate


def gate(classes=6, dim=5, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PairGate(classes, dim, label_dim=7, hidden=9, **options)


def pairs(classes=6):
    return torch.cartesian_prod(torch.arange(classes), torch.arange(classes)).T


@pytest.mark.parametrize("combine", ["mean", "product", "max"])
def test_the_order_of_two_labels_makes_no_difference_at_all(combine):
    made, (a, b) = gate(combine=combine), pairs()
    found = made(a, b)
    assert torch.equal(found, made(b, a))
    assert found.shape == (36, 5) and bool(((found > 0) & (found < 1)).all())
    # Pairs differ: it is not one gate for all. (Sums may round differently from row to row.)
    assert len(found.detach().round(decimals=5).unique(dim=0)) == made.num_pairs == 21


def test_is_the_formula_of_the_paper():
    made, (a, b) = gate(), pairs()
    first, _, second = made.network
    mean = (made.labels.weight[a] + made.labels.weight[b]) / 2
    hidden = (mean @ first.weight.T + first.bias).clamp_min(0)
    torch.testing.assert_close(made(a, b), 1 / (1 + (-(hidden @ second.weight.T + second.bias)).exp()))


@pytest.mark.parametrize(("classes", "expected"), [(1000, 500_500), (100, 5050), (10, 55), (1, 1)])
def test_number_of_unordered_pairs(classes, expected):
    assert gate(classes).num_pairs == expected


def test_a_pair_moves_only_the_table_rows_of_its_two_labels():
    made = gate()
    made(torch.tensor([1]), torch.tensor([4])).sum().backward()
    touched = made.labels.weight.grad.abs().sum(1) > 0
    assert touched.nonzero().flatten().tolist() == [1, 4]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8))
def test_relations_are_cosines_of_the_gates_of_a_class_with_itself(classes):
    made, every = gate(classes), torch.arange(classes)
    found = made.class_relations()
    gates = made(every, every)
    for i in range(classes):
        for j in range(classes):
            torch.testing.assert_close(found[i, j], torch.cosine_similarity(gates[i], gates[j], dim=0).detach())
    labels = made.class_relations("labels")
    expected = torch.cosine_similarity(made.labels.weight[0], made.labels.weight[-1], dim=0).detach()
    torch.testing.assert_close(labels[0, -1], expected)


def test_what_cannot_be_is_refused():
    for options in ({"num_classes": 0}, {"dim": 0}, {"label_dim": 0}, {"hidden": -1}):
        with pytest.raises(InputError, match=f"{next(iter(options))} is"):
            PairGate(**{"num_classes": 3, "dim": 2, **options})
    with pytest.raises(InputError, match="combine"):
        PairGate(3, 2, combine="sum of all")
    made = gate()
    with pytest.raises(InputError, match="y2 has labels from 0 to 6; the gate has 6 classes"):
        made(torch.tensor([0, 1]), torch.tensor([0, 6]))
    with pytest.raises(InputError, match="y1 has labels from -1"):
        made(torch.tensor([-1]), torch.tensor([0]))
    with pytest.raises(InputError, match=r"y1 is torch\.float32"):
        made(torch.tensor([0.0]), torch.tensor([0]))
    with pytest.raises(InputError, match="y2 is"):
        made(torch.tensor([0, 1]), torch.tensor([0]))
    with pytest.raises(InputError, match="of"):
        made.class_relations("images")
