"""Activations of any model: the right layer, the right rows, pooled by hand, and nothing left behind."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from farfield.errors import InputError
from farfield.measure import activations, layer_names, open_activations
from farfield.nn import load
from farfield.nn.features import features_and_logits
from farfield.tasks import Classes, Image, Table, Task


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))


@pytest.fixture
def x():
    return torch.randn(23, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    return transformers.BertModel(config)


@pytest.fixture
def tokens():
    ids = torch.randint(1, 20, (7, 5), generator=torch.Generator().manual_seed(2))
    mask = (torch.arange(5) < torch.tensor([5, 3, 1, 4, 5, 2, 3])[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.fixture
def image_task():
    zeros = torch.zeros(9, dtype=torch.long)
    rows = Table(x=torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(3)), y=zeros, domain=zeros)
    return Task("t", rows, rows, {"iid": rows}, Image(1, 8, 8), Classes(2), ("a",))


class Positions(nn.Module):
    """Gives its input, (n, t, d) or (n, d, h, w), to a layer that changes nothing, with a mask where it is given."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, x, attention_mask=None):
        return self.layer(x)


def test_layers_equal_the_model_run_by_hand(network, x):
    network.train()
    found = activations(network, x, ["0", "2", "4:input", ""], batch_size=5)
    network.eval()
    with torch.no_grad():
        first = network[0](x)
        relu = network[2](network[1](first))
        torch.testing.assert_close(found["0"], first)
        torch.testing.assert_close(found["2"], relu)
        torch.testing.assert_close(found["4:input"], relu)  # dropout passes everything on
        torch.testing.assert_close(found[""], network(x))


def test_every_kind_of_data_gives_the_same_rows(network, x):
    wanted = activations(network, x, "2")["2"]
    y = torch.zeros(23, dtype=torch.long)
    pairs = torch.utils.data.TensorDataset(x, y)
    kinds = {
        "array": x.numpy(),
        "split": Table(x=x, y=y),
        "columns": {"x": x, "y": y},
        "batches": [x[:10], x[10:]],
        "arrays": [x[:10].numpy(), x[10:].numpy()],
        "stream": (b for b in x.split(4)),
        "pairs": [(x[:10], y[:10]), (x[10:], y[10:])],
        "loader": torch.utils.data.DataLoader(pairs, batch_size=6),
        "items": pairs,
        "records": [{"x": x[:3], "y": y[:3]}, {"x": x[3:], "y": y[3:]}],
    }
    for name, data in kinds.items():
        torch.testing.assert_close(activations(network, data, "2", batch_size=7)["2"], wanted, msg=name)


def test_modes_weights_statistics_and_random_state_are_untouched(network, x):
    network.train()
    network[3].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    activations(network, x)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_an_error_on_the_way_leaves_no_hook_no_mode_and_no_file(network, x, tmp_path):
    network.train()
    with pytest.raises(RuntimeError):
        activations(network, [x, torch.zeros(2, 5)], "2", out=tmp_path)
    assert hooks(network) == 0 and all(module.training for module in network.modules())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no finished activations"):
        open_activations(tmp_path)


def test_on_disk_is_equal_memory_mapped_and_plain_safetensors(network, x, tmp_path):
    wanted = activations(network, x, ["0", "4:input"])
    found = activations(network, x, ["0", "4:input"], batch_size=4, out=tmp_path / "new" / "folder")
    opened = open_activations(tmp_path / "new" / "folder")
    assert list(found) == list(opened) == list(wanted)
    for name, rows in wanted.items():
        torch.testing.assert_close(found[name], rows)
        torch.testing.assert_close(opened[name], rows)
    files = json.loads((tmp_path / "new" / "folder" / "activations.json").read_text())["files"]
    for name, file in files.items():
        assert torch.equal(load_file(tmp_path / "new" / "folder" / file)[name], opened[name])


