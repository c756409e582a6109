import copy

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.losses import TrustRegionPenalty
from farfield.optim import EMAReference, PretrainedReference


def setting():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, earlier = nn.Linear(3, 4).double(), nn.Linear(3, 4).double()
    return model, earlier, {"x": torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}


def test_it_is_the_weighted_kl_from_the_reference_to_the_model():
    model, earlier, batch = setting()
    reference = PretrainedReference().init(earlier)
    p, q = earlier(batch["x"]).softmax(1), model(batch["x"]).softmax(1)
    forward = (p * (p / q).log()).sum(1).mean()
    reverse = (q * (q / p).log()).sum(1).mean()
    assert torch.allclose(TrustRegionPenalty(reference)(model, batch, model(batch["x"])), 0.1 * forward)
    penalty = TrustRegionPenalty(reference, 2.0, "kl_reverse")
    assert torch.allclose(penalty(model, batch, model(batch["x"])), 2 * reverse)


def test_its_gradient_is_the_weighted_difference_of_the_probabilities():
    # d KL(p || q) / d logits = (q - p) / n.
    model, earlier, batch = setting()
    penalty = TrustRegionPenalty(PretrainedReference().init(earlier), weight=3.0)
    logits = model(batch["x"]).detach().requires_grad_()
    penalty(model, batch, logits).backward()
    expected = 3 * (logits.softmax(1) - earlier(batch["x"]).softmax(1)) / 6
    assert torch.allclose(logits.grad, expected)
    assert all(p.grad is None for p in earlier.parameters())


def test_it_follows_the_reference_and_holds_no_parameters_of_its_own():
    model, earlier, batch = setting()
    penalty = TrustRegionPenalty(EMAReference(0.5).init(earlier), weight=1.0)
    before = penalty(model, batch, model(batch["x"]))
    penalty.reference.update(model)
    middle = copy.deepcopy(earlier)
    with torch.no_grad():
        for p, q in zip(middle.parameters(), model.parameters()):
            p.lerp_(q, 0.5)
    after = penalty(model, batch, model(batch["x"]))
    expected = TrustRegionPenalty(PretrainedReference().init(middle), weight=1.0)(model, batch, model(batch["x"]))
    assert torch.allclose(after, expected) and after < before
    assert not list(penalty.parameters()) and not penalty.state_dict()


def test_bad_arguments_are_refused():
    _, earlier, _ = setting()
    reference = PretrainedReference().init(earlier)
    with pytest.raises(InputError, match=r"weight is -0\.1"):
        TrustRegionPenalty(reference, weight=-0.1)
    with pytest.raises(InputError, match="unknown divergence 'kl'"):
        TrustRegionPenalty(reference, divergence="kl")
