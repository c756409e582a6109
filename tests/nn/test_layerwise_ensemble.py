import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import Classifier, Frozen, JunctionHead, LayerwiseEnsemble
from farfield.nn.tuning import tune
from farfield.reuse import layer_features

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


def network(out=7, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, out))


def ensemble(**more):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        small = nn.Sequential(nn.Linear(4, 2), nn.Tanh())
        settings = {"out_dim": 3, "hidden": 5, "example": X, **more}
        return LayerwiseEnsemble(network(), ["1", "3"], settings.pop("small", small), **settings)


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_cached_features_give_what_the_network_gives(pool):
    model = ensemble(pool=pool).eval()
    cached = layer_features(model.views.pretrained, model.layers, X, pool)
    run, read = model(X), model.from_features(cached, X)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(run.per_layer, read.per_layer))
    # And as the features of a split in batches, in its order.
    parts = [model.from_features({k: v[i : i + 4] for k, v in cached.items()}, X[i : i + 4]) for i in (0, 4, 8)]
    assert torch.allclose(torch.cat([p.combined for p in parts]), run.combined, atol=1e-6)


def test_a_step_changes_heads_and_small_model_and_not_the_frozen_network():
    model = ensemble().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model(X).combined.square().sum().backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        assert torch.equal(before[name], value) == name.startswith("views.pretrained."), name


def test_one_layer_is_a_probe_of_the_concatenation():
    model = LayerwiseEnsemble(network(), ["3"], nn.Linear(4, 2), out_dim=3, hidden=0, example=X)
    hidden = network()[:4](X)
    x = torch.cat([nn.functional.layer_norm(hidden, (6,)), model.views.small(X)], 1)
    weight = torch.cat([model.junctions.by_layer[0], model.junctions.by_small], 1)
    assert torch.allclose(model(X).combined, x @ weight.T + model.junctions.bias, atol=1e-6)


def test_the_classifier_has_the_same_parts_and_the_mean_of_their_probabilities():
    model = ensemble().eval()
    classifier = model.classifier().eval()
    assert isinstance(classifier, Classifier) and isinstance(classifier.head, JunctionHead)
    assert torch.allclose(classifier(X).exp(), model(X).probabilities, atol=1e-6)
    assert torch.allclose(classifier.features(X)[:, -2:], model.views.small(X))
    assert {id(p) for p in classifier.parameters()} == {id(p) for p in model.parameters()}
    names = [*classifier.state_dict()]
    storages = {v.untyped_storage().data_ptr() for v in classifier.state_dict().values()}
    assert len(names) == len(storages)  # nothing is saved twice


def test_without_a_small_model_and_with_a_second_pretrained_one():
    alone = ensemble(small=None).eval()
    assert alone.views.small_width == 0 and alone.classifier()(X).shape == (9, 3)
    both = ensemble(small=Frozen(network(out=2, seed=5)))
    both(X).combined.sum().backward()
    assert not [p for p in both.views.parameters() if p.requires_grad]
    assert both.junctions.by_small.grad.abs().max() > 0


def test_lora_factors_are_trained_through_the_heads_and_nothing_else_of_the_network():
    pytest.importorskip("peft")
    model = tune(Classifier(network()[:4], nn.Linear(6, 2)), "lora", rank=2)
    joined = LayerwiseEnsemble(model, ["encoder.1", "encoder.3"], None, out_dim=3, example=X, freeze=False)
    joined(X).combined.square().sum().backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved and all("lora_" in name for name in moved)


def test_a_vision_transformer_of_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=4, num_attention_heads=2, intermediate_size=8, image_size=8, patch_size=4
    )
    vit = transformers.ViTModel(config, add_pooling_layer=False)
    x = torch.rand(2, 3, 8, 8)
    names = [name for name, m in vit.named_modules() if type(m).__name__ == "ViTLayer"][1::2]
    joined = LayerwiseEnsemble(vit, names, nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), out_dim=5, example=x)
    assert joined.layers == tuple(names) and joined(x).combined.shape == (2, 5)
    with torch.no_grad():
        states = vit(pixel_values=x, output_hidden_states=True).hidden_states
    assert torch.allclose(joined.views.features(x)[names[0]], states[2].mean(1), atol=1e-5)
    joined(x).combined.sum().backward()
    assert all(p.grad is None for p in vit.parameters())


def test_a_layer_that_the_backbone_lacks_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown layer of Sequential 'layer4'"):
        LayerwiseEnsemble(network(), ["layer4"], None, out_dim=3, example=X)
