from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, mixup
from farfield.tasks import Tokens


def test_equals_the_papers_loop(task, new_model, plain_loop, check_same, differ, settings):
    random = np.random.default_rng([settings["seed"], 0x312])

    def loss(model, batch, _):
        lam, other = random.beta(0.7, 0.7), random.permutation(len(batch["y"]))
        logits = model(lam * batch["x"] + (1 - lam) * batch["x"][other])
        return lam * cross_entropy(logits, batch["y"]) + (1 - lam) * cross_entropy(logits, batch["y"][other])

    fitted = mixup(new_model(), task, alpha=0.7, **settings)
    check_same(fitted.model, plain_loop(new_model(), loss, **settings)[0])
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_a_share_of_one_is_erm(task, new_model, check_same, settings):
    check_same(mixup(new_model(), task, alpha=0.0, **settings).model, erm(new_model(), task, **settings).model)


def test_mixing_does_not_change_the_models_own_draws(task, new_model, settings):
    # Dropout with a learning rate of 0: the masks alone decide the losses, at alpha 0 those of erm.
    frozen = {**settings, "learning_rate": 0.0, "weight_decay": 0.0}
    a = mixup(new_model(dropout=0.5), task, alpha=0.0, **frozen).history.loss
    b = erm(new_model(dropout=0.5), task, **frozen).history.loss
    assert torch.allclose(torch.tensor(a), torch.tensor(b))


def test_tokens_are_refused_before_training(task, new_model):
    words = replace(task, inputs=Tokens(vocabulary=10, length=4))
    with pytest.raises(InputError, match="mixup mixes numbers, and the task small has sequences of up to 4 tokens"):
        mixup(new_model(), words, steps=1)
