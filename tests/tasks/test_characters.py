import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import characters
from farfield.tasks.sources import drawings

pytestmark = pytest.mark.needs_data("omniglot-small")


def test_groups_share_no_character_and_drawings_are_used_once():
    groups = characters([120, 72, 50], [14, 6, 10], seed=3)
    assert [(len(a), len(b)) for a, b in groups] == [(1680, 720), (432, 1008), (500, 500)]
    seen = [set(table.columns["character"].tolist()) for pair in groups for table in pair]
    assert all(seen[i] == seen[i + 1] for i in (0, 2, 4)) and set.union(*seen) == set(range(242))
    assert not (seen[0] & seen[2] or seen[0] & seen[4] or seen[2] & seen[4])
    for (train, test), count in zip(groups, (120, 72, 50)):
        for table in (train, test):
            counts = torch.bincount(table.columns["y"], minlength=count)
            assert len(counts) == count and (counts == len(table) // count).all()
            # y and character name the same classes.
            pairs = set(zip(table.columns["y"].tolist(), table.columns["character"].tolist()))
            assert len(pairs) == count
    # Together they are all drawings.
    ink = torch.cat([t.columns["x"] for pair in groups for t in pair]).sum((1, 2, 3)).sort().values
    assert torch.equal(ink, torch.from_numpy(drawings(21).images).sum((1, 2, 3)).sort().values)


def test_earlier_groups_do_not_depend_on_later_ones_and_seeds_differ():
    alone, with_another = characters([40], seed=1)[0], characters([40, 60], seed=1)[0]
    for a, b in zip(alone, with_another):
        assert torch.equal(a.columns["x"], b.columns["x"]) and torch.equal(a.columns["y"], b.columns["y"])
    other = characters([40], seed=2)[0][0]
    assert set(other.columns["character"].tolist()) != set(alone[0].columns["character"].tolist())


def test_a_pixel_is_the_mean_of_five_by_five():
    small, whole = torch.from_numpy(drawings(21).images), torch.from_numpy(drawings(105).images)
    assert set(whole.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(whole, 5))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"counts": []}, "one or more"),
        ({"counts": [3, 0]}, "at least 1"),
        ({"counts": [3], "train": 20}, "from 1 to 19"),
        ({"counts": [3], "train": [3, 4]}, "2 numbers for 1 groups"),
        ({"counts": [3], "size": 3}, "sides of 105"),
    ],
)
def test_what_cannot_be_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        characters(**arguments)
