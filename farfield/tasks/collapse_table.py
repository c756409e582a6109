"""The table that the authors of Linguistic Collapse published: 22 measures of 230 checkpoints of language models."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from farfield.errors import InputError, unknown_name
from farfield.tasks import fetch

if TYPE_CHECKING:
    import pandas as pd

EDITIONS = {"2024-10": "lc-2024_10_24.csv", "2024-05": "lc-2024_05_18.csv"}
_MODEL = r"(?P<depth>\d+)x(?P<width>\d+)_(?P<epochs>\d+)(?P<decay>[dL])(?P<repeat>\d*)@(?P<checkpoint>\d+)"


def collapse_checkpoints(edition: str = "2024-10") -> pd.DataFrame:
    """Return the published measures, one row for each of 230 checkpoints of GPT-Neo models trained on TinyStories.

    Columns as published, and read from the name of the model: ``depth`` (blocks), ``width``, ``epochs`` (of the whole training),
    ``weight_decay`` (5e-4 or 0.1), ``repeat`` (0 to 19 for the twenty seeds of one architecture, -1 for the 210 of the scaling grid)
    and ``checkpoint`` (epochs done, less one). Added are what the paper's claims speak of: ``agreement`` (NC4), and in the
    October edition ``norms_cv``, ``log_kernel_cv`` and ``cos_cv``.

    **Arguments:** ``edition``: "2024-10", or the earlier "2024-05", which has deviations in place of variances, squared lengths
    under the names ``norms_*``, and cosines under ``interfere_*``, where October has plain inner products. In both, ``cdnv`` has
    exponent 2.

    Raises InputError on another edition, or where the data cannot be had or is damaged.

    >>> collapse_checkpoints("2023")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown edition '2023'; known: 2024-05, 2024-10
    """
    import pandas as pd

    if edition not in EDITIONS:
        raise unknown_name("edition", edition, EDITIONS)
    folder, file = fetch.path("linguistic-collapse-results"), EDITIONS[edition]
    try:
        table = pd.read_csv(io.BytesIO(fetch.read(folder, file)))
        names = table["model"].str.extract(f"^{_MODEL}$")
    except (ValueError, KeyError) as error:
        raise InputError(f"{folder / file} is not the published table: {error}") from error
    if names.drop(columns="repeat").isna().any(axis=None):
        raise InputError(f"{folder / file} holds a model whose name cannot be read")
    for column in ("depth", "width", "epochs", "checkpoint"):
        table[column] = names[column].astype(int)
    table["weight_decay"] = names["decay"].map({"d": 5e-4, "L": 0.1})
    table["repeat"] = names["repeat"].replace("", "-1").astype(int)
    if edition == "2024-05":
        table["agreement"] = table["matches"] / (table["matches"] + table["misses"])
        return table
    table["agreement"] = table["hits"] / (table["hits"] + table["misses"])
    for made, measure in {"norms_cv": "norms", "log_kernel_cv": "log_kern", "cos_cv": "simcos"}.items():
        table[made] = table[f"{measure}_var"] ** 0.5 / table[f"{measure}_mean"].abs()
    return table
