import pytest
import torch

from farfield.errors import InputError
from farfield.methods import erm, weight_average


def states_of(recipe, model, task, settings, **own):
    """The state after each step, as a hook sees it."""
    states = []
    hook = lambda step, m, loss: states.append({k: v.clone() for k, v in m.state_dict().items()})  # noqa: E731
    return recipe(model, task, hooks=[hook], **own, **settings), states


def test_is_the_geometric_sum_of_the_weights_of_erm_and_hooks_see_it(task, new_model, settings):
    _, plain = states_of(erm, new_model(normalise=True), task, settings)
    fitted, averaged = states_of(weight_average, new_model(normalise=True), task, settings, decay=0.7)
    steps = settings["steps"]
    for t in range(steps):
        # 0.7^t w_1 + 0.3 sum_s 0.7^(t-s) w_s
        for name, value in averaged[t].items():
            if value.is_floating_point():
                expected = 0.7**t * plain[0][name] + sum(0.3 * 0.7 ** (t - s) * plain[s][name] for s in range(1, t + 1))
                assert torch.allclose(value, expected, atol=1e-5), (t, name)
    for name, value in fitted.model.state_dict().items():
        assert torch.equal(value, averaged[-1][name])


def test_decay_zero_is_the_last_weights(task, new_model, check_same, settings):
    a, b = weight_average(new_model(), task, decay=0.0, **settings), erm(new_model(), task, **settings)
    check_same(a.model, b.model, exact=True)
    assert a.history.loss == b.history.loss


def test_training_goes_on_from_the_weights_and_not_from_the_average(task, new_model, check_same, settings):
    model = new_model()
    fitted = weight_average(model, task, decay=0.9, **settings)
    check_same(model, erm(new_model(), task, **settings).model, exact=True)
    assert fitted.model is not model
    assert all(p.requires_grad for p in fitted.model.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay, task, new_model):
    with pytest.raises(InputError, match="decay is"):
        weight_average(new_model(), task, steps=1, decay=decay)
