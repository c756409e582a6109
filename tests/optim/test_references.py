import copy

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.optim import SAM, TRAM, EMAReference, InputNoiseReference, PretrainedReference, PreviousStepReference

REFERENCES = {
    "pretrained": PretrainedReference,
    "pretrained-same": lambda: PretrainedReference(mode="same"),
    "previous": PreviousStepReference,
    "average": lambda: EMAReference(0.9),
    "noise": lambda: InputNoiseReference(0.5),
    "noise-inside": lambda: InputNoiseReference(0.5, "uniform", "1"),
}
each_reference = pytest.mark.parametrize("make", REFERENCES.values(), ids=REFERENCES)


def network(dropout=0.0, normalise=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(6) if normalise else nn.Identity()
        return nn.Sequential(nn.Linear(3, 6), middle, nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 4))


def batch(n=8, seed=1):
    g = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(n, 3, generator=g), "y": torch.randint(4, (n,), generator=g)}


def closure_for(model, optimizer, seed=1):
    rows = batch(seed=seed)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(rows["x"]), rows["y"])
        loss.backward()
        return loss

    return closure


def weights(model):
    return [t.clone() for t in model.state_dict().values()]


@each_reference
def test_looking_leaves_everything_as_it_was(make):
    model, rows = network(dropout=0.5, normalise=True), batch()
    model[3].eval()
    model(rows["x"]).sum().backward()
    reference = make().init(model)
    before, gradients = weights(model), [p.grad.clone() for p in model.parameters()]
    held = {k: v.clone() for k, v in rows.items()}
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    logits = reference.logits(model, rows)
    assert not logits.requires_grad and logits.shape == (8, 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(model)))
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients))
    assert [m.training for m in model.modules()] == modes
    assert rows.keys() == held.keys() and all(torch.equal(rows[k], held[k]) for k in rows)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "sam", "tram"])
def test_each_follows_the_training_at_its_moment(optimizer):
    model = network(normalise=True)
    made = {
        "adamw": lambda: torch.optim.AdamW(model.parameters(), lr=0.05),
        "sam": lambda: SAM(model.parameters(), torch.optim.AdamW, rho=0.3, lr=0.05),
        "tram": lambda: TRAM(model.parameters(), torch.optim.AdamW, lr=0.05),
    }[optimizer]()
    if optimizer == "tram":
        made.divergence = 0.3
    first, previous, average = (
        r.init(model) for r in (PretrainedReference(), PreviousStepReference(), EMAReference(0.9))
    )
    handles = [r.follow(made, model) for r in (first, previous, average)]
    assert handles[0] is None
    trail = [copy.deepcopy(model)]
    expected = [p.detach().clone() for p in model.parameters()]
    for step in range(4):
        made.step(closure_for(model, made, seed=step))
        expected = [0.9 * e + 0.1 * p.detach() for e, p in zip(expected, model.parameters())]
        assert all(torch.equal(p, q) for p, q in zip(previous.model.parameters(), trail[-1].parameters()))
        assert all(torch.allclose(p, e, atol=1e-6) for p, e in zip(average.model.parameters(), expected))
        assert all(torch.equal(p, q) for p, q in zip(first.model.parameters(), trail[0].parameters()))
        trail.append(copy.deepcopy(model))
    assert average.model[1].num_batches_tracked == model[1].num_batches_tracked > 0
    assert not torch.allclose(average.model[1].running_mean, model[1].running_mean)

    for handle in handles[1:]:
        handle.remove()
    held = weights(previous.model), weights(average.model)
    made.step(closure_for(model, made))
    assert all(torch.equal(a, b) for a, b in zip(held[0], weights(previous.model)))
    assert all(torch.equal(a, b) for a, b in zip(held[1], weights(average.model)))


@pytest.mark.parametrize("by_name", [False, True])
def test_a_closure_within_the_step_still_sees_the_step_before(by_name):
    model, rows = network(), batch()
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    reference = PreviousStepReference().init(model)
    reference.follow(sgd, model)
    trail, seen = [], []

    def closure():
        sgd.zero_grad()
        trail.append(model(rows["x"]).detach())
        seen.append(reference.logits(model, rows))
        loss = nn.functional.cross_entropy(model(rows["x"]), rows["y"])
        loss.backward()
        return loss

    for _ in range(4):
        assert isinstance(sgd.step(closure=closure) if by_name else sgd.step(closure), torch.Tensor)
    assert all(torch.allclose(s, t) for s, t in zip(seen, [trail[0], *trail]))
    assert not torch.allclose(seen[-1], trail[-1])


def test_a_loop_without_closures_is_followed_too():
    model, rows = network(), batch()
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    reference = PreviousStepReference().init(model)
    reference.follow(sgd, model)
    for _ in range(3):
        before = model(rows["x"]).detach()
        sgd.zero_grad()
        nn.functional.cross_entropy(model(rows["x"]), rows["y"]).backward()
        sgd.step()
    assert torch.allclose(reference.logits(model, rows), before)


