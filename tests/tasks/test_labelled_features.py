import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import LabelledFeatures
from farfield.tasks.labelled_features import draw_mask

Y = torch.tensor([[0, 1], [1, 0], [1, 1]])


def test_a_table_can_hide_all_other_features():
    data = LabelledFeatures(torch.zeros(3, 2), Y, names=("a", "b"), classes=(2, 2), mask=Y.bool())
    assert data.table().columns["mask"].tolist() == Y.bool().tolist()
    assert data.table(only="b").columns["mask"].tolist() == [[False, True], [False, False], [False, True]]
    assert data.features()["b"].tolist() == [1, 0, 1] and len(data) == 3
    with pytest.raises(InputError, match="unknown feature 'c'"):
        data.table(only="c")


def test_shapes_must_match():
    with pytest.raises(InputError, match="must be \\(rows, features\\)"):
        LabelledFeatures(torch.zeros(2, 2), Y, names=("a", "b"), classes=(2, 2))
    with pytest.raises(InputError, match="1 names"):
        LabelledFeatures(torch.zeros(3, 2), Y, names=("a",), classes=(2, 2))


def test_a_mask_has_the_share_asked_for_at_random_places():
    mask = draw_mask(1000, ["a", "b", "c"], {"a": 0.25, "c": 1}, torch.Generator().manual_seed(0))
    assert mask.sum(0).tolist() == [250, 1000, 1000]
    # Anywhere: the halves have about the same number.
    assert mask[:500, 0].sum().item() == pytest.approx(125, abs=30)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 0.001, float("nan")])
def test_a_share_without_a_row_is_refused(share):
    with pytest.raises(InputError, match="the prevalence of 'a'"):
        draw_mask(100, ["a"], {"a": share}, torch.Generator())


def test_an_unknown_feature_is_refused():
    with pytest.raises(InputError, match="unknown feature in prevalence 'eazy'; nearest: easy"):
        draw_mask(10, ["easy", "hard"], {"eazy": 0.5}, torch.Generator())
