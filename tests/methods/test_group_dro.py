import math

import torch
from torch.nn.functional import cross_entropy

from farfield.methods import erm, group_dro


def test_equals_the_papers_loop(task, new_model, plain_loop, check_same, differ, settings):
    q = torch.ones(3) / 3

    def loss(model, batch, _):
        logits = model(batch["x"])
        losses = [cross_entropy(logits[batch["domain"] == d], batch["y"][batch["domain"] == d]) for d in range(3)]
        for d in range(3):
            q[d] *= math.exp(2.0 * losses[d].item())
        q.div_(q.sum())
        return sum(q[d] * losses[d] for d in range(3))

    fitted = group_dro(new_model(), task, eta=2.0, **settings)
    expected, values = plain_loop(new_model(), loss, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-5)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_eta_zero_on_balanced_batches_is_erm(task, new_model, check_same, settings):
    check_same(group_dro(new_model(), task, eta=0.0, **settings).model, erm(new_model(), task, **settings).model)
