import math

import numpy as np
import pytest
import torch
from torch import nn

from farfield import tasks
from farfield.batches import uniform
from farfield.errors import InputError
from farfield.measure import (
    ClassStatistics,
    cdnv,
    collapse_summary,
    equinorm,
    etf_error,
    interference,
    nc1,
    ncc_agreement,
    neural_collapse,
    self_duality,
    uniformity,
)
from farfield.nn import TinyCausalLM, gpt_neo
from farfield.train import train


def classifier(bias=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4, bias=bias))


def data(n=60, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=g)
    return torch.randn(n, 6, generator=g) + nn.functional.one_hot(y, 6), y


def in_parts(x, y, size=17):
    return list(zip(x.split(size), y.split(size)))


def language_model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TinyCausalLM(vocab=9, width=8, depth=1, heads=2, context=5)


def test_it_equals_each_measure_alone():
    model, (x, y), (val_x, val_y) = classifier(), data(), data(30, 1)
    found = neural_collapse(model, in_parts(x, y), in_parts(val_x, val_y), covariance=True)
    model.eval()
    features, val_features, head = model[:3](x).detach(), model[:3](val_x).detach(), model[3]
    stats = ClassStatistics(4, 16, covariance=True)
    stats.update(features, y)
    m = stats.finish()
    args = m.means, m.global_mean
    dual, kernel = self_duality(head.weight, *args), uniformity(*args)
    expected = {
        "classes": 4, "examples": 60,
        "cdnv": cdnv(m.var, m.means), "cdnv_2": cdnv(m.var, m.means, 2),
        "cdnv_median": cdnv(m.var, m.means, average="median"),
        "cdnv_2_median": cdnv(m.var, m.means, 2, average="median"),
        "trace_ratio": nc1(m.within, *args, "trace"), "nc1_pinv": nc1(m.within, *args),
        "norms_cv": equinorm(*args).norms.cv, "norms_log_var": equinorm(*args).logs.var,
        "interference_mean": interference(*args).mean, "interference_var": interference(*args).var,
        "etf_error": etf_error(*args),
        "log_kernel_mean": kernel.mean, "log_kernel_var": kernel.var, "log_kernel_cv": kernel.cv,
        "dual_error": dual.error, "dual_distance": dual.dist,
        "cos_mean": dual.cos.mean, "cos_var": dual.cos.var, "cos_cv": dual.cos.cv,
        "agreement": ncc_agreement(val_features, head.weight, m.means, head.bias),
        "loss": float(nn.functional.cross_entropy(model(val_x), val_y).detach()),
        "accuracy": float((model(val_x).argmax(1) == val_y).float().mean()),
    }  # fmt: skip
    expected["perplexity"] = math.exp(expected["loss"])
    assert found == pytest.approx(expected, rel=1e-5)
    assert collapse_summary(m, head.weight) == pytest.approx({k: found[k] for k in collapse_summary(m, head.weight)})


@pytest.mark.parametrize("bias", [True, False])
def test_the_model_comes_back_and_batches_do_not_matter(bias):
    model, (x, y) = classifier(bias), data()
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    one = neural_collapse(model, [(x, y)], [(x, y)])
    many = neural_collapse(model, iter(in_parts(x, y, 7)), ({"x": a, "y": b} for a, b in in_parts(x, y, 11)), model[3])
    assert many == pytest.approx(one, rel=1e-5)
    assert many == pytest.approx(neural_collapse(model, [(x, y)], [(x, y)], "3"), rel=1e-5)
    assert all(m.training for m in model.modules()) and not model[3]._forward_hooks
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_the_bias_is_part_of_the_linear_decision():
    model, (x, y) = classifier(), data()
    nn.init.constant_(model[3].bias, 0)
    with torch.no_grad():
        model[3].bias[2] = 1e3  # class 2 always
    found = neural_collapse(model, [(x, y)], [(x, y)])
    stats = ClassStatistics(4, 16)
    features = model.eval()[:3](x).detach()
    stats.update(features, y)
    nearest = torch.cdist(features.double(), stats.finish().means).argmin(1)
    assert found["agreement"] == pytest.approx(float((nearest == 2).double().mean()))


