import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.measure import OODGap, ood_gap, spurious_reliance

Y = torch.arange(3000) % 3
# Features: a cue that is the label, and the label itself.
X = torch.cat([nn.functional.one_hot(Y, 3), nn.functional.one_hot(Y, 3)], 1).float()


def redraw(x, generator):
    cue = nn.functional.one_hot(torch.randint(3, (len(x),), generator=generator), 3).float()
    return torch.cat([cue, x[:, 3:]], 1)


@pytest.mark.parametrize(("model", "lost"), [(lambda x: x[:, :3], 2 / 3), (lambda x: x[:, 3:], 0.0)])
def test_a_model_of_the_cue_loses_all_but_chance_and_a_model_of_the_rest_nothing(model, lost):
    assert spurious_reliance(model, X, Y, redraw, repeats=5) == pytest.approx(lost, abs=0.02)


def test_it_is_the_accuracy_before_minus_after():
    y = torch.tensor([0, 1, 1, 0])
    x = torch.tensor([0, 1, 1, 1])
    # Classes instead of scores; the setter turns all into 0: 3 of 4 right before, 2 of 4 after.
    assert spurious_reliance(lambda x: x, x, y, lambda x, g: torch.zeros_like(x)) == 0.25


def test_numpy_modules_and_small_batches_give_the_same():
    layer = nn.Linear(6, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.cat([torch.eye(3), 0.5 * torch.eye(3)], 1))
        layer.bias.zero_()
    dropped = nn.Sequential(nn.Dropout(0.9), layer).train()
    plain = spurious_reliance(lambda x: layer(x), X, Y, redraw, seed=3)
    assert spurious_reliance(dropped, X, Y, redraw, seed=3, batch_size=7) == plain
    assert dropped.training
    assert spurious_reliance(lambda x: layer(x), X, Y.numpy(), redraw, seed=3) == plain
    assert spurious_reliance(lambda x: layer(x), X, Y, redraw, seed=4) != plain


def test_rows_and_numbers_are_checked():
    with pytest.raises(InputError, match="x has 3000 rows but y has 5"):
        spurious_reliance(lambda x: x, X, Y[:5], redraw)
    with pytest.raises(InputError, match="repeats is 0"):
        spurious_reliance(lambda x: x, X, Y, redraw, repeats=0)
    with pytest.raises(InputError, match="cue_setter returned 2 rows for 3000"):
        spurious_reliance(lambda x: x, X, Y, lambda x, g: x[:2])


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.floats(-3, 3))
def test_a_constant_shift_of_the_far_scores_is_the_gap(scores, shift):
    values = np.array(scores)
    found = ood_gap(values, {"a": values - shift, "b": values - shift})
    assert found.gap == pytest.approx(shift, abs=1e-9) == pytest.approx(found.worst, abs=1e-9)


def test_gap_worst_and_standard_error_by_hand():
    near, far = np.array([1.0, 1, 1, 0]), {"a": np.array([1.0, 0]), "b": torch.tensor([0.0, 0, 0, 1])}
    found = ood_gap(near, far)
    assert isinstance(found, OODGap)
    assert (found.near, found.far, found.gap, found.worst) == (0.75, {"a": 0.5, "b": 0.25}, 0.375, 0.5)
    variance = near.var(ddof=1) / 4 + (0.5 / 2 + 0.25 / 4) / 4
    assert found.standard_error == pytest.approx(variance**0.5)
    with pytest.raises(InputError, match="far is empty"):
        ood_gap(near, {})
    with pytest.raises(InputError, match=r"far\['a'\] holds a value that is not finite"):
        ood_gap(near, {"a": np.array([np.nan])})
