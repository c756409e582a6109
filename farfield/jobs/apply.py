"""The job: an adapter over a whole file, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from farfield.errors import InputError
from farfield.jobs.reading import Source, read_embeddings
from farfield.reuse.adapter import load_adapter


def apply(
    adapter: str | Path,
    embeddings: Source,
    out: str | Path,
    *,
    dims: int | None = None,
    model: str = "",
    watch: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write what an adapter makes of a file of embeddings: a .npy of float32, there whole or not at all. Memory is
    bounded.

    **Arguments:** ``dims``: only so many first dimensions, each row then of length 1 where the adapter's are;
    ``model``: the name of
    the model that made the embeddings; ``watch``: called with the rows done and the rows in all.

    Returns rows, columns and bytes written. Raises InputError where a file is absent or damaged, the adapter was made
    for another
    model, ``out`` is the file that is read, and on rows as `farfield.reuse.Adapter.apply`.

    >>> import tempfile, numpy as np, torch
    >>> from farfield.reuse import Adapter
    >>> folder = Path(tempfile.mkdtemp())
    >>> Adapter(torch.eye(3), torch.zeros(3), (1, 3)).save(folder / "a.safetensors")
    >>> apply(folder / "a.safetensors", np.eye(3), folder / "small.npy", dims=1)["columns"]
    1
    """
    loaded = load_adapter(adapter)
    data = read_embeddings(embeddings, "embeddings", least=1, whole=False)
    chosen = loaded if dims is None else loaded.cut(dims)
    if (
        isinstance(embeddings, str | Path)
        and Path(out).exists()
        and Path(out).samefile(data.about["source"].partition("?")[0])
    ):
        raise InputError(f"{out} is the file that is read; give another one to write")
    chosen.check(data.rows, data.name, model=model)
    n = len(data.rows)
    written = chosen.apply(data.rows, out, name=data.name, watch=None if watch is None else lambda rows: watch(rows, n))
    return {"rows": n, "columns": len(chosen.weight), "bytes": written}
