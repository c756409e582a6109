"""What the layers of any network give on data: by forward hooks, in batches, in memory or on disk."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.files import write_atomically
from farfield.measure._feeding import batches, call, first_tensor, on_device, rows_of
from farfield.measure._pooling import Pool, check_pool, pooled
from farfield.measure._recorder import Recorder
from farfield.measure._rows import File, Memory, mapped
from farfield.nn.evaluating import evaluating

INDEX = "activations.json"
LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@torch.no_grad()
def activations(
    model: nn.Module,
    data: Any,
    layers: str | Sequence[str] | None = None,
    *,
    pool: Pool = "mean",
    batch_size: int = 256,
    out: str | Path | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    progress: bool = True,
) -> dict[str, Tensor]:
    """Return what layers of a model give on data: by layer name, a tensor (n, d) on the CPU, rows in the order of the data.

    The model runs in evaluation mode and without gradients, on the device of its first parameter; its modes come back and
    its hooks are gone afterwards, also after an error. Half precision becomes float32, float64 stays.

    **Arguments:**
    - ``data``: a tensor or array (n, ...); a split of a task; a mapping of columns, as a tokenizer returns it; or an
      iterable of batches (a list, a DataLoader). Of a batch that is a tuple or list the model gets the first entry, of
      one with a column ``x`` that column, of any other mapping those that its ``forward`` takes.
    - ``layers``: names as in ``model.named_modules()``, or patterns: ``*`` stands for anything but a dot, ``**`` for
      anything, so ``"encoder.layer.*"`` takes each block of BERT. ``""`` is the whole model, ``"head:input"`` what goes into
      ``head``. None: the model's blocks, see `layer_names`. Of an output with several parts the first tensor counts, of a
      layer that runs several times the last run.
    - ``pool``: how an output (n, t, d) of tokens or patches, or (n, d, h, w) of a feature map, becomes rows; outputs
      (n, d) stay. "mean" and "max" over positions; "cls", the first position; "last", the last one; "flatten", all in one row;
      "space", a row per position, (n t, d), examples one after the other. Positions that a model's ``attention_mask``
      leaves out are left out ("flatten" keeps them). Anything else: a function (output, mask or None) -> (n, d).
    - ``batch_size``: examples at a time, where the data does not come in batches.
    - ``out``: a folder for what does not fit in memory: a safetensors file per layer, whole or not at all. The result is
      then memory-mapped; `open_activations` opens it again.
    - ``forward``: how the model is called, ``forward(model, batch)``, in place of the above.
    - ``progress``: draw a bar on standard error, where that is a terminal.

    Raises InputError on an unknown layer (with the nearest), pool or batch_size, a layer that did not run or gave no tensor,
    data without a row, and where the result would need more memory than is free.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> found = activations(model, torch.zeros(5, 2), ["1", "2"])
    >>> {name: tuple(rows.shape) for name, rows in found.items()}
    {'1': (5, 3), '2': (5, 1)}
    """
    check_pool(pool)
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    names = layer_names(model, layers)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    pieces, total = batches(data, batch_size)
    # Before any compute, so that a folder that cannot be written is known.
    folder = None if out is None else _made_folder(Path(out))
    run = forward or call
    writers: dict[str, File | Memory] = {}
    done = 0
    try:
        with evaluating(model), Recorder(model, names) as recorder, _bar(progress, total) as advance:
            for batch in pieces:
                batch = on_device(batch, device)
                n = rows_of(batch)
                recorder.clear()
                run(model, batch)
                rows = {name: _rows(recorder, name, pool) for name in names}
                if folder is None and not done:
                    _check_memory(rows, n, total)
                for i, (name, values) in enumerate(rows.items()):
                    if name not in writers:
                        path = None if folder is None else folder / f"{i:03d}-{_slug(name)}.safetensors"
                        writers[name] = Memory() if path is None else File(path, name)
                    elif writers[name].columns != values.shape[1]:
                        raise InputError(
                            f"the layer {name!r} gives {values.shape[1]} columns in one batch and {writers[name].columns} in "
                            "another; pad the data to one length, or take another pool"
                        )
                    writers[name].add(values)
                done += n
                advance(n)
        if not done:
            raise InputError("data has no row to run the model on")
        if folder is not None:
            # Without its index the folder counts as unfinished while files are replaced.
            (folder / INDEX).unlink(missing_ok=True)
        result = {name: writer.finish() for name, writer in writers.items()}
    except BaseException:
        for writer in writers.values():
            writer.discard()
        raise
    if folder is not None:
        files = {name: writer.path.name for name, writer in writers.items() if isinstance(writer, File)}
        about = {"model": type(model).__name__, "pool": pool if isinstance(pool, str) else "a function", "files": files}
        write_atomically(folder / INDEX, json.dumps(about, indent=1))
    return result


def open_activations(folder: str | Path) -> dict[str, Tensor]:
    """Return the activations that `activations` left in a folder, by layer, memory-mapped.

    Raises InputError where there are none, or the run that wrote them did not finish.

    >>> import tempfile
    >>> place = tempfile.mkdtemp()
    >>> _ = activations(nn.Linear(2, 3), torch.zeros(4, 2), "", out=place)
    >>> open_activations(place)[""].shape
    torch.Size([4, 3])
    """
    index = Path(folder) / INDEX
    if not index.is_file():
        raise InputError(f"{folder} holds no finished activations: there is no {INDEX} in it")
    files = json.loads(index.read_text())["files"]
    return {name: mapped(Path(folder) / file)[name] for name, file in files.items()}


def layer_names(model: nn.Module, layers: str | Sequence[str] | None = None) -> list[str]:
    """Return the names of the layers that names and patterns stand for, pattern after pattern.

    **Arguments:** ``layers``: as for `activations`. None: the blocks of the model, that is its parts, where lists of layers
    (``Sequential``, ``ModuleList``), and parts of which such a list is nearly all, are taken apart, but not modules that
    are repeated in a list.

    Raises InputError where a name or pattern stands for no layer, with the nearest names.

    >>> model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1))
    >>> layer_names(model), layer_names(model, "0.*"), layer_names(model, "1:input")
    (['0.0', '0.1', '1'], ['0.0', '0.1'], ['1:input'])
    """
    if layers is None:
        return list(_blocks(model)) or [""]
    known = [name for name, _ in model.named_modules()]
    found: list[str] = []
    for pattern in [layers] if isinstance(layers, str) else layers:
        layer, colon, what = pattern.partition(":")
        if colon and what != "input":
            raise InputError(f"the layer {pattern!r} ends in :{what}; expected a name, or a name and :input")
        # The whole model has the empty name, which only an empty pattern means.
        matches = [name for name in known if re.fullmatch(_expression(layer), name) and bool(name) == bool(layer)]
        if not matches:
            raise unknown_name(f"layer of {type(model).__name__}", layer, [name for name in known if name])
        found += [name + colon + what for name in matches]
    if not found:
        raise InputError("layers is empty; name at least one layer, or leave it out for the model's blocks")
    return list(dict.fromkeys(found))


def _expression(pattern: str) -> str:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return "".join({"**": ".*", "*": r"[^.]+", "?": r"[^.]"}.get(part, re.escape(part)) for part in parts)


def _blocks(model: nn.Module, prefix: str = "") -> Iterator[str]:
    kinds = [type(child) for child in model.children()]
    for name, child in model.named_children():
        # What comes several times in a list is a block, whatever it is made of.
        repeated = isinstance(model, LISTS) and kinds.count(type(child)) > 1
        if isinstance(child, LISTS) or (not repeated and _is_mostly_layers(child)):
            yield from _blocks(child, f"{prefix}{name}.")
        else:
            yield prefix + name


def _is_mostly_layers(module: nn.Module) -> bool:
    """Return whether a module is a wrapper around a list of layers, as an encoder is, and not a layer that holds a small one."""
    size = sum(p.numel() for p in module.parameters())
    lists = [child for child in module.modules() if isinstance(child, LISTS)]
    return size > 0 and any(sum(p.numel() for p in each.parameters()) >= 0.75 * size for each in lists)


def _rows(recorder: Recorder, name: str, pool: Pool) -> Tensor:
    if name not in recorder.seen:
        raise InputError(f"the layer {name!r} did not run; leave it out")
    output = first_tensor(recorder.seen[name])
    if output is None or not (output.is_floating_point() or name.endswith(":input")):
        what = type(recorder.seen[name]).__name__ if output is None else str(output.dtype)
        raise InputError(f"the layer {name!r} gives {what}, not a tensor of real numbers; leave it out")
    rows = pooled(output.detach(), recorder.mask, pool, name)
    return rows.to(device="cpu", dtype=torch.float64 if rows.dtype == torch.float64 else torch.float32)


def _check_memory(rows: Mapping[str, Tensor], n: int, total: int | None) -> None:
    import psutil

    size = sum(r.numel() * r.element_size() for r in rows.values()) / max(1, n) * (total or n)
    free = psutil.virtual_memory().available
    if size > 0.8 * free:
        raise InputError(
            f"these activations need {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory are free: give out=, a folder "
            "to keep them in, or fewer layers or a smaller pool"
        )


def _made_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"out is {folder}, which is not a folder") from error
    return folder


def _slug(name: str) -> str:
    return quote(name.replace(":", "-"), safe="")[:100] or "model"


class _bar:
    """A progress bar on standard error, where that is wanted and a terminal; opened, it gives the function that advances it."""

    def __init__(self, wanted: bool, total: int | None):
        self._wanted, self._total = wanted, total

    def __enter__(self) -> Callable[[int], None]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        shown = self._wanted and console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=not shown)
        row = self._progress.add_task("activations", total=self._total)
        self._progress.start()
        return lambda n: self._progress.advance(row, n)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
