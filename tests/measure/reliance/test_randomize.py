import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from farfield.errors import InputError
from farfield.measure import FeatureReliance, feature_reliance, randomize_features, randomized_auc
from farfield.tasks import Dominoes, lms


def first(x):
    return x[:, 0]


@given(st.lists(st.integers(0, 4), unique=True), st.integers(0, 100))
def test_one_permutation_keeps_the_features_together_and_the_others_in_place(coords, seed):
    x = np.random.default_rng(0).normal(size=(60, 5))
    found = randomize_features(x, coords, seed=seed)
    others = [i for i in range(5) if i not in coords]
    np.testing.assert_array_equal(found[:, others], x[:, others])
    assert {tuple(row) for row in found[:, coords]} == {tuple(row) for row in x[:, coords]}
    assert np.array_equal(found, x) == (not coords)


def test_the_same_permutation_for_all_is_not_one_for_each():
    x = np.repeat(np.arange(500.0)[:, None], 3, axis=1)
    together, apart = (randomize_features(x, [0, 1], how=how, seed=1) for how in ("together", "separately"))
    assert (together[:, 0] == together[:, 1]).all() and (together[:, 0] == together[:, 2]).mean() < 0.05
    assert (apart[:, 0] == apart[:, 1]).mean() < 0.05
    for found in (together, apart):
        np.testing.assert_array_equal(np.sort(found[:, 1]), x[:, 1])


def test_a_swap_comes_from_the_other_class():
    y = np.repeat([0, 1, 2], 50)
    x = np.stack([y, np.arange(150)], 1)
    found = randomize_features(x, [0], how="swap", y=y)
    assert (found[:, 0] != y).all() and (found[:, 1] == x[:, 1]).all()
    assert set(found[y == 0, 0]) == {1, 2}
    with pytest.raises(InputError, match="give the labels y"):
        randomize_features(x, [0], how="swap")


