"""What gates tell about classes whose relations are known."""

import pytest
import torch

from farfield.nn import PairGate
from farfield.tasks import Table
from farfield.trials.pair_relations import describe, explained, factor_gap

FACTORS = torch.cartesian_prod(*[torch.arange(2)] * 3)  # 8 classes


class Known(PairGate):
    """A gate that is given by a function of two classes."""

    def __init__(self, gates):
        super().__init__(8, 6)
        self.gates = gates  # (8, 8, 6)

    def forward(self, y1, y2):
        return self.gates[y1, y2]


def rows():
    """Features 0 and 1 tell the first factor, 2 and 3 the second, 4 and 5 the third; 10 rows of a class."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(80) % 8
    factors = FACTORS[y]
    z = factors.repeat_interleave(2, 1).float() + 0.1 * torch.randn(80, 6, generator=g)
    return z, Table(x=z, y=y, factors=factors)


def keeping(same):
    """Gates open where a factor is the same in both classes (or where it is not)."""
    shared = (FACTORS[:, None] == FACTORS) if same else (FACTORS[:, None] != FACTORS)
    return 0.05 + 0.9 * shared.repeat_interleave(2, 2).float()


def test_gates_that_keep_the_shared_factor_have_a_gap_and_the_opposite_the_opposite():
    z, table = rows()
    gap = factor_gap(Known(keeping(True)), z, table.columns["factors"], FACTORS)
    # The correlation of (1, 1, 0, 0, 0, 0) with itself is 1, with a shift of it by two -1/2.
    assert gap == pytest.approx(1.5, abs=0.02)
    assert factor_gap(Known(keeping(False)), z, table.columns["factors"], FACTORS) == pytest.approx(-1.5, abs=0.02)
    same = torch.rand(6, generator=torch.Generator().manual_seed(1)).expand(8, 8, 6)
    assert abs(factor_gap(Known(same), z, table.columns["factors"], FACTORS)) < 0.02


def test_there_is_no_gap_without_a_pair_that_shares_one_factor():
    z, table = rows()
    of_class = torch.arange(24).reshape(8, 3)
    assert factor_gap(Known(keeping(True)), z, table.columns["factors"], of_class) is None


def test_explained_variance():
    labels = torch.tensor([0, 0, 1, 1, 1])
    z = torch.tensor([[1.0, 3.0, 0.0], [1.0, 5.0, 4.0], [2.0, 3.0, 1.0], [2.0, 3.0, 2.0], [2.0, 3.0, 3.0]])
    z[:, 1] = 7
    found = explained(z, labels)
    assert found[0] == pytest.approx(1) and found[1] == 0 and found[2] == pytest.approx(0, abs=1e-6)


def test_statistics_and_relations_of_glyphs():
    z, table = rows()
    gates = torch.zeros(8, 8, 6)
    for c in range(8):
        gates[c, c] = FACTORS[c].repeat_interleave(2).float() + torch.tensor([0.01, 0, 0, 0, 0, 0])
    found = describe(Known(gates), z, table, 8, seed=0)
    pairs = gates[torch.combinations(torch.arange(8), with_replacement=True).unbind(1)]
    assert found["gate_mean"] == pytest.approx(float(pairs.mean()))
    assert found["gate_off"] == pytest.approx(float((pairs < 0.1).float().mean()))
    assert found["gate_on"] == pytest.approx(float((pairs > 0.9).float().mean()))
    assert 0 <= found["gate_overlap"] <= 1 and -1 <= found["relation_correlation"] <= 1
    assert len(found["relations"]) == len(found["class_names"]) == 8
    assert found["class_names"][0] == ["circle", "plain", "red"] and found["class_names"][7][0] == "square"


def test_without_a_gate_or_known_relations_it_says_nothing():
    z, table = rows()
    assert set(describe(None, z, table, 8, seed=0).values()) == {None}
    bare = Table(x=z, y=table.columns["y"])
    found = describe(PairGate(8, 6), z, bare, 8, seed=0)
    assert found["relation_correlation"] is None and found["gate_mean"] > 0


@pytest.mark.needs_data("omniglot-small")
def test_characters_of_an_alphabet_belong_together():
    from farfield.tasks.sources import drawings
    from farfield.trials.pair_relations import _alphabets

    known = drawings(21)
    found = _alphabets(torch.arange(242))
    for character in range(0, 242, 11):
        assert known.alphabets[int(found[character])] == known.characters[character].rpartition("/")[0]
