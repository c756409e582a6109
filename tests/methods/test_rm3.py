import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.methods import erm, rm3
from farfield.methods.method import training_batches


def test_equals_the_rolling_median_written_out(task, new_model, check_same, differ, settings):
    fitted = rm3(new_model(), task, **settings)
    model = new_model()
    parameters = list(model.parameters())
    adamw = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    seen = []
    for _ in range(settings["steps"]):
        batch = task.train[next(batches)]
        loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        seen.append(torch.autograd.grad(loss, parameters))
        for i, p in enumerate(parameters):
            last = [g[i] for g in seen[-3:]]
            p.grad = torch.from_numpy(np.median(torch.stack(last), axis=0)) if len(last) == 3 else last[-1]
        adamw.step()
    check_same(fitted.model, model)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_a_window_of_one_is_erm(task, new_model, check_same, settings):
    a = rm3(new_model(dropout=0.3), task, window=1, **settings)
    check_same(a.model, erm(new_model(dropout=0.3), task, **settings).model, exact=True)


def test_an_even_window_is_refused_before_training(task, new_model):
    with pytest.raises(InputError, match="window is 2"):
        rm3(new_model(), task, steps=1, window=2)
