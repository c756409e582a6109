import math

import pytest
import torch
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.losses import FeatureLoss


def draw(n=7, classes=(2, 4, 2), seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.stack([torch.randint(k, (n,), generator=g) for k in classes], 1)
    width = sum(1 if k == 2 else k for k in classes)
    return torch.randn(n, width, generator=g, dtype=torch.float64), y, torch.rand(y.shape, generator=g) < 0.5


def by_loop(outputs, y, mask, classes, whole):
    total = 0.0
    at = 0
    for f, k in enumerate(classes):
        width = 1 if k == 2 else k
        parts = []
        for i in range(len(y)):
            if mask[i, f]:
                z = outputs[i, at : at + width].tolist()
                z = [0.0, z[0]] if k == 2 else z
                parts.append(math.log(sum(math.exp(v) for v in z)) - z[y[i, f]])
        at += width
        total += sum(parts) / (len(y) if whole else max(1, len(parts)))
    return total


@pytest.mark.parametrize("classes", [(2, 4, 2), (2, 2)])
@pytest.mark.parametrize("normalize", ["shown", "all"])
def test_it_equals_the_definition(classes, normalize):
    outputs, y, mask = draw(classes=classes)
    value = FeatureLoss(classes, normalize=normalize)(outputs, y, mask)
    assert value.item() == pytest.approx(by_loop(outputs, y, mask, classes, normalize == "all"))


def test_a_rare_label_pulls_as_strongly_as_a_common_one_only_where_shown_labels_are_counted():
    outputs, y, _ = draw(classes=(2,), n=10)
    outputs[:], y[:] = 1.0, 0
    mask = torch.zeros_like(y, dtype=torch.bool)
    mask[0] = True
    every = torch.ones_like(mask)
    shown, whole = FeatureLoss((2,)), FeatureLoss((2,), normalize="all")
    assert shown(outputs, y, mask) == pytest.approx(shown(outputs, y, every).item())
    assert whole(outputs, y, mask) == pytest.approx(whole(outputs, y, every).item() / 10)


def test_hidden_labels_have_no_gradient_and_a_batch_without_labels_adds_nothing():
    outputs, y, mask = draw()
    outputs.requires_grad_()
    FeatureLoss((2, 4, 2))(outputs, y, mask).backward()
    assert (outputs.grad[~mask[:, 0], 0] == 0).all() and (outputs.grad[mask[:, 0], 0] != 0).all()
    assert FeatureLoss((2, 4, 2))(outputs, y, torch.zeros_like(mask)).item() == 0


def test_without_hidden_labels_it_is_the_sum_of_the_ordinary_losses():
    outputs, y, _ = draw()
    expected = F.binary_cross_entropy_with_logits(outputs[:, 0], y[:, 0].double())
    expected = expected + F.cross_entropy(outputs[:, 1:5], y[:, 1])
    expected = expected + F.binary_cross_entropy_with_logits(outputs[:, 5], y[:, 2].double())
    assert FeatureLoss((2, 4, 2))(outputs, y, torch.ones_like(y, dtype=torch.bool)) == pytest.approx(expected.item())


def test_decisions_are_the_most_likely_values():
    outputs = torch.tensor([[-0.1, 0, 1, 3, 2, 5.0], [2.0, 9, 1, 3, 2, -1.0]])
    assert FeatureLoss((2, 4, 2)).decide(outputs).tolist() == [[0, 2, 1], [1, 0, 0]]
    assert FeatureLoss((2, 4, 2)).outputs == 6


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="classes is \\(2, 1\\)"):
        FeatureLoss((2, 1))
    with pytest.raises(InputError, match="at least one feature"):
        FeatureLoss(())
    with pytest.raises(InputError, match="normalize is 'mean'"):
        FeatureLoss((2,), normalize="mean")
    with pytest.raises(InputError, match="expected \\(n, 5\\) and twice \\(n, 2\\)"):
        FeatureLoss((2, 4))(torch.zeros(3, 2), torch.zeros(3, 2, dtype=torch.long), torch.ones(3, 2, dtype=torch.bool))
