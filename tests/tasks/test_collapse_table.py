import numpy as np
import pytest

from farfield.errors import InputError
from farfield.measure import rank_correlation
from farfield.tasks import collapse_checkpoints


@pytest.mark.needs_data("linguistic-collapse-results")
@pytest.mark.parametrize("edition", ["2024-10", "2024-05"])
def test_the_grid_of_the_paper(edition):
    table = collapse_checkpoints(edition)
    assert len(table) == 230 and (table["repeat"] < 0).sum() == 210
    grid, seeds = table[table["repeat"] < 0], table[table["repeat"] >= 0]
    assert sorted(grid["depth"].unique()) == [1, 2, 4, 8, 12]
    assert sorted(grid["width"].unique()) == [64, 128, 256, 512, 768, 1024]
    assert sorted(grid["epochs"].unique()) == [1, 3, 10]
    assert set(seeds["repeat"]) == set(range(20))
    assert set(zip(seeds["depth"], seeds["width"], seeds["epochs"], seeds["weight_decay"])) == {(2, 768, 1, 5e-4)}
    assert set(grid[grid["epochs"] == 3]["weight_decay"]) == {5e-4}
    # From .034 (one block of 64, one epoch) to .37.
    assert table["agreement"].min() == pytest.approx(0.034, abs=5e-4)
    smallest = table.loc[table["agreement"].idxmin()]
    assert (smallest["depth"], smallest["width"], smallest["epochs"]) == (1, 64, 1)


@pytest.mark.needs_data("linguistic-collapse-results")
def test_it_has_the_correlations_of_the_paper():
    table = collapse_checkpoints()
    grid, seeds = table[table["repeat"] < 0], table[table["repeat"] >= 0]
    published = {"cdnv": (0.936, 0.519), "agreement": (-0.958, -0.680), "log_kernel_cv": (0.919, 0.543)}
    published |= {"etf_error": (0.837, 0.432), "simcos_mean": (-0.38, None), "cos_cv": (0.70, None)}
    for measure, wanted in published.items():
        for rows, value in zip((grid, seeds), wanted):
            if value is not None:
                found = rank_correlation(rows[measure], rows["val_loss"], permutations=1).value
                assert found == pytest.approx(value, abs=0.005 if value in (-0.38, 0.70) else 6e-4)
    p = {m: rank_correlation(seeds[m], seeds["val_loss"]).p for m in ("cdnv", "agreement", "norms_cv", "cos_cv")}
    assert (p["cdnv"], p["agreement"], p["norms_cv"], p["cos_cv"]) == pytest.approx(
        (0.02, 0.001, 0.56, 0.82), abs=0.012
    )


@pytest.mark.needs_data("linguistic-collapse-results")
def test_both_editions_speak_of_the_same_checkpoints():
    october, may = collapse_checkpoints().set_index("model"), collapse_checkpoints("2024-05").set_index("model")
    may = may.loc[october.index]
    for column in ("val_loss", "agreement", "n_params"):
        np.testing.assert_allclose(october[column], may[column], rtol=1e-6)
    # Lengths there, squared lengths here; plain products there, cosines here.
    np.testing.assert_allclose(october["norms_var"] + october["norms_mean"] ** 2, may["norms_mean"], rtol=1e-4)
    assert may["interfere_mean"].abs().max() < 1 < october["interfere_var"].min()


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path))
    folder = tmp_path / "linguistic-collapse-results"
    folder.mkdir()
    for file in ("lc-2024_10_24.csv", "lc-2024_05_18.csv"):
        (folder / file).write_text("name,loss\na,1\n")
    with pytest.raises(InputError, match=r"lc-2024_10_24\.csv is not the published table"):
        collapse_checkpoints()
    (folder / "lc-2024_10_24.csv").write_text("model,val_loss\nmine,1\n")
    with pytest.raises(InputError, match="a model whose name cannot be read"):
        collapse_checkpoints()
    with pytest.raises(InputError, match="unknown edition"):
        collapse_checkpoints("2025")
