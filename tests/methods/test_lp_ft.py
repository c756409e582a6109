import pytest
import torch

from farfield.errors import InputError
from farfield.methods import erm, lp_ft


def test_no_share_for_the_head_is_erm(task, new_model, check_same, settings):
    a, b = lp_ft(new_model(), task, probe=0.0, **settings), erm(new_model(), task, **settings)
    check_same(a.model, b.model, exact=True)
    assert a.history.loss == b.history.loss


def test_equals_a_loop_of_two_parts_over_one_stream_of_batches(task, new_model, plain_loop, check_same, settings):
    from torch.nn.functional import cross_entropy

    settings = {**settings, "learning_rate": 0.02}
    model = new_model()
    model.learning_rate = 1e-2  # so that the head's rate is a tenth of the model's
    fitted = lp_ft(model, task, probe=0.5, **settings)
    from farfield.methods.method import training_batches

    mine = new_model()
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for part, rate in ((mine.head, 0.002), (mine, 0.02)):
        optimizer = torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=settings["weight_decay"])
        for _ in range(3):
            batch = task.train[next(batches)]
            optimizer.zero_grad()
            cross_entropy(mine(batch["x"]), batch["y"]).backward()
            optimizer.step()
    check_same(fitted.model, mine)


@pytest.mark.parametrize("probe", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(probe, task, new_model):
    with pytest.raises(InputError, match="probe is"):
        lp_ft(new_model(), task, steps=1, probe=probe)
