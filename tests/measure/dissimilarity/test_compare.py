import numpy as np
import pytest
import torch
from scipy.spatial.distance import squareform

from farfield.errors import InputError
from farfield.measure import compare_rdms

THEIRS = {"spearman": "spearman", "kendall": "kendall", "pearson": "corr", "cosine": "cosine"}


def draw(k, pairs=45, seed=0):
    # Rounded, so that there are ties.
    return np.abs(np.random.default_rng(seed).normal(size=(k, pairs))).round(1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", THEIRS)
def test_it_equals_rsatoolbox(method):
    import rsatoolbox

    a, b = draw(3, seed=0), draw(2, seed=1)
    theirs = rsatoolbox.rdm.compare(rsatoolbox.rdm.RDMs(a), rsatoolbox.rdm.RDMs(b), method=THEIRS[method])
    found = compare_rdms(a, b, method)
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", THEIRS)
def test_every_form_gives_the_same_number(method):
    a, b = draw(2, seed=0), draw(1, seed=1)[0]
    number = compare_rdms(a[0], b, method)
    assert isinstance(number, float)
    assert compare_rdms(squareform(a[0]), squareform(b), method) == number
    assert compare_rdms(a, b, method).shape == (2, 1)
    assert compare_rdms(a[:1], b[None], method).tolist() == [[pytest.approx(number)]]
    found = compare_rdms(torch.from_numpy(a), torch.from_numpy(b), method)
    assert isinstance(found, torch.Tensor) and float(found[0, 0]) == pytest.approx(number)


def test_what_each_method_does_not_see():
    a, b = draw(1, seed=0)[0], draw(1, seed=1)[0]
    for method in ("spearman", "kendall"):
        assert compare_rdms(a, np.exp(3 * b), method) == pytest.approx(compare_rdms(a, b, method))
    assert compare_rdms(a, 3 * b + 5, "pearson") == pytest.approx(compare_rdms(a, b, "pearson"))
    assert compare_rdms(a, 3 * b, "cosine") == pytest.approx(compare_rdms(a, b, "cosine"))
    # And what it does.
    assert compare_rdms(a, np.exp(3 * b), "pearson") != pytest.approx(compare_rdms(a, b, "pearson"), abs=0.01)
    assert compare_rdms(a, 3 * b + 5, "cosine") != pytest.approx(compare_rdms(a, b, "cosine"), abs=0.01)
    for method in THEIRS:
        assert compare_rdms(a, a, method) == pytest.approx(1)
    assert compare_rdms(a, -a, "kendall") == pytest.approx(-1)


def test_huge_and_tiny_values():
    a, b = draw(1, seed=0)[0], draw(1, seed=1)[0]
    for method in THEIRS:
        assert compare_rdms(1e300 * a, 1e-300 * b, method) == pytest.approx(compare_rdms(a, b, method))


def test_bad_arguments_are_refused():
    a = draw(2)
    with pytest.raises(InputError, match="unknown method of comparison 'spearmann'; nearest: spearman"):
        compare_rdms(a, a, "spearmann")
    with pytest.raises(InputError, match="a has 45 pairs but b has 44"):
        compare_rdms(a, a[:, :44])
    with pytest.raises(InputError, match="all values of row 1 of b are equal"):
        compare_rdms(a, np.stack([a[0], np.ones(45)]))
    with pytest.raises(InputError, match="all values of a are 0"):
        compare_rdms(np.zeros(45), a, "cosine")
    with pytest.raises(InputError, match="a has 1 pair of stimuli"):
        compare_rdms(np.ones(1), np.ones(1))
