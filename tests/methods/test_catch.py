import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield import nn, tasks
from farfield.errors import InputError
from farfield.losses import balanced_weights, categorical_kl_uniform, gaussian_kl
from farfield.measure import nuisance_probe
from farfield.methods import METHODS, catch
from farfield.methods.catch import DisentangledClassifier, assemble, disentangled
from farfield.methods.method import training_batches
from farfield.nn import features_and_logits
from farfield.tasks import Classes, Table, Task, Vector


def test_equals_a_loop_written_out(task, new_model, check_same, settings):
    fitted = catch(
        new_model(), task, dropout=0.0, reconstruction_weight=2.0, kl_weight=0.1, domain_weight=0.5, width=8, **settings
    )

    model = disentangled(new_model(), task, seed=settings["seed"], dropout=0.0, width=8)
    split = model.disentangler
    weights = balanced_weights(task.train.columns["y"], 3)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    batches = training_batches(task, settings["batch_size"], seed=settings["seed"])
    with torch.random.fork_rng():
        torch.manual_seed(settings["seed"])
        for _ in range(settings["steps"]):
            batch = task.train[next(batches)]
            optimizer.zero_grad()
            z = model.project(model.model.encoder(batch["x"]))
            normed = split.norm(z)
            mu, log_sigma, log_alpha = split.mu(normed), split.log_sigma(normed), split.target(normed)
            x_c = mu + log_sigma.exp() * torch.randn_like(mu)
            noise = -torch.log(-torch.log(torch.rand_like(log_alpha) + 1e-12) + 1e-12)
            x_t = ((log_alpha + noise) / split.draw.tau).softmax(1)
            logits = split.hate(mu + log_sigma.exp() * torch.randn_like(mu))
            code = split.merge(torch.cat([x_c, x_t], 1))
            loss = cross_entropy(logits, batch["y"], weights) + 0.5 * cross_entropy(log_alpha, batch["domain"])
            loss = loss + 2 * (code - z.detach()).square().mean()
            loss = loss + 0.1 * gaussian_kl(mu, log_sigma) + 0.1 * categorical_kl_uniform(log_alpha)
            loss.backward()
            optimizer.step()
    check_same(fitted.model, model)


def test_the_second_part_learns_the_domain_and_the_classes_do_not_read_it():
    g = torch.Generator().manual_seed(0)
    y, domain = torch.randint(2, (900,), generator=g), torch.arange(900) % 3
    x = torch.randn(900, 8, generator=g) * 0.7
    x[:, 0] += 3 * y
    x[:, 1:4] += 3 * torch.nn.functional.one_hot(domain, 3)
    rows = Table(x=x, y=y, domain=domain)
    task = Task("marked", rows, rows, {"iid": rows}, Vector(8), Classes(2), ("a", "b", "c"))
    model = catch(nn.load("linear", task), task, steps=300, learning_rate=0.01, kl_weight=0.5).model.eval()
    out = model.disentangler(model.embed(x))
    assert (model(x).argmax(1) == y).float().mean() > 0.95
    assert (out.x_t.argmax(1) == domain).float().mean() > 0.95
    # A KL term as strong as this leaves little of the domain in the label's part.
    left = nuisance_probe(out.mu.detach(), domain).accuracy.value
    assert left < 0.8 < nuisance_probe(x, domain).accuracy.value


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "resnet?width=4", "vit?dim=16"])
def test_works_with_the_models_and_gives_features_and_logits(name):
    g = torch.Generator().manual_seed(0)
    rows = Table(x=torch.rand(40, 1, 8, 8, generator=g), y=torch.arange(40) % 3, domain=torch.arange(40) % 2)
    task = Task("images", rows, rows, {"iid": rows}, tasks.task.Image(1, 8, 8), Classes(3), ("a", "b"))
    model = catch(nn.load(name, task), task, steps=2, batch_size=8, width=32).model.eval()
    features, logits = features_and_logits(model, rows.columns["x"])
    assert logits.shape == (40, 3) and torch.equal(logits, model(rows.columns["x"]))
    assert features.shape[1] == model.disentangler.width <= 32


def test_narrow_and_wide_features_are_projected(task, new_model):
    assert disentangled(new_model(), task, width=8).project.__class__.__name__ == "Identity"
    assert disentangled(new_model(), task, width=5).project.out_features == 5
    few = Task(**{**vars(task), "domains": tuple("abcdefghi")})
    assert disentangled(new_model(), few, width=6).project.out_features == 10


def test_another_of_its_kind_takes_the_weights(task, new_model, settings):
    trained = catch(new_model(), task, width=5, **settings).model
    again = assemble(new_model(), task=task, width=5, kl_weight=0.3)
    again.load_state_dict(trained.state_dict())
    x = task.train.columns["x"]
    assert isinstance(again, DisentangledClassifier) and torch.equal(again.eval()(x), trained.eval()(x))
    assert METHODS["catch"].assemble is assemble


def test_words_and_tokens_can_be_rebuilt():
    g = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 3, (60, 12), generator=g).float()
    words = Table(x=counts, y=torch.arange(60) % 2, domain=torch.arange(60) % 3)
    task = Task("counts", words, words, {"iid": words}, Vector(12), Classes(2), ("a", "b", "c"))
    losses = catch(nn.load("mlp", task), task, steps=60, learning_rate=0.01, reconstruction="bag_of_words").history.loss
    assert sum(losses[-5:]) < sum(losses[:5])
    tokens = torch.randint(0, 9, (60, 5), generator=g)
    beside = Task(**{**vars(task), "train": words.replace(tokens=tokens)})
    assert len(catch(nn.load("mlp", task), beside, steps=3, reconstruction="tokens").history.loss) == 3


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"kl_weight": -1.0}, "kl_weight is"),
        ({"width": 2}, "width is"),
        ({"dropout": 1.0}, "dropout is"),
        ({"reconstruction": "pixels"}, "reconstruction is 'pixels'"),
        ({"reconstruction": "bag_of_words"}, "needs vectors of counts"),
        ({"reconstruction": "tokens"}, "needs token ids"),
    ],
)
def test_settings_that_do_not_fit_are_refused(bad, says, task, new_model):
    with pytest.raises(InputError, match=says):
        catch(new_model(), task, steps=1, **bad)


def test_one_domain_is_refused(one_domain_task, new_model):
    with pytest.raises(InputError, match="at least 2"):
        catch(new_model(), one_domain_task, steps=1)
