"""What every recipe must satisfy; a new method is checked by being registered."""

import inspect
from dataclasses import replace

import pytest
import torch

from farfield import methods
from farfield.errors import InputError
from farfield.methods import METHODS, Choice, Fitted, Method, Range
from farfield.methods.method import adamw, training_batches
from farfield.tasks import Image
from farfield.train import predict

each_method = pytest.mark.parametrize("name", METHODS)
COMMON = ("model", "task", "steps", "batch_size", "seed", "hooks", "learning_rate", "weight_decay")


def needs_images(request):
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    return name is not None and Image in METHODS[name].inputs


def as_images(task):
    """Return the task with its four columns as the grey quarters of images of 8x8 pixels."""

    def convert(split):
        quarters = ((split.columns["x"] + 4) / 12).clamp(0, 1).view(-1, 1, 2, 2)
        return split.replace(x=quarters.repeat_interleave(4, 2).repeat_interleave(4, 3))

    tests = {name: convert(split) for name, split in task.tests.items()}
    return replace(task, train=convert(task.train), val=convert(task.val), tests=tests, inputs=Image(1, 8, 8))


class Quarters(torch.nn.Module):
    """Images back to four columns."""

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 4).flatten(1) * 12 - 4


@pytest.fixture
def task(request, task):
    return as_images(task) if needs_images(request) else task


@pytest.fixture
def one_domain_task(request, one_domain_task):
    return as_images(one_domain_task) if needs_images(request) else one_domain_task


@pytest.fixture
def new_model(request, new_model):
    def make(**settings):
        model = new_model(**settings)
        if needs_images(request):
            model.encoder = torch.nn.Sequential(Quarters(), *model.encoder)
        return model

    return make


def accuracy(model, split):
    return (predict(model, split).argmax(1) == split.columns["y"]).float().mean().item()


def test_the_baselines_are_there():
    wanted = [
        "erm",
        "erm-sgd",
        "mixup",
        "group-dro",
        "irm",
        "vrex",
        "coral",
        "mmd",
        "dann",
        "weight-average",
        "swad",
        "sam",
        "asam",
        "fisher-sam",
        "tram",
        "tram-pretrained",
        "tram-x",
        "tram-fisher",
        "trpo",
        "mesa",
        "r3f",
        "r4f",
        "smart",
        "wise-ft",
        "lp-ft",
        "levi",
        "cat",
        "cat-distill",
        "bonsai",
        "catch",
        "random-fields",
        "rcal",
        "m3",
        "rm3",
    ]
    assert sorted(m.name for m in METHODS.values() if not m.ablation) == sorted(wanted)


@each_method
def test_it_learns(name, task, new_model):
    settings = {"steps": 150, "batch_size": 48, "seed": 0, "learning_rate": 0.3 if name == "erm-sgd" else 0.01}
    if name == "irm":
        settings["weight"] = 1.0  # its default of 100 needs larger batches than 16 examples of a domain
    fitted = METHODS[name](new_model(), task, **settings)
    assert isinstance(fitted, Fitted)
    assert len(fitted.history.loss) == 150
    assert accuracy(new_model(), task.tests["iid"]) < 0.3 < 0.8 < accuracy(fitted.model, task.tests["iid"])


@each_method
def test_the_seed_decides_everything_and_the_callers_random_state_is_left_alone(
    name, task, new_model, check_same, differ, settings
):
    def run(seed, ambient):
        with torch.random.fork_rng():
            torch.manual_seed(ambient)
            state = torch.get_rng_state()
            model = METHODS[name](new_model(dropout=0.2), task, **{**settings, "seed": seed}).model
            assert torch.equal(torch.get_rng_state(), state)
        return model

    first = run(seed=3, ambient=1)
    check_same(first, run(seed=3, ambient=2), exact=True)
    assert differ(first, run(seed=4, ambient=1))


@each_method
def test_hooks_are_called_after_every_step_with_a_model_of_the_same_kind(name, task, new_model, settings):
    seen = []
    fitted = METHODS[name](new_model(), task, hooks=[lambda s, m, loss: seen.append((s, type(m), loss))], **settings)
    assert [s for s, _, _ in seen] == list(range(1, settings["steps"] + 1))
    assert {kind for _, kind, _ in seen} == {type(fitted.model)}
    # A recipe that returns another kind of model says how that is made anew, for saved weights.
    assert type(fitted.model) is type(new_model()) or METHODS[name].assemble is not None
    assert [loss for *_, loss in seen] == fitted.history.loss


@each_method
def test_a_hook_that_evaluates_does_not_change_the_training(name, task, new_model, check_same, settings):
    watched = METHODS[name](
        new_model(normalise=True, dropout=0.2), task, hooks=[lambda s, m, loss: predict(m, task.val)], **settings
    )
    plain = METHODS[name](new_model(normalise=True, dropout=0.2), task, **settings)
    check_same(watched.model, plain.model, exact=True)


