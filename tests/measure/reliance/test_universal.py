import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import UniversalPerturbation, ascent_uap, perturbation_budget, pgd, svd_uap
from farfield.tasks import lms


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(weights):
    """Class 1 along the weights, boundary at 0."""
    model = nn.Linear(len(weights), 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.stack([-weights, weights]))
    return model


def test_the_budget_of_a_linear_model_is_its_weights():
    w, x = draw(6), draw(50, 6, seed=1)
    delta = pgd(linear(w), x, torch.randint(2, (50,), generator=torch.Generator().manual_seed(2)), 0.7, 0.1, 20) - x
    found = perturbation_budget(delta, {str(i): [i] for i in range(6)} | {"pair": [1, 4]})
    for i in range(6):
        assert found[str(i)] == pytest.approx(float(w[i].abs() / w.norm()), abs=1e-5)
    assert found["pair"] == pytest.approx(float(w[[1, 4]].norm() / w.norm()), abs=1e-5)


def test_budgets_are_means_of_parts_without_empty_rows_and_tiny_ones_count():
    delta = np.array([[3.0, 4.0], [0.0, 0.0], [1e-200, 0.0]])
    found = perturbation_budget(delta, {"a": [0], "b": [1], "all": [0, 1]})
    assert (found["a"], found["b"], found["all"]) == pytest.approx((0.8, 0.4, 1.0))
    images = torch.zeros(2, 1, 2, 2)
    images[:, 0, 1] = 1
    assert perturbation_budget(images, {"top": [0, 1], "bottom": [2, 3]}) == {"top": 0.0, "bottom": 1.0}


def test_budgets_are_taken_in_the_rotated_space():
    data = lms(5, 8, n=100)
    model = linear(data.rotation[0])
    delta = pgd(model, data.x, data.y, 0.5, 0.1, 10) - data.x
    assert perturbation_budget(delta, data.groups(), rotation=data.rotation)["linear"] == pytest.approx(1, abs=1e-4)
    assert perturbation_budget(delta, {"first": [0]})["first"] < 0.99


@pytest.mark.parametrize(("n", "d"), [(40, 7), (5, 12)])
def test_the_shared_direction_is_the_first_singular_vector(n, d):
    x, delta = draw(n, d), draw(n, d, seed=1) + 2 * draw(n, 1, seed=2) * draw(d, seed=3)
    y = torch.arange(n) % 2
    found = svd_uap(nn.Linear(d, 2), x, y, delta, 1.5)
    expected = torch.linalg.svd(delta.double())[2][0]
    assert abs(float(found.delta.double() @ expected)) == pytest.approx(1.5, abs=1e-4)
    assert float(found.delta.norm()) == pytest.approx(1.5, abs=1e-5)


def test_the_better_sign_is_taken_and_the_accuracy_is_that_of_the_moved_inputs():
    w = torch.tensor([1.0, 0.0, 0.0])
    model, x = linear(w), draw(300, 3)
    y = (x[:, 0] > 0).long()
    for sign in (1, -1):
        delta = sign * torch.where(y == 1, -1.0, 1.0)[:, None] * w.expand(300, 3)
        found = svd_uap(model, x, y, delta, 0.8)
        assert isinstance(found, UniversalPerturbation) and found.delta.tolist() == pytest.approx([-0.8, 0, 0])
        assert found.accuracy == pytest.approx(float((x[:, 0].abs() > 0.8).float().mean()))
        assert torch.allclose(found.add(x, y)[y == 1], x[y == 1] - torch.tensor([0.8, 0, 0]))
    # The same for both classes fools those of one side only.
    same = svd_uap(model, x, y, delta, 100.0, signed=False)
    assert same.accuracy == pytest.approx(min(float(y.float().mean()), float(1 - y.float().mean())))


def test_the_range_is_kept():
    x = torch.full((4, 2), 0.5)
    found = UniversalPerturbation(torch.ones(2), 0.0, signed=True)
    assert found.add(x, torch.tensor([0, 1, 0, 1]), clip=(0, 1)).unique().tolist() == [0, 1]
    model, y = linear(torch.tensor([1.0, 0.0])), torch.tensor([1, 1, 1, 1])
    # The push that the range cuts off changes nothing: 0.5 can fall to 0, which is no 0 below the boundary.
    assert svd_uap(model, x, y, torch.ones(4, 2), 9.0, clip=(0.25, 1)).accuracy == 1


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_ascent_finds_the_weights_of_a_linear_model(norm):
    w, x = draw(5), draw(200, 5, seed=1)
    model, y = linear(w), (x @ w > 0).long()
    found = ascent_uap(model, x, y, 0.6, 0.2, 10, norm=norm)
    expected = -0.6 * w / w.norm() if norm == "l2" else -0.6 * w.sign()
    torch.testing.assert_close(found.delta, expected, atol=1e-4, rtol=0)
    moved = x + (2.0 * y - 1)[:, None] * expected
    assert found.accuracy == pytest.approx(float(((moved @ w > 0).long() == y).float().mean()))


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    x, y = draw(20, 3), torch.arange(20) % 2
    first = ascent_uap(model, x, y, 0.5, 0.1, 5)
    assert torch.equal(first.delta, ascent_uap(model, x, y, 0.5, 0.1, 5).delta) and model.training
    assert all(p.grad is None for p in model.parameters())


def test_bad_arguments_are_refused():
    model, x, y = nn.Linear(2, 3), draw(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    with pytest.raises(InputError, match="signed is for labels 0 and 1"):
        ascent_uap(model, x, y, 1.0, 0.1, 1)
    assert svd_uap(model, x, y, x, 1.0, signed=False).delta.shape == (2,)
    with pytest.raises(InputError, match=r"delta has shape \(3, 2\) and x \(6, 2\)"):
        svd_uap(model, x, y, x[:3], 1.0, signed=False)
    with pytest.raises(InputError, match="delta is 0 everywhere; perturbations"):
        svd_uap(model, x, y, 0 * x, 1.0, signed=False)
    with pytest.raises(InputError, match="eps is -1"):
        svd_uap(model, x, y, x, -1.0, signed=False)
    with pytest.raises(InputError, match="delta is 0 everywhere; there is no perturbation"):
        perturbation_budget(0 * x, {"a": [0]})
    with pytest.raises(InputError, match=r"delta has shape \(6,\)"):
        perturbation_budget(x[:, 0], {"a": [0]})
    with pytest.raises(InputError, match="step is 0"):
        ascent_uap(model, x, y, 1.0, 0.0, 1, signed=False)
