import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.methods import erm, swad
from farfield.methods.swad import LossValley
from farfield.train import predict


def algorithm_1(losses, n_s, n_e, r):
    """The paper's algorithm, with evaluations counted from 1: first and last of the mean, or None where no start was found."""
    start, end, bound = None, len(losses), None
    e = [math.nan, *losses]
    for i in range(1, len(losses) + 1):
        if bound is None:
            if i >= n_s and e[i - n_s + 1] == min(e[i - k] for k in range(n_s)):
                start = i - n_s + 1
                bound = r / n_s * sum(e[i - k] for k in range(n_s))
        elif i >= n_e and bound < min(e[i - k] for k in range(n_e)):
            end = i - n_e
            break
    return (start, end) if start else None


@given(
    st.lists(st.sampled_from([1.0, 1.1, 1.25, 1.6, 2.5, 4.0]), min_size=1, max_size=30),
    st.integers(1, 5),
    st.integers(1, 7),
    st.sampled_from([1.0, 1.2, 1.3]),
)
@example([4.0, 1.0, 1.1, 1.25, 2.5, 2.5, 2.5, 1.0], 3, 3, 1.2)
def test_the_mean_is_that_of_the_papers_algorithm(losses, n_s, n_e, r):
    valley = LossValley(start_patience=n_s, end_patience=n_e, tolerance=r)
    # Segments of unequal numbers of steps, as weights of their own.
    weights = torch.randn(len(losses), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = torch.arange(len(losses)) % 4 + 1
    for i, loss in enumerate(losses):
        valley.add(weights[i], int(steps[i]), loss)
    found = algorithm_1(losses, n_s, n_e, r)
    if found is None:
        assert torch.equal(valley.mean(), weights[-1])
    else:
        within = slice(found[0] - 1, found[1])
        expected = (weights[within] * steps[within, None]).sum(0) / steps[within].sum()
        assert torch.allclose(valley.mean(), expected)


def test_the_valley_by_hand():
    valley = LossValley(start_patience=2, end_patience=2, tolerance=1.5)
    for i, loss in enumerate([5.0, 2.0, 2.2, 3.0, 9.0, 9.0, 1.0]):
        valley.add(torch.tensor([2.0**i]), 1, loss)
    # Start at 2.0 (2.2 after it is no better), bound 1.5 * 2.1 = 3.15, end at 3.0: the mean of 2, 4, 8.
    assert valley.ended and math.isclose(valley.bound, 3.15)
    assert torch.allclose(valley.mean(), torch.tensor([14 / 3]))


def test_a_constant_loss_gives_the_plain_mean():
    valley = LossValley()
    for i in range(20):
        valley.add(torch.tensor([float(i)]), 1, 1.0)
    assert torch.allclose(valley.mean(), torch.tensor([9.5]))


def test_it_keeps_few_segments_however_long_the_training():
    valley = LossValley(start_patience=3, end_patience=6)
    for i in range(500):
        valley.add(torch.tensor([float(i)]), 1, 1.0)
    assert len(valley._recent) == 6


def test_asking_for_the_mean_changes_nothing():
    a, b = LossValley(), LossValley()
    for i in range(20):
        a.add(torch.tensor([float(i)]), 1, 1.0)
        b.add(torch.tensor([float(i)]), 1, 1.0)
        b.mean()
    assert torch.equal(a.mean(), b.mean())


@pytest.mark.parametrize(
    "bad", [{"start_patience": 0}, {"end_patience": 0}, {"tolerance": 0.9}, {"tolerance": math.nan}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        LossValley(**bad)


def test_no_evaluation_has_no_mean():
    with pytest.raises(InputError, match="no evaluation yet"):
        LossValley().mean()


def weights_of_erm(model, task, settings):
    states = []
    erm(model, task, hooks=[lambda s, m, loss: states.append([p.detach().clone() for p in m.parameters()])], **settings)
    return states


@pytest.mark.parametrize("evaluations", [2, 4, 6])
def test_with_a_valley_that_never_ends_it_is_the_plain_mean_of_all_steps(evaluations, task, new_model, settings):
    states = weights_of_erm(new_model(), task, settings)
    fitted = swad(new_model(), task, start_patience=1, tolerance=1e9, evaluations=evaluations, **settings)
    for i, p in enumerate(fitted.model.parameters()):
        assert torch.allclose(p, torch.stack([s[i] for s in states]).mean(0), atol=1e-6)


def test_start_and_end_come_from_the_validation_loss(task, new_model, settings):
    # A learning rate that overshoots, so that the validation loss turns.
    settings = {**settings, "steps": 40, "learning_rate": 0.1, "weight_decay": 0.0, "seed": 0}
    states, losses = [], []

    def hook(step, model, _):
        states.append([p.detach().clone() for p in model.parameters()])
        if step % 2 == 0:
            losses.append(torch.nn.functional.cross_entropy(predict(model, task.val), task.val.columns["y"]).item())

    erm(new_model(), task, hooks=[hook], **settings)
    start, end = algorithm_1(losses, 2, 3, 1.05)
    assert 1 < start < end < 20  # else this case would show little
    fitted = swad(new_model(), task, start_patience=2, end_patience=3, tolerance=1.05, evaluations=20, **settings)
    for i, p in enumerate(fitted.model.parameters()):
        # Evaluation k closes the segment of steps 2k - 1 and 2k.
        expected = torch.stack([s[i] for s in states[2 * start - 2 : 2 * end]]).mean(0)
        assert torch.allclose(p, expected, atol=1e-5)


def test_running_statistics_are_estimated_anew_for_the_mean(task, new_model, settings):
    settings = {**settings, "batch_size": 45}
    fitted = swad(new_model(normalise=True), task, **settings)
    norm = fitted.model.encoder[1]
    # Two batches of 45 out of 90, balanced over three domains, see every row once.
    inputs = fitted.model.encoder[0](task.train.columns["x"])
    assert torch.allclose(norm.running_mean, inputs.mean(0), atol=1e-5)
    assert norm.momentum == 0.1
    assert norm.num_batches_tracked == 2


def test_the_parameters_do_not_share_memory(task, new_model, settings):
    fitted = swad(new_model(), task, **settings)
    storages = {p.untyped_storage().data_ptr() for p in fitted.model.parameters()}
    assert len(storages) == len(list(fitted.model.parameters()))


def test_the_test_domains_are_never_looked_at(task, new_model, check_same, settings):
    from dataclasses import replace

    empty = task.tests["far"].take(torch.arange(1)).replace(x=torch.full((1, 4), math.nan))
    blind = replace(task, tests={"iid": empty, "far": empty})
    check_same(swad(new_model(), blind, **settings).model, swad(new_model(), task, **settings).model, exact=True)


def test_fewer_evaluations_than_the_start_needs_are_refused(task, new_model):
    with pytest.raises(InputError, match="evaluations is 2; it must be at least start_patience, 3"):
        swad(new_model(), task, steps=10, evaluations=2)
