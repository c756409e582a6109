import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import feature_direction, feature_variance, flip_curve, pc_truncation_curve


def draw(n=400, seed=0):
    rng = np.random.default_rng(seed)
    f = rng.integers(0, 2, n)
    reps = rng.normal(size=(n, 3))
    reps[:, 0] += 4 * f - 2
    return reps, f


def test_the_direction_is_the_difference_of_means_and_turns_with_the_representation():
    reps, f = draw()
    v = feature_direction(reps, f)
    assert v == pytest.approx(reps[f == 1].mean(0) - reps[f == 0].mean(0))
    assert feature_direction(reps + 7, 3 * f - 1) == pytest.approx(v)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    assert feature_direction(reps @ turn, f) == pytest.approx(v @ turn)
    assert isinstance(feature_direction(torch.tensor(reps), f), torch.Tensor)
    # Half of it either way is what regression on the feature fits, so its length is the explained variance.
    share = feature_variance(reps, {"f": f}, fit=1)["f"]
    explained = (v**2).sum() * f.mean() * (1 - f.mean())
    assert share == pytest.approx(explained / reps.var(0).sum())


def test_a_push_flips_exactly_the_rows_whose_margin_it_exceeds():
    reps, f = draw()
    v = np.array([2.0, 0.0, 0.0])
    read_out = nn.Linear(3, 2, bias=True).double()
    with torch.no_grad():
        # The first output reads along the direction, the second across it.
        read_out.weight.copy_(torch.tensor([[1.5, 0, 0], [0, 1, 0]]))
        read_out.bias.copy_(torch.tensor([0.3, 0]))
    alphas = [0, 0.5, 1, 2]
    rates = flip_curve(read_out, reps, v, alphas, values=f)
    logits = 1.5 * reps[:, 0] + 0.3
    for alpha, rate in zip(alphas, rates[:, 0]):
        pushed = logits + np.where(f == 1, -1, 1) * alpha * 2 * 1.5
        assert rate == pytest.approx(((pushed > 0) != (logits > 0)).mean())
    assert rates[0].tolist() == [0, 0] and rates[:, 1].tolist() == [0, 0, 0, 0]
    # Where every row is on its own side, that is the margin rule itself.
    sure = (logits > 0) == (f == 1)
    kept = flip_curve(read_out, reps[sure], v, [1], values=f[sure])
    assert kept[0, 0] == pytest.approx((np.abs(logits[sure]) < 3).mean(), abs=1e-12)


def test_without_values_all_rows_are_pushed_one_way():
    reps = np.array([[-1.0], [1.0], [-3.0]])
    assert flip_curve(lambda x: x, reps, np.array([1.0]), [2, -2]).ravel() == pytest.approx([1 / 3, 1 / 3])


def test_classes_and_dropout_off():
    reps, f = draw(50)
    head = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 4)).double()
    rates = flip_curve(head, reps, feature_direction(reps, f), [0], decide=lambda o: o.argmax(-1, keepdim=True))
    assert rates.tolist() == [[0.0]] and head.training
    # A head in float32 takes representations in float64.
    assert flip_curve(nn.Linear(3, 2), reps, feature_direction(reps, f), [0], batch_size=7).tolist() == [[0, 0]]


def test_components_come_back_in_the_order_of_their_variance():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (600, 3))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    scales = np.array([1.0, 9.0, 3.0])
    reps = np.column_stack([(2 * labels - 1) * scales, np.zeros((600, 2))]) @ turn + 5
    back = torch.tensor(turn[:3].T)

    def head(x):
        return (x - 5) @ back

    curve = pc_truncation_curve(head, reps, [1, 2, 3, 5], labels=labels)
    assert curve[0, 1] == 1 and curve[0, 0] < 0.7 and curve[0, 2] < 0.7
    assert curve[1, [1, 2]].tolist() == [1, 1] and curve[1, 0] < 0.7
    assert curve[2:].tolist() == [[1, 1, 1]] * 2
    # Without labels it is agreement with the whole, here the same.
    assert pc_truncation_curve(head, reps, [1, 2, 3, 5]) == pytest.approx(curve)


def test_no_component_is_the_mean():
    reps = np.array([[0.0, 1.0], [3.0, 1.0], [3.0, 2.0]])
    found = pc_truncation_curve(lambda x: x - 1.5, reps, [0, 2])
    assert found == pytest.approx(np.array([[2 / 3, 2 / 3], [1, 1]]))


def test_bad_arguments_are_refused():
    reps, f = draw(20)
    with pytest.raises(InputError, match="feature has 1 different value; it must have two"):
        feature_direction(reps, np.ones(20))
    with pytest.raises(InputError, match="direction has 2 entries but reps has 3 columns"):
        flip_curve(lambda x: x, reps, np.ones(2), [1])
    with pytest.raises(InputError, match="alphas holds a value that is not finite"):
        flip_curve(lambda x: x, reps, np.ones(3), [np.nan])
    with pytest.raises(InputError, match="reps has 20 rows but values has 3"):
        flip_curve(lambda x: x, reps, np.ones(3), [1], values=f[:3])
    with pytest.raises(InputError, match="batch_size is 0"):
        flip_curve(lambda x: x, reps, np.ones(3), [1], batch_size=0)
    for ks in ([4], [-1], [0.5], []):
        with pytest.raises(InputError, match="expected whole numbers from 0 to 3"):
            pc_truncation_curve(lambda x: x, reps, ks)
    with pytest.raises(InputError, match=r"labels has shape \(20,\); the head decides \(20, 3\)"):
        pc_truncation_curve(lambda x: x, reps, [1], labels=f)