def test_a_rotation_is_undone_and_done_again():
    data = lms(5, 8, n=400, seed=0)
    found = randomize_features(data.x, [0], rotation=data.rotation, seed=2)
    before, after = data.coordinates(), found @ data.rotation.T
    torch.testing.assert_close(after[:, 1:], before[:, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(after[:, 0].sort().values, before[:, 0].sort().values, atol=1e-5, rtol=0)
    assert (after[:, 0] - before[:, 0]).abs().mean() > 0.3 and found.dtype == torch.float32
    # The same rows move as without a rotation.
    torch.testing.assert_close(after, randomize_features(before, [0], seed=2), atol=1e-5, rtol=0)


def test_kinds_and_types_are_kept():
    images = torch.randint(256, (20, 3, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = randomize_features(images, [0, 1, 2, 3], seed=1)
    assert found.dtype == torch.uint8 and found.shape == images.shape
    assert torch.equal(found[:, 1:], images[:, 1:]) and not torch.equal(found[:, 0], images[:, 0])
    assert randomize_features(np.array([[1.0, np.nan], [2.0, 3.0]]), [0]).shape == (2, 2)
    table = pd.DataFrame({"a": [1, 2, 3, 4], "b": list("wxyz"), "c": pd.Categorical(list("ppqq"))}, index=[5, 5, 6, 7])
    moved = randomize_features(table, ["b", "c"], seed=1)
    assert list(moved.dtypes) == list(table.dtypes) and list(moved.index) == [5, 5, 6, 7]
    pairs = dict(zip(table.b, table.c))
    assert all(pairs[b] == c for b, c in zip(moved.b, moved.c)) and list(moved.b) != list("wxyz")
    assert list(moved.a) == [1, 2, 3, 4] and list(table.b) == list("wxyz")


def test_the_sign_of_the_linear_block_is_relied_on_alone():
    data = lms(5, 10, n=4000, seed=1)
    linear = data.rotation[0]
    found = feature_reliance(lambda x: (x @ linear).sign(), data.x, data.y, data.groups(), rotation=data.rotation)
    assert isinstance(found, FeatureReliance) and found.n == 4000
    assert found.standard == 1 and found.alone["linear"] == 1 and found.randomized["5-slab"] == 1
    # Five permutations of 4,000 rows: standard error below 0.009.
    assert abs(found.randomized["linear"] - 0.5) < 0.03 and found.reliance["linear"] > 0.94
    assert abs(found.alone["5-slab"] - 0.5) < 0.03 and found.reliance["5-slab"] == 0 == found.drop["5-slab"]


def test_all_features_randomized_leave_nothing_and_none_cost_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 3))
    y = (x.sum(1) > 0).astype(int)
    found = randomized_auc(lambda x: x.sum(1), x, y, {"all": [0, 1, 2], "none": []})
    assert abs(found["all"] - 0.5) < 0.02 and found["none"] == 1
    assert found == randomized_auc(lambda x: x.sum(1), x, y, {"all": [0, 1, 2], "none": []})
    assert found != randomized_auc(lambda x: x.sum(1), x, y, {"all": [0, 1, 2], "none": []}, seed=1)


def test_the_mean_is_over_permutations():
    x = np.random.default_rng(0).normal(size=(200, 2))
    y = x[:, 0] > 0
    seeds = np.random.SeedSequence(3).generate_state(4)
    by_hand = [roc_auc_score(y, randomize_features(x, [0], seed=int(s))[:, 0]) for s in seeds]
    assert randomized_auc(first, x, y, {"a": [0]}, repeats=4, seed=3)["a"] == pytest.approx(np.mean(by_hand))


def test_a_users_table_and_estimator():
    rng = np.random.default_rng(0)
    n = 1500
    table = pd.DataFrame(
        {
            "age": rng.normal(50, 10, n),
            "copy of age": 0.0,
            "site": pd.Categorical(rng.choice(list("abc"), n)),
            "noise": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )
    table["copy of age"] = -table["age"]
    y = ((table["age"] > 50) ^ (table["site"] == "c")).to_numpy().astype(int)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0).fit(
        table[:1000], y[:1000]
    )
    groups = {"age": ["age", "copy of age"], "site": ["site"], "noise": ["noise"]}
    found = feature_reliance(model.predict_proba, table[1000:], y[1000:], groups)
    assert found.standard > 0.97 and found.drop["noise"] < 0.02
    assert found.reliance["age"] > 0.8 and 0.2 < found.drop["site"] < 0.6


def test_outputs_of_every_form_give_the_same_ranking():
    x = np.random.default_rng(0).normal(size=(300, 2)).astype("float32")
    y = (x[:, 0] + 0.5 * x[:, 1] > 0).astype(int)
    module = torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Linear(2, 2))
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        module[1].bias.zero_()
    module.train()
    groups = {"a": [0], "b": [1]}
    expected = randomized_auc(first, x, y, groups)
    assert randomized_auc(module, x, y, groups) == pytest.approx(expected) and module.training
    assert randomized_auc(lambda x: x[:, :1], x, y, groups) == expected
    assert randomized_auc(first, x, np.where(y == 1, 7, 3), groups) == expected
    # Three classes: the mean of each against the rest.
    three = np.digitize(x[:, 0], [-0.5, 0.5])
    scores = lambda x: np.stack([-x[:, 0], -np.abs(x[:, 0]), x[:, 0]], 1)  # noqa: E731
    assert feature_reliance(scores, x, three, groups).standard == 1
    by_hand = np.mean([roc_auc_score(three == c, scores(x[:, ::-1])[:, c]) for c in range(3)])
    assert feature_reliance(lambda x: scores(x[:, ::-1]), x, three, groups).standard == pytest.approx(by_hand)


def test_regions_of_an_image_are_groups():
    side = torch.linspace(0.1, 0.9, 40).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    labels = (torch.arange(40) >= 20).long()
    data = Dominoes((side, labels), (side, labels), (0, 1), (0, 1))
    found = feature_reliance(lambda x: x[:, 0, :2].mean((1, 2)), data.x, data.y, data.groups(), repeats=20)
    assert found.standard == found.alone["top"] == 1 and found.reliance["top"] > 0.8 and found.drop["bottom"] == 0


def test_bad_arguments_are_refused():
    x, y = np.random.default_rng(0).normal(size=(10, 3)), np.array([0, 1] * 5)
    for arguments, options, match in (
        ((first, x, y, {}), {}, "groups is empty"),
        ((first, x, y, {"a": [3]}), {}, "the group 'a' goes from 3 to 3; x has the features 0 to 2"),
        ((first, x, y, {"a": [0, 0]}), {}, "the group 'a' names a feature twice"),
        ((first, x, y, {"a": ["b"]}), {}, "expected places of features"),
        ((first, x, y[:5], {"a": [0]}), {}, "x has 10 rows but y has 5"),
        ((first, x, np.ones(10), {"a": [0]}), {}, "all labels of y are 1"),
        ((first, x, y, {"a": [0]}), {"repeats": 0}, "repeats is 0"),
        ((first, x, y, {"a": [0]}), {"rotation": np.eye(2)}, r"rotation has shape \(2, 2\)"),
        ((first, x, y, {"a": [0]}), {"rotation": 2 * np.eye(3)}, "rotation is not orthogonal"),
        ((lambda x: x[:5, 0], x, y, {"a": [0]}), {}, r"the scores have shape \(5,\)"),
        ((lambda x: x[:, 0] * np.nan, x, y, {"a": [0]}), {}, "the scores holds a value that is not finite"),
        ((first, x, np.arange(10) % 3, {"a": [0]}), {}, "y has 3 classes; give one for each class"),
        ((lambda x: x, x, np.arange(10) % 4, {"a": [0]}), {}, "y goes from 0 to 3; scores of 3 classes came"),
        ((first, x[:, 0], y, {"a": [0]}), {}, r"x has shape \(10,\)"),
        ((first, pd.DataFrame(x, columns=list("abc")), y, {"a": ["d"]}), {}, "unknown column in the group 'a' 'd'"),
        ((first, pd.DataFrame(x), y, {"a": [0]}), {"rotation": np.eye(3)}, "rotation came with a data frame"),
        ((torch.nn.Linear(3, 2), pd.DataFrame(x), y, {"a": [0]}), {}, "score is a torch module and x a data frame"),
    ):
        with pytest.raises(InputError, match=match):
            feature_reliance(*arguments, **options)
    with pytest.raises(InputError, match="how is 'alone'"):
        randomize_features(x, [0], how="alone")
    with pytest.raises(InputError, match=r"y has 10 rows of 1 classes"):
        randomize_features(x, [0], how="swap", y=np.ones(10))
