import pytest
import torch

from farfield.errors import InputError
from farfield.methods import lp_ft, wise_ft


def states(recipe, new_model, task, settings, **own):
    seen = []
    hook = lambda step, m, loss: seen.append({k: v.clone() for k, v in m.state_dict().items()})  # noqa: E731
    return recipe(new_model(normalise=True), task, hooks=[hook], **own, **settings).model.state_dict(), seen


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_it_lies_between_the_probed_and_the_fine_tuned_weights_at_every_step(alpha, task, new_model, settings):
    last, plain = states(lp_ft, new_model, task, settings, probe=0.5)
    found, mixed = states(wise_ft, new_model, task, settings, probe=0.5, alpha=alpha)
    start = plain[2]
    for step in range(settings["steps"]):
        for name, value in mixed[step].items():
            expected = plain[step][name]
            if step > 2 and value.is_floating_point():
                expected = (1 - alpha) * start[name] + alpha * expected
            assert torch.allclose(value, expected, atol=1e-6), (step, name)
    assert all(torch.allclose(found[name], mixed[-1][name]) for name in last)


def test_without_a_probe_it_starts_from_the_weights_that_came_and_hooks_change_nothing(
    task, new_model, check_same, settings
):
    fitted = wise_ft(new_model(), task, probe=0.0, alpha=0.0, **settings)
    check_same(fitted.model, new_model(), exact=True)
    watched = wise_ft(new_model(), task, hooks=[lambda *_: None], **settings)
    check_same(watched.model, wise_ft(new_model(), task, **settings).model, exact=True)


@pytest.mark.parametrize("bad", [{"alpha": -0.1}, {"alpha": 1.1}, {"probe": 1.0}])
def test_settings_out_of_range_are_refused(bad, task, new_model):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        wise_ft(new_model(), task, steps=1, **bad)
