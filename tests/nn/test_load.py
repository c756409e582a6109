import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest
import torch
from safetensors.torch import load_file, save_file

from farfield import nn
from farfield.errors import InputError
from farfield.methods.erm import erm
from farfield.nn.load import BUILTIN

SMALL = ["linear", "mlp?hidden=8", "mlp?hidden=8&dropout=0.2", "cnn?width=4", "resnet?width=4", "vit?dim=8&heads=2"]


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Write a module of one's own into the current folder, and return its name."""

    def write(source, name):
        (tmp_path / f"{name}.py").write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(source))
        return name

    monkeypatch.chdir(tmp_path)
    return write


@pytest.mark.parametrize("name", SMALL)
def test_one_seed_gives_one_model_and_another_seed_another(image_task, name):
    task = image_task()
    one, same, other = (nn.load(name, task, seed=s).state_dict() for s in (1, 1, 2))
    assert all(one[k].equal(same[k]) for k in one)
    assert not one["head.weight"].equal(other["head.weight"])


@pytest.mark.parametrize("name", SMALL)
def test_the_callers_random_state_is_left_alone(image_task, name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    nn.load(name, image_task(), seed=9)
    assert torch.rand(3).equal(expected)


@pytest.mark.parametrize("name", SMALL)
def test_every_model_is_a_classifier_with_gradients_everywhere(image_task, name):
    task = image_task()
    model = nn.load(name, task)
    assert isinstance(model, nn.Classifier) and model.learning_rate == (1e-2 if name == "linear" else 1e-3)
    torch.nn.functional.cross_entropy(model(task.train[slice(None)]["x"]), task.train.columns["y"]).backward()
    assert all(p.requires_grad and p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_trained_model_comes_back_from_safetensors(image_task, tmp_path, name):
    task = image_task()
    model = erm(nn.load(name, task, seed=1), task, steps=3, batch_size=4).model.eval()
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    # Another task of the same shape: the statistics of standardisation must come from the file.
    fresh = nn.load(name, image_task(seed=1), seed=2).eval()
    x = task.train[[0, 1]]["x"]
    assert not fresh(x).equal(model(x))
    fresh.load_state_dict(load_file(tmp_path / "m.safetensors"), strict=True)
    assert fresh(x).equal(model(x))


@pytest.mark.parametrize("size", [8, 28, 64])
@pytest.mark.parametrize("name", SMALL)
def test_from_8x8_grey_to_64x64_colour(image_task, name, size):
    task = image_task(3 if size == 64 else 1, size, n=4)
    assert nn.load(name, task)(task.train[[0, 1]]["x"]).shape == (2, 3)


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit", "linear", "mlp"])
def test_standardisation_is_fitted_on_the_training_images(image_task, name):
    task = image_task(2)
    first = nn.load(name, task).encoder[0]
    torch.testing.assert_close(first.mean, task.train.columns["x"].mean((0, 2, 3)))


def test_defaults_load(image_task, vector_task, text_task, token_task):
    assert nn.default(image_task()) == "cnn"
    assert nn.default(image_task(1, 2)) == "mlp"
    assert nn.default(vector_task()) == "mlp"
    assert nn.default(text_task()) == "mlp"
    with pytest.raises(InputError, match="the task hand has sequences of up to 6 tokens: name a model"):
        nn.default(token_task())
    for task in (image_task(), image_task(1, 2), vector_task(), nn.prepare("mlp", text_task())):
        nn.load(nn.default(task), task)


@pytest.mark.parametrize("name", ["cnn", "resnet", "vit"])
def test_image_models_refuse_everything_else(image_task, vector_task, text_task, token_task, name):
    takes = f"^{name} takes images of at least 4x4; the task hand has "
    for task, has in (
        (vector_task(64), "vectors of 64 features: use linear or mlp"),
        (image_task(1, 3, 9), "images of 1x3x9: use linear or mlp"),
        (text_task(), "text: use linear or mlp"),
        (token_task(), "sequences of up to 6 tokens: use hf:"),
    ):
        with pytest.raises(InputError, match=takes + has):
            nn.load(name, task)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_vector_models_refuse_tokens_and_raw_text(text_task, token_task, name):
    with pytest.raises(InputError, match=f"{name} takes images, vectors or text; the task hand has sequences"):
        nn.load(name, token_task())
    with pytest.raises(InputError, match=f"raw text: prepare it with farfield.nn.prepare\\('{name}', task\\)"):
        nn.load(name, text_task())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnett", "unknown model 'resnett'; nearest: resnet"),
        ("linear?hidden=3", "unknown option of builtin:linear 'hidden'"),
        ("mlp?hiden=3", "nearest: hidden"),
        ("mlp?tune=probe", "unknown option of builtin:mlp 'tune'"),
        ("csv:a.csv", "'csv:a.csv' is no model"),
        ("hf:/no/such/folder", "there is no such folder"),
        ("no_such_module:f", "there is no module no_such_module"),
    ],
)
def test_unknown_names_and_options(image_task, name, message):
    with pytest.raises(InputError, match=message):
        nn.load(name, image_task())


