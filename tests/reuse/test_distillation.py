"""A student with a head for each teacher."""

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.reuse import Distill

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def linear(d, out, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(d, out)


def test_logits_are_matched_by_the_mean_tempered_divergence():
    teachers, tau = [linear(4, 3, 1), linear(4, 3, 2)], 2.0
    loss = Distill(linear(4, 5, 0), teachers, tau=tau, example=X)
    z = loss.student(X)
    expected = 0.0
    for teacher, head in zip(teachers, loss.heads):
        p, q = (teacher(X) / tau).softmax(1), (head(z) / tau).softmax(1)
        expected += tau**2 * (p * (p / q).log()).sum(1).mean() / 2
    assert torch.allclose(loss(X), expected, atol=1e-6)


def test_features_are_matched_by_the_cosine_whatever_their_length():
    teachers = [linear(4, 2, 1), linear(4, 6, 2)]
    loss = Distill(linear(4, 5, 0), teachers, "features", example=X)
    z = loss.student(X)
    cosines = [nn.functional.cosine_similarity(h(z), t(X), dim=1).mean() for t, h in zip(teachers, loss.heads)]
    assert torch.allclose(loss(X), 1 - sum(cosines) / 2, atol=1e-6)
    assert [h.out_features for h in loss.heads] == [2, 6]
    value = loss(X)
    with torch.no_grad():
        teachers[0].weight.mul_(7), teachers[0].bias.mul_(7)
    assert torch.allclose(loss(X), value, atol=1e-6)
    with pytest.raises(InputError, match="target='logits'"):
        loss.source_head()


def test_a_student_that_is_its_teachers_has_no_loss():
    teachers = [linear(4, 3, 1), linear(4, 3, 2)]
    loss = Distill(nn.Identity(), teachers, example=X)
    for head, teacher in zip(loss.heads, teachers):
        head.load_state_dict(teacher.state_dict())
    assert abs(loss(X).item()) < 1e-6
    assert torch.allclose(loss.source_head()(X), sum(t(X) for t in teachers) / 2, atol=1e-5)


def test_teachers_stay_frozen_and_their_statistics_too():
    teacher = nn.Sequential(linear(4, 3, 1), nn.BatchNorm1d(3))
    loss = Distill(linear(4, 5, 0), [teacher], example=X).train()
    loss(X).backward()
    assert all(p.grad is None for p in teacher.parameters()) and float(teacher[1].num_batches_tracked) == 0
    assert loss.student.weight.grad is not None and loss.heads[0].weight.grad is not None


def test_the_seed_draws_the_heads_and_leaves_the_callers_state():
    state = torch.get_rng_state()
    a, b, c = (Distill(linear(4, 5, 0), [linear(4, 3, 1)], example=X, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a.heads[0].weight, b.heads[0].weight) and not torch.equal(a.heads[0].weight, c.heads[0].weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teachers": []}, "teachers is empty"),
        ({"target": "logit"}, "unknown target 'logit'; nearest: logits"),
        ({"tau": 0.0}, "tau is 0.0"),
        ({"teachers": [nn.Flatten(0)]}, r"teacher 0 gives outputs of shape \(64,\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Distill(**{"student": linear(4, 5, 0), "teachers": [linear(4, 3, 1)], "example": X, **arguments})
