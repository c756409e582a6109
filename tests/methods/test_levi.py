import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield import nn
from farfield.errors import InputError
from farfield.methods import erm, levi
from farfield.methods.levi import join
from farfield.methods.method import training_batches
from farfield.nn.tuning import tune
from farfield.tasks import Classes, Table, Task, Tokens
from farfield.train import predict

NEW_RATE = 1e-3 / 5e-5


def pretrained(new_model, **more):
    model = new_model(**more)
    model.pretrained, model.learning_rate = True, 5e-5
    return model


def test_a_pretrained_model_stays_and_the_new_parts_are_trained_by_the_mean_of_the_heads_losses(
    task, new_model, settings, check_same
):
    settings = {**settings, "learning_rate": 5e-4}
    fitted = levi(pretrained(new_model, normalise=True, dropout=0.5), task, hidden=8, width=4, layers=2, **settings)

    ensemble = join(pretrained(new_model, normalise=True, dropout=0.5), task, hidden=8, width=4, layers=2, seed=3)
    parameters = [p for p in ensemble.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-4 * NEW_RATE, weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    ensemble.train()
    for loss in fitted.history.loss:
        batch = task.train[next(batches)]
        optimizer.zero_grad()
        heads = ensemble(batch["x"]).per_layer
        value = sum(cross_entropy(head, batch["y"]) for head in heads) / len(heads)
        value.backward()
        optimizer.step()
        assert value.item() == pytest.approx(loss, abs=1e-5)
    check_same(fitted.model, ensemble.classifier())
    views = fitted.model.encoder
    check_same(views.pretrained, new_model(normalise=True), exact=True)
    assert views.frozen and len(views.widths) == 2


def test_without_pretraining_the_model_becomes_what_erm_makes_of_it(task, new_model, settings, check_same, differ):
    fitted = levi(new_model(normalise=True), task, **settings)
    check_same(fitted.model.encoder.pretrained, erm(new_model(normalise=True), task, **settings).model)
    start = join(new_model(normalise=True), task, seed=settings["seed"])
    assert differ(fitted.model.head, start.junctions) and differ(fitted.model.encoder.small, start.views.small)


def test_loras_factors_are_trained_and_the_rest_of_the_encoder_is_not(task, new_model, settings):
    pytest.importorskip("peft")
    model = pretrained(new_model)
    tune(model, "lora", rank=2)
    before = {name: p.clone() for name, p in model.encoder.named_parameters()}
    fitted = levi(model, task, **settings)
    assert not fitted.model.encoder.frozen
    moved = {n for n, p in model.encoder.named_parameters() if not torch.equal(p, before[n])}
    assert moved and all("lora_" in name for name in moved)


def test_features_of_an_in_memory_task_are_computed_once(task, new_model, settings):
    model, rows = pretrained(new_model), []
    model.register_forward_pre_hook(lambda m, inputs: rows.append(len(inputs[0])))
    levi(model, task, **settings)
    # The training rows once, and two or three times a few rows to see which layers there are and how wide.
    assert sum(rows) < len(task.train) + 10 < settings["steps"] * settings["batch_size"]


def test_the_answer_is_the_mean_of_the_heads_probabilities(task, new_model, settings):
    model = levi(new_model(), task, **settings).model.eval()
    x = task.val.columns["x"]
    views = model.encoder
    heads = model.head.junctions(views.features(x), views.small(x)).per_layer
    expected = torch.stack([h.softmax(1) for h in heads]).mean(0)
    assert torch.allclose(predict(model, task.val).exp(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["linear", "mlp?hidden=8", "cnn?width=4", "resnet?width=4", "vit?dim=16&depth=2&heads=2"]
)
def test_it_takes_every_built_in_model(name):
    from farfield import tasks

    task = tasks.load("digits/rotation")
    fitted = levi(nn.load(name, task), task, steps=2, batch_size=8)
    assert predict(fitted.model, task.val.take([0, 1])).shape == (2, 10)


def test_it_takes_tokens():
    transformers = pytest.importorskip("transformers")
    from farfield.nn.pretrained import TextEncoder

    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8
    )
    encoder = TextEncoder(transformers.BertModel(config, add_pooling_layer=False), padding=0, pool="mean")
    model = nn.Classifier(encoder, torch.nn.Linear(8, 2), learning_rate=5e-5, pretrained=True)
    rows = Table(x=torch.randint(1, 20, (12, 5)), y=torch.arange(12) % 2, domain=torch.zeros(12, dtype=torch.long))
    task = Task("texts", rows, rows, {"iid": rows}, Tokens(20, 5), Classes(2), ("a",))
    fitted = levi(model, task, steps=3, batch_size=4)
    assert list(fitted.model.encoder.widths) == [f"encoder.backbone.encoder.layer.{i}" for i in range(3)]
    assert predict(fitted.model, rows).shape == (12, 2)


@pytest.mark.parametrize("bad", [{"hidden": -1}, {"width": 0}, {"layers": 0}])
def test_settings_out_of_range_are_refused(bad, task, new_model):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        levi(new_model(), task, steps=1, **bad)


def test_a_class_at_every_position_is_refused(task, new_model):
    rows = Table(x=torch.zeros(4, 4), y=torch.zeros(4, 3, dtype=torch.long), domain=torch.zeros(4, dtype=torch.long))
    several = Task("language", rows, rows, {"iid": rows}, task.inputs, Classes(3), ("a",))
    with pytest.raises(InputError, match="language has a class at every position"):
        levi(new_model(), several, steps=1)