def test_every_built_in_has_a_range_around_its_defaults():
    for architecture in BUILTIN.values():
        for option in architecture.options.values():
            assert option.default is None or option.low <= option.default <= option.high


def test_ones_own_model_with_and_without_a_seed(user_module, vector_task):
    name = user_module(
        """
        def plain(task):
            return nn.Linear(task.inputs.size, task.outputs.count)

        def seeded(task, seed):
            model = plain(task)
            nn.init.constant_(model.bias, seed)
            return model

        def anything(task, **settings):
            return seeded(task, settings["seed"])
        """,
        "own_models",
    )
    task = vector_task()
    assert nn.load(f"{name}:plain", task, seed=3).weight.equal(nn.load(f"{name}:plain", task, seed=3).weight)
    assert nn.load(f"{name}:seeded", task, seed=3).bias.tolist() == [3, 3, 3]
    assert nn.load(f"{name}:anything", task, seed=4).bias.tolist() == [4, 4, 4]


def test_the_check_leaves_statistics_and_mode_alone(user_module, vector_task):
    name = user_module("def f(task):\n    return nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))\n", "own_norm")
    model = nn.load(f"{name}:f", vector_task())
    assert model.training and int(model[0].num_batches_tracked) == 0


def test_ones_own_model_on_raw_text(user_module, text_task):
    name = user_module(
        """
        class Length(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(1, 3)

            def forward(self, texts):
                return self.layer(torch.tensor([[float(len(t))] for t in texts]))

        def f(task):
            return Length()
        """,
        "own_text",
    )
    assert nn.load(f"{name}:f", text_task())(["one", "two"]).shape == (2, 3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", "returned int, not a torch.nn.Module"),
        ("return nn.Linear(6, 4)", r"gives \(2, 4\) on two rows of the task hand; it must give \(2, 3\)"),
        ("return nn.Linear(5, 3)", "fails on two rows of the task hand: mat1 and mat2"),
        ("return nn.LSTM(6, 3)", "gives tuple on two rows"),
    ],
)
def test_what_is_no_model_for_the_task_is_refused(user_module, vector_task, body, message):
    name = user_module(f"def f(task):\n    {body}\n", f"own_bad_{abs(hash(body))}")
    with pytest.raises(InputError, match=message):
        nn.load(f"{name}:f", vector_task())


def test_tuning_ones_own_model_needs_a_classifier(user_module, vector_task):
    name = user_module(
        """
        from farfield.nn import Classifier

        def plain(task):
            return nn.Linear(6, 3)

        def split(task):
            return Classifier(nn.Linear(6, 5), nn.Linear(5, 3))
        """,
        "own_tuned",
    )
    task = vector_task()
    with pytest.raises(InputError, match=r"needs to know the head: return farfield.nn.Classifier"):
        nn.load(f"{name}:plain?tune=probe", task)
    with pytest.raises(InputError, match=r"rank=4 of own_tuned:plain.* needs tune=lora"):
        nn.load(f"{name}:plain?rank=4", task)
    model = nn.load(f"{name}:split?tune=probe", task)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_other_packages_add_models_by_entry_points(user_module, vector_task, monkeypatch):
    module = user_module("def make(task):\n    return nn.Linear(6, 3)\n", "other_package")
    monkeypatch.syspath_prepend(".")
    point = EntryPoint("theirs", f"{module}:make", "farfield.models")
    # farfield.nn.load is the function, so its module is reached by name.
    monkeypatch.setattr(
        sys.modules["farfield.nn.load"], "entry_points", lambda group: {"farfield.models": [point]}[group]
    )
    assert isinstance(nn.load("theirs", vector_task()), torch.nn.Linear)
    with pytest.raises(InputError, match="unknown model 'their'; nearest: theirs"):
        nn.load("their", vector_task())
