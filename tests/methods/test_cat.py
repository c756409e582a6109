"""Networks trained apart under one head."""

import copy

import pytest
import torch
from torch import nn

from farfield.compare.saved import load_saved
from farfield.errors import InputError
from farfield.methods import METHODS, cat, erm
from farfield.methods._members import another, joined_batches
from farfield.methods.cat import assemble
from farfield.methods.method import training_batches
from farfield.nn import Classifier
from farfield.train import predict


def test_without_head_steps_it_is_the_mean_of_networks_trained_alone(task, new_model, check_same, settings):
    fitted = cat(new_model(), task, members=3, head_share=0.0, **settings)
    first = erm(new_model(), task, **settings).model
    check_same(fitted.model.encoder.encoders[0], first.encoder)
    # The others by hand: weights drawn anew, batches of their own.
    networks = [first]
    for i in (1, 2):
        model = another(new_model(), seed=3_000 + i)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        stream = training_batches(task, 24, seed=3 + i * 7919)
        for _ in range(settings["steps"]):
            batch = task.train[next(stream)]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch["x"]), batch["y"]).backward()
            optimizer.step()
        networks.append(model)
    mean = sum(predict(network, task.val) for network in networks) / 3
    assert torch.allclose(predict(fitted.model, task.val), mean, atol=1e-4)


def test_the_last_steps_train_the_head_alone_from_the_mean(task, new_model, settings):
    seen = []
    hook = lambda s, m, v: seen.append(copy.deepcopy(m.state_dict()))  # noqa: E731
    settings["steps"] = 10
    fitted = cat(new_model(normalise=True, dropout=0.2), task, members=2, head_share=0.3, hooks=[hook], **settings)
    assert len(seen) == len(fitted.history.loss) == 10
    for name, value in seen[6].items():
        same = [torch.equal(value, later[name]) for later in seen[7:]]
        assert not any(same) if name.startswith("head.") else all(same), name
    # Networks alone are trained before.
    assert not torch.equal(seen[5]["encoder.encoders.1.0.weight"], seen[6]["encoder.encoders.1.0.weight"])


def test_networks_from_scratch_are_drawn_anew_and_pretrained_ones_kept(new_model):
    model = new_model()
    fresh = another(model, seed=1)
    assert not torch.equal(fresh.encoder[0].weight, model.encoder[0].weight)
    assert torch.equal(fresh.encoder[0].weight, another(model, seed=1).encoder[0].weight)
    spreads = [float(m.encoder[0].weight.detach().std()) for m in (fresh, model)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.5)
    model.pretrained = True
    kept = another(model, seed=1)
    assert torch.equal(kept.encoder[0].weight, model.encoder[0].weight)
    assert not torch.equal(kept.head.weight, model.head.weight)


def test_batches_are_those_of_each_network_in_turn(task):
    rows = next(joined_batches(task, 24, 2, seed=3))
    assert torch.equal(rows[:24], next(training_batches(task, 24, seed=3)))
    assert not torch.equal(rows[:24], rows[24:]) and len(rows) == 48


def test_a_saved_one_comes_back(task, new_model, settings, tmp_path):
    fitted = cat(new_model(), task, members=2, **settings).model
    empty = assemble(new_model(), **{**METHODS["cat"].defaults, "members": 2, "learning_rate": 0.1})
    empty.load_state_dict(fitted.state_dict())
    assert torch.equal(predict(empty, task.val), predict(fitted, task.val))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"members": 0}, "members is 0"),
        ({"head_share": 1.0}, "head_share is 1.0"),
        ({"head_share": -0.1}, "head_share"),
    ],
)
def test_settings_out_of_range_are_refused(own, message, task, new_model):
    with pytest.raises(InputError, match=message):
        cat(new_model(), task, steps=2, **own)


@pytest.mark.parametrize("name", ["cat", "cat-distill", "bonsai"])
def test_a_model_without_encoder_and_linear_head_is_refused(name, task):
    with pytest.raises(InputError, match=f"{name} needs an encoder and a linear head: .*, not a Linear"):
        METHODS[name](nn.Linear(4, 3), task, steps=2)
    with pytest.raises(InputError, match="not one with a Sequential"):
        METHODS[name](Classifier(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 3))), task, steps=2)


def test_the_command_saves_it_and_reads_it_back(farfield, tmp_path):
    code, _, err = farfield(
        "compare", "digits/noise", "--model", "linear", "--methods", "cat", "--seeds", "1", "--steps", "10", "--trials", "1",
        "--workers", "1", "--save", "best.safetensors",
    )  # fmt: skip
    assert code == 0, err
    model, card = load_saved(tmp_path / "best")
    assert card["method"] == "cat" and model.head.in_features == 3 * 64
