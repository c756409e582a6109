"""An adapter over files of all kinds: the same result, and nothing written where it does not fit."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from farfield.errors import InputError
from farfield.jobs import apply
from farfield.reuse import Adapter

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


@pytest.fixture
def adapter(tmp_path):
    made = Adapter(
        torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), torch.ones(4), (2, 4), unit_inputs=True
    )
    made.save(tmp_path / "adapter.safetensors")
    return made


@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
def test_every_kind_of_file_gives_what_the_adapter_gives(adapter, tmp_path, kind):
    file = tmp_path / f"x.{kind}"
    {
        "npy": lambda: np.save(file, X),
        "npz": lambda: np.savez(file, x=X),
        "safetensors": lambda: save_file({"x": X}, file),
    }[kind]()
    seen = []
    done = apply(tmp_path / "adapter.safetensors", file, tmp_path / "o.npy", watch=lambda *counts: seen.append(counts))
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), adapter(X), atol=1e-5)
    assert done["rows"] == 40 and done["columns"] == 4 and seen[-1] == (40, 40)


def test_rows_of_another_model_are_refused(tmp_path):
    from farfield.reuse import ColumnProfile

    rng = np.random.default_rng(0)
    scale = rng.uniform(0, 3, size=64)
    mine, other = (rng.normal(size=(300, 64)) * s + s for s in (scale, rng.permutation(scale)))
    Adapter(torch.eye(64), torch.zeros(64), (64,), profile=ColumnProfile.of(torch.from_numpy(mine))).save(
        tmp_path / "a.safetensors"
    )
    apply(tmp_path / "a.safetensors", mine[:100], tmp_path / "mine.npy")
    with pytest.raises(InputError, match="they are of another model"):
        apply(tmp_path / "a.safetensors", other, tmp_path / "other.npy")
    assert not (tmp_path / "other.npy").exists()
