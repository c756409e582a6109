import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.methods import erm, vrex


@pytest.mark.parametrize("weight", [0.5, 30.0])
def test_equals_domainbeds_loop_with_its_annealing_and_fresh_optimizer(
    weight, task, new_model, plain_loop, check_same, differ, settings
):
    def loss(model, batch, step):
        logits = model(batch["x"])
        risks = torch.stack(
            [cross_entropy(logits[batch["domain"] == d], batch["y"][batch["domain"] == d]) for d in range(3)]
        )
        w = weight if step >= 2 else 1.0
        value = risks.mean() + w * ((risks - risks.mean()) ** 2).mean()
        return value / w if w > 1 else value

    fitted = vrex(new_model(), task, weight=weight, annealing=1 / 3, **settings)
    expected, values = plain_loop(new_model(), loss, fresh_optimizer_at=2, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-5)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm(task, new_model, check_same, settings):
    a = vrex(new_model(), task, weight=0.0, annealing=0.0, **settings)
    check_same(a.model, erm(new_model(), task, **settings).model)
