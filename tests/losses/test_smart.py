import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.losses import R3FLoss, SMARTLoss, TrustRegionPenalty
from farfield.optim import PretrainedReference


def setting(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    return model, {"x": torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}


def smoothness(model, batch, delta):
    p, q = model(batch["x"]).softmax(1), model(batch["x"] + delta).softmax(1)
    return ((p - q) * (p / q).log()).sum(1)


def test_the_change_is_algorithm_1_written_out():
    model, batch = setting()
    loss = SMARTLoss(None, radius=0.05, step_size=0.03, sigma=0.01, steps=3, seed=5)
    found = loss.worst_change(model, batch, model(batch["x"]))
    noise = torch.empty(6, 3, dtype=torch.float64).normal_(0, 0.01, generator=torch.Generator().manual_seed(5))
    delta = noise.clamp(-0.05, 0.05)
    for _ in range(3):
        delta = delta.requires_grad_()
        (g,) = torch.autograd.grad(smoothness(model, batch, delta).mean(), delta)
        rows = [d + 0.03 * r / r.abs().max() for d, r in zip(delta.detach(), g)]
        delta = torch.stack(rows).clamp(-0.05, 0.05)
    assert torch.allclose(found, delta)
    assert found.abs().max() <= 0.05 and not found.requires_grad


def test_the_change_is_worse_than_random_ones_and_more_steps_are_worse_still():
    model, batch = setting()
    logits = model(batch["x"])
    made = {k: SMARTLoss(None, radius=0.3, step_size=0.1, sigma=0.05, steps=k, seed=3) for k in (1, 10)}
    few, many = (smoothness(model, batch, m.worst_change(model, batch, logits)).mean() for m in made.values())
    g = torch.Generator().manual_seed(0)
    random = torch.empty(20, 6, 3, dtype=torch.float64).uniform_(-0.3, 0.3, generator=g)
    drawn = max(smoothness(model, batch, d).mean() for d in random)
    assert few < many and drawn < many


def test_on_a_linear_model_of_two_classes_the_worst_change_is_the_corner():
    # The difference of the logits moves by w . delta, most at delta = +-radius sign(w), from where the start leans to.
    model, batch = nn.Linear(3, 2).double(), setting()[1]
    w = (model.weight[0] - model.weight[1]).detach()
    loss = SMARTLoss(None, radius=0.01, step_size=10.0, sigma=0.001, steps=2, seed=1)
    delta = loss.worst_change(model, batch, model(batch["x"]))
    assert torch.allclose((delta @ w).abs(), 0.01 * w.abs().sum().expand(6), rtol=0.2)
    assert torch.allclose(delta.abs(), torch.full_like(delta, 0.01))


def test_the_loss_is_both_terms_with_their_weights():
    model, batch = setting()
    earlier, _ = setting(seed=1)
    logits, reference = model(batch["x"]), PretrainedReference().init(earlier)
    settings = {"radius": 0.1, "step_size": 0.1, "sigma": 0.01, "seed": 2}
    alone = SMARTLoss(None, weight=1.0, **settings)
    delta = SMARTLoss(None, **settings).worst_change(model, batch, logits)
    assert torch.allclose(alone(model, batch, logits), smoothness(model, batch, delta).mean())
    both = SMARTLoss(reference, weight=0.5, proximity=3.0, **settings)(model, batch, logits)
    again = SMARTLoss(None, weight=1.0, **settings)(model, batch, logits)
    distance = TrustRegionPenalty(reference, 1.0, "kl_symmetric")(model, batch, logits)
    assert torch.allclose(both, 0.5 * (again + 3 * distance))


def test_without_a_step_to_take_it_is_r3f():
    model, batch = setting()
    logits = model(batch["x"])
    smart = SMARTLoss(None, weight=0.7, radius=10.0, step_size=0.0, sigma=0.2, seed=4)
    assert torch.allclose(smart(model, batch, logits), R3FLoss(weight=0.7, sigma=0.2, seed=4)(model, batch, logits))


def test_a_start_without_slope_stays_and_is_not_nan():
    model, batch = setting()
    delta = SMARTLoss(None, radius=0.1, step_size=0.1, sigma=0.0).worst_change(model, batch, model(batch["x"]))
    assert delta.isfinite().all() and delta.abs().max() <= 0.1


def test_gradients_reach_the_model_and_leave_no_trace_of_the_search():
    model, batch = setting()
    loss = SMARTLoss(None, radius=0.1, step_size=0.1, sigma=0.01)
    logits = model(batch["x"])
    loss.worst_change(model, batch, logits)
    assert all(p.grad is None for p in model.parameters())
    loss(model, batch, logits).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_bad_arguments_are_refused():
    for name in ("weight", "proximity", "radius", "step_size", "sigma"):
        with pytest.raises(InputError, match=rf"{name} is -1\.0"):
            SMARTLoss(None, **{name: -1.0})
    with pytest.raises(InputError, match="steps is 0; it must be at least 1"):
        SMARTLoss(None, steps=0)