def test_the_class_of_a_position_is_its_next_token():
    model, tokens = language_model(), torch.randint(9, (12, 6), generator=torch.Generator().manual_seed(0))
    x, y = tokens[:, :-1], tokens[:, 1:]
    found = neural_collapse(model, [(x, y)], [(x, y)])
    stats = ClassStatistics(9, 8)
    stats.update(model.features(x).detach().flatten(0, 1), y.flatten())
    assert found["cdnv"] == pytest.approx(cdnv(stats.finish().var, stats.finish().means))
    # The label of this token, instead, is what the residual stream holds: far more collapsed.
    assert neural_collapse(model, [(x, x)])["cdnv"] < found["cdnv"] / 10


def test_hugging_face_models_with_padding():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = gpt_neo(vocab=11, width=32, depth=2, context=8)
    ids = torch.randint(11, (6, 8), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[:2, 5:] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    found = neural_collapse(model, [batch], [batch])
    assert found["examples"] == 6 * 7 - 2 * 3
    hidden = model.eval().transformer(**batch).last_hidden_state.detach()[:, :-1]
    kept = mask[:, 1:].bool()
    stats = ClassStatistics(11, 32)
    stats.update(hidden[kept], ids[:, 1:][kept])
    assert found["cdnv"] == pytest.approx(cdnv(stats.finish().var, stats.finish().means), rel=1e-6)
    with torch.no_grad():
        loss = model(**batch, labels=ids.masked_fill(mask == 0, -100)).loss
    assert found["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert neural_collapse(model, [{"input_ids": ids}])["examples"] == 42


def test_rare_classes_can_be_left_out_but_for_the_loss():
    model, (x, y) = classifier(), data()
    y[y == 3] = 2
    y[0] = 3
    every, frequent = (neural_collapse(model, [(x, y)], [(x, y)], min_count=n) for n in (1, 10))
    assert (every["classes"], frequent["classes"]) == (4, 3)
    assert every["loss"] == frequent["loss"] and every["cdnv"] != frequent["cdnv"]
    ignored = torch.cat([y, torch.full((5,), -100)]), torch.cat([x, torch.full((5, 6), 9.0)])
    assert neural_collapse(model, [(ignored[1], ignored[0])])["examples"] == 60


def test_a_digits_classifier_collapses_within_classes_but_not_to_a_simplex():
    # Wu and Papyan's measures where collapse is known (Papyan et al., 2020), at 300 epochs.
    task = tasks.load("digits")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hidden = nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
        model = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))

    def measured():
        whole = [(task.train[:]["x"], task.train[:]["y"])]
        return neural_collapse(model, whole, [task.tests["iid"][:]])

    before, n = measured(), len(task.train)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=5e-4, fused=True)

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    train(model, task.train, loss, optimizer, steps=300 * n // 64, batches=uniform(n, 64, seed=0))
    after = measured()
    assert after["accuracy"] > 0.95
    for name in ("cdnv", "trace_ratio"):
        assert after[name] < before[name] / 4, name
    assert abs(before["cos_mean"]) < 0.2 and after["cos_mean"] > 0.8
    assert before["agreement"] < 0.3 and after["agreement"] > 0.85
    assert after["etf_error"] > 0.5


def test_bad_arguments_are_refused():
    model, (x, y) = classifier(), data()
    with pytest.raises(InputError, match="loader has no batch"):
        neural_collapse(model, [])
    with pytest.raises(InputError, match="val_loader has no example"):
        neural_collapse(model, [(x, y)], [(x, torch.full_like(y, -100))])
    with pytest.raises(InputError, match=r"a batch of loader is a dict with \['a'\]"):
        neural_collapse(model, [{"a": x}])
    with pytest.raises(InputError, match="a batch of val_loader is a Tensor"):
        neural_collapse(model, [(x, y)], [x])
    with pytest.raises(InputError, match=r"reads features \(60, 16\), but a batch of loader has labels \(59,\)"):
        neural_collapse(model, [(x, y[1:])])
    with pytest.raises(InputError, match="y holds the label 4; expected 0 to 3"):
        neural_collapse(model, [(x, y + 1)])
    with pytest.raises(InputError, match="the classifier 9 of Sequential was not found"):
        neural_collapse(model, [(x, y)], classifier="9")
    with pytest.raises(InputError, match="the classifier 1 of Sequential is ReLU"):
        neural_collapse(model, [(x, y)], classifier="1")
    with pytest.raises(InputError, match="did not run"):
        neural_collapse(model, [(x, y)], classifier=nn.Linear(16, 4))
    with pytest.raises(InputError, match="x holds a value that is not finite"):
        neural_collapse(model, [(x * np.nan, y)])
    with pytest.raises(InputError, match="n at least 2"):
        neural_collapse(model, [(x, torch.zeros_like(y))])
