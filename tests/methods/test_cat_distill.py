"""Networks trained apart in one of the plain size."""

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.methods import cat_distill
from farfield.methods._members import another, joined_batches
from farfield.train import predict


def test_one_teacher_is_copied_in_its_predictions(task, new_model):
    settings = {"steps": 300, "batch_size": 48, "seed": 0, "learning_rate": 0.01, "weight_decay": 0.0}
    student = cat_distill(new_model(), task, members=1, **settings).model
    teacher = another(new_model(), seed=1)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=0.01, weight_decay=0.0)
    stream = joined_batches(task, 48, 1, seed=1)
    for _ in range(300):
        batch = task.train[next(stream)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(teacher(batch["x"]), batch["y"]).backward()
        optimizer.step()
    a, b = (predict(model, task.train).softmax(1) for model in (student, teacher))
    assert float((a - b).abs().mean()) < 0.01


def test_it_is_of_the_plain_size_and_labels_are_the_teachers_alone(task, new_model, settings):
    fitted = cat_distill(new_model(), task, members=2, **settings)
    assert [p.shape for p in fitted.model.parameters()] == [p.shape for p in new_model().parameters()]
    # Losses are divergences from two teachers, not from the labels: near 0 for a student at their level.
    assert 0 <= min(fitted.history.loss) < 0.5


@pytest.mark.parametrize(("own", "message"), [({"members": 0}, "members is 0"), ({"tau": 0.0}, "tau is 0.0")])
def test_settings_out_of_range_are_refused(own, message, task, new_model):
    with pytest.raises(InputError, match=message):
        cat_distill(new_model(), task, steps=2, **own)
