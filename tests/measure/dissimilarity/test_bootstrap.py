from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import squareform

from farfield.errors import InputError
from farfield.measure import Bootstrap, bootstrap_rdms

OFFICIAL = np.load(Path(__file__).parent / "data" / "trsa.npz", allow_pickle=False)
RDMS, SUBJECT, LABEL = np.abs(OFFICIAL["loo_rdms"]), OFFICIAL["loo_subj"], OFFICIAL["loo_roi"]
DRAWN = {"rows": OFFICIAL["boot_rows"], "stimuli": OFFICIAL["boot_stims"]}


def test_the_official_numbers():
    found = bootstrap_rdms(RDMS, SUBJECT, LABEL, **DRAWN, duplicates="nan")
    assert np.array_equal(found.rdms, OFFICIAL["boot_rdms_of_abs"], equal_nan=True)
    assert np.array_equal(found.subject, SUBJECT[DRAWN["rows"]]) and np.array_equal(found.label, LABEL[DRAWN["rows"]])


def test_what_becomes_of_pairs_of_one_stimulus():
    marked = bootstrap_rdms(RDMS, SUBJECT, LABEL, **DRAWN, duplicates="nan").rdms
    missing = np.isnan(marked[0])
    assert missing.any() and np.array_equal(np.isnan(marked), np.tile(missing, (20, 1)))
    dropped = bootstrap_rdms(RDMS, SUBJECT, LABEL, **DRAWN).rdms
    assert np.array_equal(dropped, marked[:, ~missing])
    filled = bootstrap_rdms(RDMS, SUBJECT, LABEL, **DRAWN, duplicates="mean").rdms
    assert np.array_equal(filled[:, ~missing], dropped)
    np.testing.assert_allclose(filled[:, missing], np.tile(dropped.mean(1, keepdims=True), missing.sum()))


def test_a_permutation_of_stimuli_is_that_of_the_square():
    order = np.random.default_rng(0).permutation(8)
    found = bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=range(20), stimuli=order).rdms
    for row, expected in zip(found, RDMS):
        assert np.array_equal(squareform(row), squareform(expected)[order][:, order])
    assert np.array_equal(bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=range(20), stimuli=range(8)).rdms, RDMS)


def test_draws_are_with_replacement_from_the_generator():
    first = bootstrap_rdms(RDMS, SUBJECT, LABEL, generator=torch.Generator().manual_seed(0))
    again = bootstrap_rdms(RDMS, SUBJECT, LABEL, generator=torch.Generator().manual_seed(0))
    other = bootstrap_rdms(RDMS, SUBJECT, LABEL, generator=torch.Generator().manual_seed(1))
    assert isinstance(first, Bootstrap) and np.array_equal(first.rdms, again.rdms)
    assert not np.array_equal(first.rows, other.rows)
    assert len(first.rows) == 20 and len(set(first.rows)) < 20
    shown = [
        bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=[0], generator=torch.Generator().manual_seed(s)) for s in range(500)
    ]
    counts = np.bincount(np.concatenate([b.stimuli for b in shown]), minlength=8)
    np.testing.assert_allclose(counts / 500, 1, atol=0.2)
    # Of 28 pairs of draws an eighth is one stimulus with itself.
    assert np.mean([b.rdms.shape[1] for b in shown]) == pytest.approx(28 * 7 / 8, abs=0.5)
    assert all((b.rows == 0).all() for b in shown)


def test_tensors_come_back_as_tensors():
    found = bootstrap_rdms(torch.from_numpy(RDMS), torch.from_numpy(SUBJECT), list(LABEL), **DRAWN)
    assert isinstance(found.rdms, torch.Tensor) and isinstance(found.subject, np.ndarray)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="generator is missing"):
        bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=[0])
    with pytest.raises(InputError, match="rdms has 27 columns; all pairs of n stimuli"):
        bootstrap_rdms(RDMS[:, 1:], SUBJECT, LABEL, **DRAWN)
    with pytest.raises(InputError, match="rdms has 20 rows but label has shape"):
        bootstrap_rdms(RDMS, SUBJECT, LABEL[1:], **DRAWN)
    for rows in ([20], [-1], [0.5], [], [[0]]):
        with pytest.raises(InputError, match="rows must be a list of indices from 0 to 19"):
            bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=rows, stimuli=range(8))
    with pytest.raises(InputError, match="all 3 stimuli drawn are stimulus 2, so that no pair is left"):
        bootstrap_rdms(RDMS, SUBJECT, LABEL, rows=[0], stimuli=[2, 2, 2])
    with pytest.raises(InputError, match="unknown value of duplicates 'omit'"):
        bootstrap_rdms(RDMS, SUBJECT, LABEL, **DRAWN, duplicates="omit")
