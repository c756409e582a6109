"""The networks of the study of rich representations."""

import itertools

import pytest
import torch

from farfield.papers.rich_representations import TINY
from farfield.study.stage import VARIABLE
from farfield.trials import rich_sources
from farfield.trials.rich_sources import count, halves, same_features, same_parameters

POINT = {**TINY, "task": "digits"}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_halves_share_no_class_and_no_image():
    parts = halves("digits", 8, seed=0)
    assert parts.classes == 5
    tables = [parts.train, parts.held, parts.test, parts.new, parts.new_test]
    assert all(sorted(t.columns["y"].unique().tolist()) == [0, 1, 2, 3, 4] for t in tables)
    assert sum(len(t) for t in tables) == 1797 - len(halves_of_validation())
    rows = [{r.numpy().tobytes() for r in t.columns["x"]} for t in tables]
    assert not any(a & b for i, a in enumerate(rows) for b in rows[:i])
    assert halves("digits", 4, seed=0).train.columns["x"].shape[1:] == (1, 4, 4)


def halves_of_validation():
    from farfield import tasks

    return [y for y in tasks.load("digits", seed=0).val.columns["y"].tolist() if y >= 5]


@pytest.mark.parametrize("k", [2, 5, 10])
def test_controls_match_features_and_parameters(k):
    assert same_features((32, 16), k)[-1] == 16 * k
    wide = same_parameters(196, (32, 16), k)
    assert count([196, *wide]) == pytest.approx(k * count([196, 32, 16]), rel=0.03)
    assert wide[0] == pytest.approx(2 * wide[1], abs=1)
    model = rich_sources.build(196, (32, 16), 5, seed=0)
    assert sum(p.numel() for p in model.encoder.parameters()) == count([196, 32, 16])


def test_runs_differ_by_the_seed_alone_and_are_kept():
    first, again, other = (rich_sources.single(POINT, 0, i) for i in (0, 0, 1))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert [p.shape for p in first.parameters()] == [p.shape for p in other.parameters()]


def test_snapshots_are_five_moments_of_one_run():
    moments = [rich_sources.snapshot(POINT, 0, i) for i in range(5)]
    moves = [float((b.head.weight - a.head.weight).detach().norm()) for a, b in itertools.pairwise(moments)]
    assert all(m > 0 for m in moves)
    # Moments of one run lie near each other; another run is elsewhere.
    assert max(moves) < float((moments[0].head.weight - rich_sources.single(POINT, 0, 0).head.weight).detach().norm())


def test_distilled_ones_come_near_their_teachers():
    point = {**POINT, "steps": 300}
    x = halves("digits", 8, seed=0).test.columns["x"]
    student = rich_sources.distilled(point, 0, "single", 2, "logits")
    teachers = [rich_sources.single(point, 0, i) for i in (0, 1)]
    with torch.no_grad():
        mean = sum(t(x) for t in teachers) / 2
        assert float((student(x).argmax(1) == mean.argmax(1)).double().mean()) > 0.95
    joint = rich_sources.joint(point, 0, 2)
    assert joint.head.in_features == 32 and all(p.requires_grad for p in joint.parameters())