@each_method
def test_frozen_parameters_stay(name, task, new_model, settings):
    model = new_model()
    model.encoder.requires_grad_(False)
    fitted = METHODS[name](model, task, **settings)
    # CATCH keeps the whole model beside its new parts.
    inner = fitted.model.model if name == "catch" else fitted.model
    for p, q in zip(inner.encoder.parameters(), new_model().encoder.parameters()):
        assert torch.equal(p, q)
    # Whatever the recipe made of the head: it is not what it was.
    before = list(new_model().head.parameters())
    assert not any(torch.equal(p, q) for p in fitted.model.head.parameters() for q in before)


@each_method
def test_the_search_space_names_arguments_and_holds_their_defaults(name):
    arguments = inspect.signature(METHODS[name].fit).parameters
    assert tuple(arguments)[: len(COMMON)] == COMMON
    for key, space in METHODS[name].space.items():
        default = arguments[key].default
        if isinstance(space, Range):
            assert space.low < default < space.high
            assert space.low > 0 or not space.log
        else:
            assert default in space.values


@each_method
def test_every_corner_of_the_search_space_trains(name, task, new_model, settings):
    for key, space in METHODS[name].space.items():
        for value in (space.low, space.high) if isinstance(space, Range) else space.values:
            history = METHODS[name](new_model(), task, **{key: value}, **settings).history
            assert len(history.loss) == settings["steps"]


@each_method
def test_one_training_domain_is_refused_where_domains_are_compared(name, one_domain_task, new_model, settings):
    if METHODS[name].needs_domains:
        with pytest.raises(InputError, match=f"{name} compares training domains, and the task small has 1"):
            METHODS[name](new_model(), one_domain_task, **settings)
    else:
        assert len(METHODS[name](new_model(), one_domain_task, **settings).history.loss) == settings["steps"]


@each_method
def test_the_order_of_rows_within_a_batch_does_not_matter_to_the_first_loss(name, task, new_model):
    if name in ("mixup", "r3f", "r4f", "asam-r3f", "smart", "tram-fisher", "bonsai", "catch", "random-fields", "rcal"):
        pytest.skip("what it draws for a row goes by the row's place in the batch")
    # The whole of the training data in one batch, in another order of rows and of domains.
    order = torch.randperm(90, generator=torch.Generator().manual_seed(5))
    shuffled = replace(task, train=task.train.take(order))
    a, b = (METHODS[name](new_model(), t, steps=1, batch_size=90).history.loss[0] for t in (task, shuffled))
    assert abs(a - b) < 1e-5


def test_only_swad_chooses_by_itself_and_only_domain_methods_need_domains():
    assert [n for n, m in METHODS.items() if m.needs_validation] == ["swad"]
    assert {n for n, m in METHODS.items() if m.needs_domains} == {
        "group-dro",
        "irm",
        "vrex",
        "coral",
        "mmd",
        "dann",
        "catch",
    }


def test_batches_are_balanced_over_domains_and_the_same_for_all(task, one_domain_task):
    rows = next(training_batches(task, 24, seed=0))
    assert task.train.columns["domain"][rows].bincount().tolist() == [8, 8, 8]
    assert torch.equal(rows, next(training_batches(task, 24, seed=0)))
    assert len(next(training_batches(one_domain_task, 24, seed=0)).unique()) == 24


def test_adamw_trains_what_is_trainable_and_more(new_model):
    model, extra = new_model(), torch.nn.Parameter(torch.ones(1))
    model.encoder.requires_grad_(False)
    optimizer = adamw(model, 0.5, 0.25, extra)
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.5 and group["weight_decay"] == 0.25
    assert {id(p) for p in group["params"]} == {id(p) for p in [*model.head.parameters(), extra]}


def test_unknown_names_show_the_nearest():
    with pytest.raises(InputError, match=r"unknown method 'samm'; nearest: .*sam"):
        methods.load("samm")


def test_a_users_function_or_method_is_found_by_name(tmp_path, monkeypatch):
    (tmp_path / "my_recipes.py").write_text(
        "from farfield.methods import Method, erm\n"
        "def plain(model, task, **settings):\n    'Just erm.'\n    return erm(model, task, **settings)\n"
        "described = Method('described', plain, 'A summary.', 'me, 2026', needs_domains=True)\n"
    )
    monkeypatch.chdir(tmp_path)
    found = methods.load("my_recipes:plain")
    assert (found.name, found.summary) == ("my_recipes:plain", "Just erm.")
    described = methods.load("my_recipes:described")
    assert isinstance(described, Method) and described.needs_domains
    with pytest.raises(InputError, match="has no 'missing'"):
        methods.load("my_recipes:missing")


def test_a_choice_and_a_range_compare_by_value():
    assert Range(0.1, 1.0, log=True) == Range(0.1, 1.0, log=True) != Range(0.1, 1.0)
    assert Choice((1, 2)) == Choice((1, 2))
