import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from farfield.errors import InputError
from farfield.losses import DeepSupervisionLoss
from farfield.nn import Junctions, LevelOutputs

G = torch.Generator().manual_seed(0)
HEADS = [torch.randn(6, 3, generator=G) for _ in range(4)]
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def test_equal_heads_give_the_base_loss():
    for weights in (None, (1.0, 2.0, 3.0, 4.0)):
        loss = DeepSupervisionLoss(cross_entropy, weights)([HEADS[0]] * 4, Y)
        assert torch.allclose(loss, cross_entropy(HEADS[0], Y))


def test_it_is_the_weighted_mean_whatever_the_weights_sum_to():
    each = torch.stack([cross_entropy(h, Y) for h in HEADS])
    assert torch.allclose(DeepSupervisionLoss(cross_entropy)(HEADS, Y), each.mean())
    weights = torch.tensor([1.0, 0.0, 3.0, 6.0])
    found = DeepSupervisionLoss(cross_entropy, weights.tolist())(HEADS, Y)
    assert torch.allclose(found, (weights * each).sum() / 10)


def test_the_small_models_gradient_is_the_mean_of_the_heads_gradients():
    junctions = Junctions({"a": 3, "b": 2}, 4, out_dim=3)
    rows = {"a": torch.randn(6, 3, generator=G), "b": torch.randn(6, 2, generator=G)}
    small = torch.randn(6, 4, generator=G, requires_grad=True)
    outputs = junctions(rows, small)
    (found,) = torch.autograd.grad(DeepSupervisionLoss(cross_entropy)(outputs, Y), small, retain_graph=True)
    each = [torch.autograd.grad(cross_entropy(h, Y), small, retain_graph=True)[0] for h in outputs.per_layer]
    assert torch.allclose(found, (each[0] + each[1]) / 2, atol=1e-7)


def test_the_ensemble_term_is_the_loss_of_the_combined_output():
    outputs = LevelOutputs(tuple(HEADS), torch.tensor([0.1, 0.2, 0.3, 0.4]))
    with_term, without = (DeepSupervisionLoss(cross_entropy, ensemble=e)(outputs, Y) for e in (2.0, 0.0))
    assert torch.allclose(with_term - without, 2 * cross_entropy(outputs.combined, Y), atol=1e-6)


def test_any_base_loss_serves():
    target = torch.zeros(6, 3)
    found = DeepSupervisionLoss(mse_loss)(HEADS, target)
    assert torch.allclose(found, torch.stack(HEADS).square().mean())


@pytest.mark.parametrize("bad", [{"weights": []}, {"weights": [1.0, -1.0]}, {"weights": [0.0]}, {"ensemble": -1.0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        DeepSupervisionLoss(cross_entropy, **bad)


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="4 outputs came for 2 weights"):
        DeepSupervisionLoss(cross_entropy, (1.0, 1.0))(HEADS, Y)
    with pytest.raises(InputError, match="0 outputs came"):
        DeepSupervisionLoss(cross_entropy)([], Y)
    with pytest.raises(InputError, match="bare outputs came"):
        DeepSupervisionLoss(cross_entropy, ensemble=1.0)(HEADS, Y)
