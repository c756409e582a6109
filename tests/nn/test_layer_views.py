import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import activations
from farfield.nn import LayerViews, spread_layers


def network(norm=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(6) if norm else nn.Identity()
        return nn.Sequential(nn.Linear(4, 6), middle, nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 5), nn.ReLU())


X = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))


def test_a_frozen_network_gets_no_gradient_and_its_buffers_stay():
    model = network(norm=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    views = LayerViews(model, ["2", "5"], nn.Linear(4, 3), example=X).train()
    assert not model.training and not model[1].training and views.small.training
    views(X).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    assert views.small.weight.grad is not None
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    # In training mode its dropout would draw: two passes agree.
    assert torch.equal(views(X), views(X))


def test_an_unfrozen_one_is_trained_through_its_layers_where_it_wants_to():
    model = network()
    model[4].requires_grad_(False)
    views = LayerViews(model, ["5"], None, example=X, freeze=False).train()
    assert model.training
    views(X).sum().backward()
    assert model[0].weight.grad is not None and model[4].weight.grad is None


def test_the_views_are_the_layers_and_the_small_model_side_by_side():
    model, small = network(), nn.Linear(4, 3)
    views = LayerViews(model, ["2", "5"], small, example=X)
    seen = activations(model, X, ["2", "5"])
    assert torch.allclose(views(X), torch.cat([seen["2"], seen["5"], small(X)], 1), atol=1e-6)
    assert views.widths == {"2": 6, "5": 5} and views.small_width == 3
    # The small model may read inputs of its own.
    other = LayerViews(model, ["2"], nn.Linear(7, 3), example=X, example_small=torch.zeros(8, 7))
    assert other(X, torch.zeros(8, 7)).shape == (8, 9)


def test_hooks_are_gone_after_a_pass_and_after_an_error():
    model = network()
    views = LayerViews(model, ["2"], None, example=X)
    views(X)
    with pytest.raises(RuntimeError):
        views(torch.zeros(2, 5))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_copy_sees_its_own_network():
    import copy

    views = LayerViews(network(), ["5"], None, example=X)
    twin = copy.deepcopy(views)
    with torch.no_grad():
        for p in twin.pretrained.parameters():
            p.zero_()
    assert twin(X).abs().max() == 0 and views(X).abs().max() > 0


def test_tokens_are_pooled_over_those_that_the_mask_keeps():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8
    )
    bert = transformers.BertModel(config, add_pooling_layer=False)
    batch = {
        "input_ids": torch.tensor([[5, 3, 2, 0], [7, 1, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]),
    }
    views = LayerViews(bert, "encoder.layer.*", None, example=batch)
    assert list(views.widths) == [f"encoder.layer.{i}" for i in range(3)]
    with torch.no_grad():
        states = bert(**batch, output_hidden_states=True).hidden_states[1:]
    weights = batch["attention_mask"][:, :, None].float()
    for found, state in zip(views.features(batch).values(), states):
        assert torch.allclose(found, (state * weights).sum(1) / weights.sum(1), atol=1e-5)
    first = LayerViews(bert, "encoder.layer.2", None, example=batch, pool="cls").features(batch)
    assert torch.allclose(first["encoder.layer.2"], states[-1][:, 0], atol=1e-5)


def test_feature_maps_are_pooled_over_space_and_a_function_may_pool():
    conv = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    x = torch.rand(2, 1, 6, 6)
    mean = LayerViews(conv, ["1"], None, example=x)(x)
    assert torch.allclose(mean, conv(x).mean((2, 3)), atol=1e-6)
    largest = LayerViews(conv, ["1"], None, example=x, pool=lambda output, mask: output.amax((2, 3)))(x)
    assert torch.allclose(largest, conv(x).amax((2, 3)))


@pytest.mark.parametrize(
    ("layers", "more", "message"),
    [
        (["9"], {}, "unknown layer of Sequential '9'"),
        (["encoder.layer.*"], {}, "unknown layer of Sequential"),
        ([], {}, "layers is empty"),
        (["2"], {"pool": "men"}, "unknown pool 'men'; nearest: mean"),
        (["2"], {"pool": "space"}, "several rows for an example"),
    ],
)
def test_a_layer_or_pool_that_is_not_there_is_named(layers, more, message):
    with pytest.raises(InputError, match=message):
        LayerViews(network(), layers, None, example=X, **more)


def test_what_gives_no_vectors_is_refused():
    x = torch.rand(2, 1, 6, 6)
    with pytest.raises(InputError, match=r"gives \(2, 3, 4, 4\) and pool is 'none'"):
        LayerViews(nn.Sequential(nn.Conv2d(1, 3, 3)), ["0"], None, example=x, pool="none")
    with pytest.raises(InputError, match=r"the small model gives \(2, 3, 4, 4\)"):
        LayerViews(nn.Sequential(nn.Flatten()), ["0"], nn.Conv2d(1, 3, 3), example=x)

    class Idle(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    with pytest.raises(InputError, match="the layer '1' did not run"):
        LayerViews(Idle(nn.Linear(4, 2), nn.Linear(2, 2)), ["1"], None, example=X)
    shared = network()
    with pytest.raises(InputError, match="shares parameters"):
        LayerViews(shared, ["2"], nn.Sequential(shared[0]), example=X)


def test_layers_are_spread_evenly_and_end_with_the_last():
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)])
    x = torch.zeros(3, 2)
    assert spread_layers(model, x, count=4) == ["2", "5", "8", "11"]
    assert spread_layers(model, x, count=1) == ["11"]
    assert spread_layers(model, x, count=99) == [str(i) for i in range(12)]


def test_layers_that_do_not_run_or_give_no_rows_are_left_out():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.idle, self.total, self.head = (
                nn.Linear(2, 3),
                nn.Linear(2, 2),
                nn.Flatten(0),
                nn.Linear(3, 1),
            )

        def forward(self, x):
            hidden = self.first(x)
            self.total(hidden)
            return self.head(hidden)

    assert spread_layers(Odd(), torch.zeros(4, 2), count=9) == ["first", "head"]
    with pytest.raises(InputError, match="count is 0"):
        spread_layers(Odd(), torch.zeros(4, 2), count=0)
    with pytest.raises(InputError, match="unknown layer of Odd 'encoder'"):
        spread_layers(Odd(), torch.zeros(4, 2), within="encoder")


@pytest.mark.parametrize(
    "name", ["linear", "mlp?hidden=8", "cnn?width=4", "resnet?width=4", "vit?dim=16&depth=2&heads=2"]
)
def test_every_built_in_model_has_layers_to_read(name, image_task):
    from farfield import nn as models

    task = image_task()
    model = models.load(name, task)
    names = spread_layers(model, task.train[[0, 1]]["x"], within="encoder")
    views = LayerViews(model, names, None, example=task.train[[0, 1]]["x"])
    last = views.features(task.train[[0, 1]]["x"])[names[-1]]
    if name.startswith(("mlp", "cnn", "linear")):
        assert torch.allclose(last, model.features(task.train[[0, 1]]["x"]), atol=1e-6)
    assert all(n.startswith("encoder") for n in names)


def test_the_blocks_of_a_transformer_are_found_where_embeddings_outweigh_them():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=5000, hidden_size=8, num_hidden_layers=6, num_attention_heads=2, intermediate_size=8
    )
    bert = transformers.BertModel(config)
    batch = {"input_ids": torch.tensor([[5, 3]]), "attention_mask": torch.tensor([[1, 1]])}
    assert spread_layers(bert, batch) == [f"encoder.layer.{i}" for i in (1, 3, 5)]
