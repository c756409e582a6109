"""Two rounds and their synthesis as a recipe."""

import pytest
import torch

from farfield.errors import InputError
from farfield.methods import bonsai, erm
from farfield.methods._members import another
from farfield.methods.method import training_batches
from farfield.reuse import rich_features


def test_it_is_rich_features_with_the_optimizer_and_batches_of_erm(task, new_model, check_same, settings):
    fitted = bonsai(new_model(), task, robust_share=0.5, **settings)
    networks = [another(new_model(), seed=3_000), another(new_model(), seed=3_001), new_model()]
    found = rich_features(
        lambda seed: networks[seed - 3],
        task.train,
        steps=(6, 3),
        synthesis_steps=6,
        optimize=lambda m: torch.optim.AdamW(m.parameters(), lr=0.01, weight_decay=0.1),
        batches=lambda seed: training_batches(task, 24, seed=seed),
        seed=3,
    )
    check_same(fitted.model, found.model)
    assert fitted.history.loss == pytest.approx(found.history.loss, abs=1e-5)
    # Its first round is erm.
    check_same(found.rounds[0], erm(another(new_model(), seed=3_000), task, **settings).model)


def test_it_predicts_as_its_rounds_where_they_agree(task, new_model):
    settings = {"steps": 300, "batch_size": 48, "seed": 0, "learning_rate": 0.01}
    first = erm(another(new_model(), seed=0), task, **settings).model
    fitted = bonsai(new_model(), task, **settings).model
    x = task.train.columns["x"]
    assert float((fitted(x).argmax(1) == first(x).argmax(1)).double().mean()) > 0.95


def test_the_given_model_is_the_synthesis(task, new_model, settings):
    given = new_model()
    fitted = bonsai(given, task, **settings)
    assert fitted.model is given and len(fitted.history.loss) == settings["steps"]


def test_a_model_with_a_rate_of_its_own_is_trained_with_it_throughout(task, new_model, settings):
    del settings["learning_rate"]
    slow = new_model()
    slow.learning_rate = 1e-9
    fitted = bonsai(slow, task, **settings).model
    # Encoders hardly move; heads of the synthesis are new.
    assert torch.allclose(fitted.encoder[0].weight, new_model().encoder[0].weight, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, -1.0, float("nan"), float("inf")])
def test_a_share_out_of_range_is_refused(share, task, new_model):
    with pytest.raises(InputError, match="robust_share is"):
        bonsai(new_model(), task, steps=2, robust_share=share)
