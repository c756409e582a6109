import torch
from torch.nn.functional import cross_entropy

from farfield.methods import erm, erm_sgd
from farfield.methods.method import training_batches


def test_erm_equals_a_plain_loop_with_adamw(task, new_model, plain_loop, check_same, settings):
    fitted = erm(new_model(), task, **settings)
    expected, values = plain_loop(new_model(), lambda m, b, _: cross_entropy(m(b["x"]), b["y"]), **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-5)


def test_erm_sgd_equals_nesterovs_update_written_out(task, new_model, check_same):
    fitted = erm_sgd(new_model(), task, steps=4, batch_size=24, seed=1, learning_rate=0.1, weight_decay=0.01)
    model, batches = new_model(), training_batches(task, 24, seed=1)
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for step in range(4):
        batch = task.train[next(batches)]
        grads = torch.autograd.grad(cross_entropy(model(batch["x"]), batch["y"]), list(model.parameters()))
        with torch.no_grad():
            for p, g, v in zip(model.parameters(), grads, velocity):
                g = g + 0.01 * p
                v.copy_(g if step == 0 else 0.9 * v + g)
                p.sub_(0.1 * (g + 0.9 * v))
    check_same(fitted.model, model)


def test_the_default_learning_rates_start_from_the_models_own(task, new_model, check_same):
    def with_rate(rate):
        model = new_model()
        model.learning_rate = rate
        return model

    budget = {"steps": 3, "batch_size": 24}
    check_same(
        erm(with_rate(0.05), task, **budget).model,
        erm(new_model(), task, learning_rate=0.05, **budget).model,
        exact=True,
    )
    check_same(
        erm_sgd(with_rate(0.01), task, **budget).model,
        erm_sgd(new_model(), task, learning_rate=0.3, **budget).model,
        exact=True,
    )
