import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield import methods, tasks
from farfield import nn as models
from farfield.errors import InputError
from farfield.methods import erm, winsorized
from farfield.methods.method import training_batches
from farfield.train import predict


def test_equals_clipping_written_out(task, new_model, check_same, differ, settings):
    fitted = winsorized(new_model(), task, c=2, **settings)
    model = new_model()
    parameters = list(model.parameters())
    adamw = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=settings["weight_decay"])
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    for loss in fitted.history.loss:
        batch = task.train[next(batches)]
        values = [cross_entropy(model(x[None]), y[None]) for x, y in zip(batch["x"], batch["y"])]
        assert loss == pytest.approx(torch.stack(values).mean().item(), abs=1e-4)
        gradients = [torch.autograd.grad(value, parameters) for value in values]
        for i, p in enumerate(parameters):
            ranked = torch.stack([g[i] for g in gradients]).sort(0).values
            p.grad = torch.minimum(torch.maximum(ranked, ranked[2]), ranked[-3]).mean(0)
        adamw.step()
    check_same(fitted.model, model)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_clipping_none_is_erm(task, new_model, check_same, settings):
    check_same(winsorized(new_model(), task, c=0, **settings).model, erm(new_model(), task, **settings).model)


def test_batch_normalisation_keeps_its_statistics_and_its_mode(task, new_model, settings):
    model = winsorized(new_model(normalise=True), task, **settings).model
    assert model.encoder[1].num_batches_tracked == 0 and model.encoder[1].training


def test_too_many_to_clip_are_refused_before_training(task, new_model):
    with pytest.raises(InputError, match="c is 8; winsorized clips that many on each side of a batch of 16"):
        winsorized(new_model(), task, steps=1, batch_size=16, c=8)


@pytest.mark.parametrize("name", ["rm3", "winsorized"])
@pytest.mark.parametrize("model", ["linear", "mlp?hidden=64&dropout=0.1", "cnn?width=8"])
def test_on_real_images_it_learns_and_is_not_plain_training(name, model):
    task = tasks.load("digits/rotation")
    fitted = methods.load(name)(models.load(model, task), task, steps=80)
    plain = erm(models.load(model, task), task, steps=80)
    near = predict(fitted.model, task.tests["iid"])
    assert (near.argmax(1) == task.tests["iid"].columns["y"]).float().mean() > 0.7
    assert not torch.allclose(near, predict(plain.model, task.tests["iid"]), atol=1e-3)


@pytest.mark.parametrize("name", ["rm3", "winsorized"])
def test_a_transformer_for_text_is_trained(name, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = transformers.BertModel(config)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = bert

        def forward(self, x):
            return self.bert(input_ids=x, attention_mask=(x != 0).long()).last_hidden_state.mean(1)

    rows = tasks.Table(
        x=torch.randint(1, 40, (60, 5), generator=torch.Generator().manual_seed(0)),
        y=torch.arange(60) % 3,
        domain=torch.zeros(60, dtype=torch.long),
    )
    words = tasks.Task("words", rows, rows, {"iid": rows}, tasks.Tokens(40, 5), tasks.Classes(3), ("a",))
    model = models.Classifier(Encoder(), nn.Linear(16, 3))
    fitted = methods.load(name)(model, words, steps=20, batch_size=15, learning_rate=0.01)
    assert torch.tensor(fitted.history.loss).isfinite().all()
    assert fitted.history.loss[-1] < fitted.history.loss[0] - 0.1
