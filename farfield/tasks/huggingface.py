"""Data sets of Hugging Face: a folder that ``datasets`` saved, or an id on the hub."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farfield.errors import InputError, MissingExtra, unknown_name
from farfield.names import Name, parse
from farfield.tasks.decode import Picture, count_channels, pixels
from farfield.tasks.folder import image_size
from farfield.tasks.split import duplicate_groups
from farfield.tasks.tabular import OPTIONS as TABLE_OPTIONS
from farfield.tasks.tabular import labels_and_domains, table_rows
from farfield.tasks.task import Image, Task
from farfield.tasks.userdata import Encoded, Rows, build, files_hash, leave_one_out, no_column, without_test

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = [*TABLE_OPTIONS, "image", "size", "split", "config"]


def expand(name: Name) -> list[Name]:
    """Return one task per held-out domain of the data set, or the one task that ``test=`` names.

    Raises InputError as `load` does.
    """
    return leave_one_out(name, _rows(name))


def load(name: Name, seed: int = 0) -> Task:
    """Load a data set that ``save_to_disk`` wrote, or one from the Hugging Face hub, as a Task.

    Code that comes with a data set is never run.

    **Options of the name:** those of a table (`farfield.tasks.tabular.load`), and
    - ``split``: the split to read, "train" by default; farfield splits it anew. ``config``: the hub's configuration.
    - ``image``: a column of images to learn from, in place of the others; ``size``: the side in pixels to which they are
      resized (32 by default).

    Raises MissingExtra without the package ``datasets``, InputError as a table does.

    >>> load(parse("hf:nowhere/"))
    Traceback (most recent call last):
    farfield.errors.InputError: folder not found: nowhere/
    """
    return build(name, _rows(name), seed=seed)


def is_saved(path: Path) -> bool:
    """Return whether a folder is a data set that ``save_to_disk`` wrote.

    >>> is_saved(Path("nowhere"))
    False
    """
    return (path / "dataset_dict.json").is_file() or (
        (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
    )


def read_dataset(name: Name) -> Any:
    """Return one split of a data set as a ``datasets.Dataset``.

    Raises MissingExtra without the package ``datasets``, InputError where there is no such data set, configuration or
    split, or it cannot be read.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", extra="hf", needed_by=f"the data set hf:{name.path}") from error
    path, split = Path(name.path).expanduser(), name.options.get("split", "train")
    looks_like_a_folder = name.path.startswith((".", "/", "~")) or name.path.endswith("/")
    if not name.path or (looks_like_a_folder and not path.exists()):
        raise InputError(f"folder not found: {name.path or '(no path was given)'}")
    try:
        if is_saved(path):
            found = datasets.load_from_disk(str(path))
        else:
            found = datasets.load_dataset(str(path) if path.exists() else name.path, name.options.get("config"))
    except IndexError as error:
        # How datasets fails on a saved data set without shards.
        raise InputError(f"the data set hf:{name.path} has no rows") from error
    # What the hub answers, and what reading a damaged file raises, is of many kinds; all are the data's fault.
    except (ValueError, OSError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"the data set hf:{name.path} cannot be read: {first}") from error
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            raise unknown_name(f"split of hf:{name.path}", split, found)
        found = found[split]
    elif "split" in name.options and found.split is not None and str(found.split) != split:
        raise unknown_name(f"split of hf:{name.path}", split, [str(found.split)])
    if len(found) == 0:
        raise InputError(f"the data set hf:{name.path} has no rows")
    return found


def to_frame(dataset: Any, *, without: str | None = None) -> "pd.DataFrame":
    """Return the columns of a ``datasets.Dataset`` as a frame, class labels by their names, but for one column."""
    import datasets

    if without is not None:
        dataset = dataset.remove_columns(without)
    frame = dataset.with_format(None).to_pandas()
    for c, feature in dataset.features.items():
        if isinstance(feature, datasets.ClassLabel):
            # -1 is how unlabelled rows are written.
            frame[c] = frame[c].map(dict(enumerate(feature.names)))
    return frame


def pictures(dataset: Any, column: str, *, source: str) -> list[Picture]:
    """Return the images of a column undecoded: each by name, with its bytes or its path.

    Raises InputError where the column does not hold images, or some are missing.
    """
    import datasets

    if not isinstance(dataset.features[column], datasets.Image):
        raise InputError(f"the column {column!r} of {source} does not hold images; it is {dataset.features[column]}")
    cells = dataset.cast_column(column, datasets.Image(decode=False)).with_format(None)[column]
    result: list[Picture] = []
    for i, cell in enumerate(cells):
        if cell is None or (cell["bytes"] is None and cell["path"] is None):
            raise InputError(f"{source} has no image in row {i + 1} (column {column!r})")
        content = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"])
        result.append((f"the image in row {i + 1} of {source}", content))
    return result


def _rows(name: Name) -> Rows:
    name.check_options(OPTIONS)
    if "image" in name.options and ({"text", "features"} & set(name.options)):
        raise InputError(f"hf:{name.path}: the options image, text and features exclude each other")
    image_size(name)
    path = Path(name.path).expanduser()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
    stamps = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)
    return _rows_of_dataset(str(without_test(name)), str(Path.cwd()), hash(stamps))


@lru_cache(maxsize=2)
def _rows_of_dataset(name: str, folder: str, stamps: int) -> Rows:
    # Everything after the name only makes the cache forget a folder that changed.
    parsed = parse(name)
    source, options = parsed.path, parsed.options
    dataset = read_dataset(parsed)
    files = [(str(i), Path(f["filename"])) for i, f in enumerate(dataset.cache_files)]
    fingerprint = files_hash(files, parsed.kind, repr(parsed.options))
    if "image" not in options:
        return table_rows(to_frame(dataset), options, source=source, fingerprint=fingerprint)
    if options["image"] not in dataset.column_names:
        raise no_column(options["image"], dataset.column_names, option="image", source=source)
    undecoded = pictures(dataset, options["image"], source=source)
    frame = to_frame(dataset, without=options["image"])
    target, domain, y, d, classes, domains = labels_and_domains(frame, options, source=source)
    channels, size = count_channels(undecoded), image_size(parsed)
    x = pixels(undecoded, size=size, channels=channels)
    described = {
        "kind": "image", "channels": channels, "size": size, "column": options["image"], "target": target,
        "domain": domain,
    }  # fmt: skip

    def encode(train: np.ndarray) -> Encoded:
        return Encoded(x, Image(channels, size, size), described)

    return Rows(source, y, d, classes, domains, duplicate_groups(x), fingerprint, encode)
