import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, smart


def symmetric(a, b):
    p, q = a.softmax(1), b.softmax(1)
    return ((p - q) * (p / q).log()).sum(1).mean()


def test_equals_algorithm_1_written_out(task, new_model, plain_loop, check_same, differ, settings):
    average, noise = new_model(), torch.Generator().manual_seed(settings["seed"])

    def loss(model, batch, step):
        x = batch["x"]
        with torch.no_grad():
            if step > 0:
                for a, p in zip(average.parameters(), model.parameters()):
                    a.mul_(0.6).add_(0.4 * p)
            target = average(x)
        logits = model(x)
        delta = torch.empty_like(x).normal_(0, 0.03, generator=noise).requires_grad_()
        for _ in range(2):
            (g,) = torch.autograd.grad(symmetric(logits.detach(), model(x + delta)), delta)
            delta = (delta.detach() + 0.3 * g / g.abs().amax(1, keepdim=True)).clamp(-0.3, 0.3).requires_grad_()
        penalty = symmetric(logits, model(x + delta.detach())) + symmetric(target, logits)
        return cross_entropy(logits, batch["y"]) + 2.0 * penalty

    fitted = smart(new_model(), task, weight=2.0, radius=0.3, decay=0.6, ascents=2, **settings)
    expected, values = plain_loop(new_model(), loss, **settings)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-3)
    for p, q in zip(fitted.model.parameters(), expected.parameters()):
        assert torch.allclose(p, q, atol=1e-3)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = smart(new_model(normalise=True, dropout=0.3), task, weight=0.0, **settings)
    b = erm(new_model(normalise=True, dropout=0.3), task, **settings)
    check_same(a.model, b.model, exact=True)


def test_running_statistics_move_once_per_step(task, new_model, settings):
    model = smart(new_model(normalise=True), task, ascents=2, **settings).model
    assert model.encoder[1].num_batches_tracked == settings["steps"]


def test_settings_out_of_range_are_refused(task, new_model):
    for name, value in {"weight": -1.0, "radius": -1.0, "decay": 2.0}.items():
        with pytest.raises(InputError, match=f"{name} is"):
            smart(new_model(), task, steps=1, **{name: value})
    with pytest.raises(InputError, match="steps is 0"):
        smart(new_model(), task, steps=1, ascents=0)