def test_a_shared_weight_is_averaged_once_and_a_buffer_that_is_replaced_is_found():
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    model["b"].weight = model["a"].weight
    model.register_buffer("seen", torch.zeros(2))
    nn.init.zeros_(model["a"].weight)
    reference, previous = EMAReference(0.75).init(model), PreviousStepReference().init(model)
    nn.init.ones_(model["a"].weight)
    model.seen = model.seen + 1
    for r in (reference, previous):
        r.update(model)
    assert reference.model["b"].weight.unique().tolist() == [0.25]
    assert reference.model.seen.tolist() == [0.25, 0.25] and previous.model.seen.tolist() == [1.0, 1.0]


def test_the_limits_of_the_average():
    model, rows = network(), batch()
    still, last = EMAReference(1.0).init(model), EMAReference(0.0).init(model)
    before = model(rows["x"])
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    still.update(model)
    last.update(model)
    assert torch.allclose(still.logits(model, rows), before)
    assert torch.allclose(last.logits(model, rows), model(rows["x"]))


def test_the_mode_decides_about_dropout_and_batch_statistics():
    model, rows = network(dropout=0.5, normalise=True), batch()
    evaluated, same = PretrainedReference().init(model), PretrainedReference(mode="same").init(model)
    assert torch.equal(evaluated.logits(model, rows), copy.deepcopy(model).eval()(rows["x"]))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        drawn = same.logits(model, rows)
        expected = copy.deepcopy(model)(rows["x"])
        assert torch.equal(drawn, expected)
    assert not torch.allclose(drawn, evaluated.logits(model, rows))
    model.eval()
    assert torch.equal(same.logits(model, rows), model(rows["x"]))
    assert same.model[1].num_batches_tracked == 0


def test_noise_has_its_size_and_kind_and_goes_on_from_call_to_call():
    rows, model = {"x": torch.zeros(4000, 2)}, nn.Identity()
    normal = InputNoiseReference(0.5, seed=3).init(model)
    first, second = normal.logits(model, rows), normal.logits(model, rows)
    assert abs(first.std() - 0.5) < 0.02 and abs(first.mean()) < 0.02 and first.abs().max() > 1.0
    assert not torch.equal(first, second)
    again = InputNoiseReference(0.5, seed=3).init(model)
    assert torch.equal(first, again.logits(model, rows)) and torch.equal(second, again.logits(model, rows))
    assert not torch.equal(first, InputNoiseReference(0.5, seed=4).init(model).logits(model, rows))
    uniform = InputNoiseReference(0.5, "uniform").init(model).logits(model, rows)
    assert uniform.abs().max() <= 0.5 and abs(uniform.std() - 0.5 / 3**0.5) < 0.01


def test_noise_of_size_zero_is_the_model_itself_and_it_follows_the_current_parameters():
    model, rows = network(), batch()
    reference = InputNoiseReference(0.0).init(model)
    assert reference.follow(torch.optim.SGD(model.parameters(), lr=0.1), model) is None
    assert torch.equal(reference.logits(model, rows), model(rows["x"]))
    nn.init.zeros_(model[4].weight)
    assert torch.equal(reference.logits(model, rows), model(rows["x"]))


def test_token_ids_take_the_noise_in_their_embedding():
    model = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(12, 2))
    rows = {"x": torch.randint(50, (6, 3), generator=torch.Generator().manual_seed(0))}
    drawn = InputNoiseReference(0.1, seed=2).init(model).logits(model, rows)
    z = torch.empty(6, 3, 4).normal_(0, 0.1, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(drawn, model[2]((model[0](rows["x"]) + z).flatten(1)))
    assert torch.equal(drawn, InputNoiseReference(0.1, at="0", seed=2).init(model).logits(model, rows))


def test_bad_arguments_are_refused():
    model = network()
    with pytest.raises(InputError, match=r"decay is 1\.5; it must lie in \[0, 1\]"):
        EMAReference(1.5)
    with pytest.raises(InputError, match="unknown mode of a reference 'evaluation'; nearest: eval"):
        PretrainedReference(mode="evaluation")
    with pytest.raises(InputError, match=r"sigma is -0\.1"):
        InputNoiseReference(-0.1)
    with pytest.raises(InputError, match="unknown kind of noise 'norm'; nearest: normal"):
        InputNoiseReference(0.1, "norm")
    with pytest.raises(InputError, match="unknown module of Sequential 'inputs'; nearest: input"):
        InputNoiseReference(0.1, at="inputs").init(model)
    with pytest.raises(InputError, match="PreviousStepReference holds no model yet"):
        PreviousStepReference().logits(model, batch())