def test_a_stopped_run_into_a_used_folder_keeps_the_finished_one(network, x, tmp_path):
    activations(network, x, "0", out=tmp_path)
    with pytest.raises(RuntimeError):
        activations(network, [x, torch.zeros(2, 5)], "2", out=tmp_path)
    assert list(open_activations(tmp_path)) == ["0"]


def test_precision(network, x):
    assert activations(network.double(), x.double(), "0")["0"].dtype == torch.float64
    half = nn.Linear(4, 2).bfloat16()
    assert activations(half, x.bfloat16(), "")[""].dtype == torch.float32


def test_pooling_of_tokens_by_hand():
    x = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [0, 1, 1]])
    data = [{"x": x}]
    by_hand = {
        "mean": [[2.0, 3.0], [8.0, 9.0]],
        "max": [[4.0, 5.0], [10.0, 11.0]],
        "cls": [[0.0, 1.0], [6.0, 7.0]],
        "last": [[4.0, 5.0], [10.0, 11.0]],
        "flatten": x.flatten(1).tolist(),
        "space": x.reshape(6, 2).tolist(),
    }
    for pool, rows in by_hand.items():
        assert activations(Positions(), data, "layer", pool=pool)["layer"].tolist() == rows, pool
    masked = {
        "mean": [[1.0, 2.0], [9.0, 10.0]],
        "max": [[2.0, 3.0], [10.0, 11.0]],
        "cls": [[0.0, 1.0], [6.0, 7.0]],
        "last": [[2.0, 3.0], [10.0, 11.0]],
        "space": [[0.0, 1.0], [2.0, 3.0], [8.0, 9.0], [10.0, 11.0]],
    }
    for pool, rows in masked.items():
        for call in (
            lambda model, batch: model(batch["x"], attention_mask=mask),
            lambda model, batch: model(batch["x"], mask),
        ):
            found = activations(Positions(), data, "layer", pool=pool, forward=call)["layer"]
            assert found.tolist() == rows, pool


def test_a_row_without_any_token_pools_to_zeros():
    def call(model, batch):
        return model(batch, attention_mask=torch.tensor([[0, 0]]))

    for pool in ("mean", "max"):
        found = activations(Positions(), [torch.ones(1, 2, 3)], "layer", pool=pool, forward=call)
        assert found["layer"].tolist() == [[0.0, 0.0, 0.0]]


def test_pooling_of_feature_maps():
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    by_hand = {
        "mean": x.mean((2, 3)),
        "max": x.amax((2, 3)),
        "flatten": x.flatten(1),
        "space": x.permute(0, 2, 3, 1).reshape(40, 3),
    }
    for pool, rows in by_hand.items():
        torch.testing.assert_close(activations(Positions(), x, "layer", pool=pool)["layer"], rows)


def test_a_function_pools():
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    found = activations(Positions(), x, "layer", pool=lambda output, mask: output.norm(dim=2))
    torch.testing.assert_close(found["layer"], x.norm(dim=2))
    with pytest.raises(InputError, match=r"pool must return rows \(n, d\)"):
        activations(Positions(), x, "layer", pool=lambda output, mask: output)


def test_hugging_face_blocks_and_mask(bert, tokens):
    found = activations(bert, tokens, ["encoder.layer.*", ""], batch_size=3)
    assert list(found) == ["encoder.layer.0", "encoder.layer.1", ""]
    bert.eval()
    with torch.no_grad():
        hidden = bert(**tokens, output_hidden_states=True).hidden_states
    weights = tokens["attention_mask"][:, :, None]
    for i in (0, 1):
        by_hand = (hidden[i + 1] * weights).sum(1) / weights.sum(1)
        torch.testing.assert_close(found[f"encoder.layer.{i}"], by_hand, atol=1e-5, rtol=1e-4)
    # The output of the whole model begins with its last hidden state.
    torch.testing.assert_close(found[""], found["encoder.layer.1"])


def test_default_layers_are_the_blocks(bert, network):
    assert layer_names(network) == ["0", "1", "2", "3", "4"]
    assert layer_names(bert) == ["embeddings", "encoder.layer.0", "encoder.layer.1", "pooler"]
    assert layer_names(nn.Linear(1, 1)) == [""]


def test_default_layers_stop_at_residual_blocks(image_task):
    layers = layer_names(load("resnet?depth=2", image_task))
    assert [name for name in layers if "blocks" in name] == [f"encoder.1.blocks.{i}" for i in range(6)]
    assert layers[-1] == "head"
    layers = layer_names(load("vit", image_task))
    assert [name for name in layers if "blocks" in name] == [f"encoder.1.blocks.{i}" for i in range(3)]
    assert "encoder.1.layers.8" in layer_names(load("cnn", image_task))


def test_patterns():
    model = nn.ModuleDict({"a": nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())), "b": nn.ReLU()})
    assert layer_names(model, "a.*") == ["a.0", "a.1"]
    assert layer_names(model, "a.**") == ["a.0", "a.1", "a.1.0"]
    assert layer_names(model, ["b", "a.?", "b"]) == ["b", "a.0", "a.1"]
    assert "" not in layer_names(model, "**")


def test_what_goes_into_the_head_is_what_the_library_calls_features(image_task):
    rows = image_task.train
    model = load("cnn", image_task)
    found = activations(model, rows, "head:input")["head:input"]
    with torch.no_grad():
        features, _ = features_and_logits(model.eval(), rows[slice(0, 9)]["x"])
    torch.testing.assert_close(found, features)


def test_a_recurrent_layer_gives_its_output_and_not_its_state(x):
    lstm = nn.LSTM(4, 5, batch_first=True)
    with torch.no_grad():
        wanted = lstm(x[:, None])[0][:, 0]
    torch.testing.assert_close(activations(lstm, x[:, None], "")[""], wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "9"}, "unknown layer of Sequential '9'"),
        ({"layers": "0:output"}, "expected a name, or a name and :input"),
        ({"layers": []}, "layers is empty"),
        ({"pool": "mena"}, "unknown pool 'mena'; nearest: mean"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"data": torch.zeros(0, 4)}, "no row"),
        ({"data": []}, "no row"),
        ({"data": 3}, "data is int"),
        ({"data": ["a text"]}, "data is text"),
        ({"data": [{"pixels": torch.zeros(1, 4)}]}, "columns pixels, and forward of Sequential takes input"),
    ],
)
def test_bad_input(network, x, arguments, message):
    data = arguments.pop("data", x)
    with pytest.raises(InputError, match=message):
        activations(network, data, **arguments)


def test_a_layer_that_did_not_run_or_has_no_numbers(network, x):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused, self.names = nn.Linear(4, 2), nn.Linear(4, 2), Names()

        def forward(self, x):
            self.names(x)
            return self.used(x)

    class Names(nn.Module):
        def forward(self, x):
            return ["no number"]

    with pytest.raises(InputError, match="'unused' did not run"):
        activations(Branches(), x, "unused")
    with pytest.raises(InputError, match="'names' gives list"):
        activations(Branches(), x, "names")


def test_rows_of_changing_width_are_refused():
    with pytest.raises(InputError, match="6 columns in one batch and 4 in another"):
        activations(Positions(), [torch.ones(1, 2, 2), torch.ones(1, 3, 2)], "layer", pool="flatten")


def test_more_than_the_memory_is_refused_before_it_is_filled(x):
    class Many:
        """A split of rows that are made when they are asked for."""

        def __len__(self):
            return 10**13

        def __getitem__(self, indices):
            return {"x": torch.zeros(8, 4)}

    with pytest.raises(InputError, match="GB of memory are free: give out="):
        activations(nn.Linear(4, 4), Many(), "")


def test_out_must_be_a_folder(network, x, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        activations(network, x, out=tmp_path / "file")


def test_measures_take_what_comes_back(network, x, tmp_path):
    from farfield.measure import linear_cka

    found = activations(network, x, ["0", "2"], out=tmp_path)
    assert linear_cka(found["0"], found["0"]) == pytest.approx(1)
    assert np.isfinite(linear_cka(found["0"], found["2"]))
