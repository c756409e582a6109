"""What several trials share is computed once per key and kept as safetensors; other workers wait for it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from farfield.errors import InputError
from farfield.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

VARIABLE = "FARFIELD_STAGES"


def stage(function: Callable[..., dict[str, Tensor]]) -> Callable[..., dict[str, Tensor]]:
    """Turn a function of plain arguments that returns tensors by name into a stage: computed once, then read from disk.

    The key is made of the function's module and name, the source of that module and the arguments, so that changed code or
    arguments compute anew. The first caller computes while others, in this process or another, wait; the file appears whole
    or not at all, so a stage that was interrupted is simply computed again. Files lie in ``$FARFIELD_STAGES``, else in the
    user's cache.

    Arguments are given by name and must be plain JSON data. Raises InputError where they are not.

    >>> import tempfile, torch
    >>> os.environ[VARIABLE] = tempfile.mkdtemp()
    >>> @stage
    ... def squares(n: int):
    ...     return {"x": torch.arange(n) ** 2}
    >>> squares(n=3)["x"].tolist(), len(list(folder().glob("squares-*.safetensors")))
    ([0, 1, 4], 1)
    """

    @functools.wraps(function)
    def cached(**arguments) -> dict[str, Tensor]:
        from filelock import FileLock
        from safetensors.torch import load_file, save

        path = folder() / f"{function.__name__}-{_key(function, arguments)}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # The lock is the operating system's: it goes with the process that held it, however that ended.
            with FileLock(path.with_suffix(".lock")):
                if not path.exists():
                    tensors = function(**arguments)
                    write_atomically(path, save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))
        return load_file(path)

    return cached


def folder() -> Path:
    """Return the folder of stages: ``$FARFIELD_STAGES``, else ``stages`` in the user's cache of farfield."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    import pooch

    return Path(pooch.os_cache("farfield")) / "stages"


def _key(function: Callable, arguments: dict) -> str:
    try:
        given = json.dumps(arguments, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the arguments of the stage {function.__name__} must be plain data: {error}") from error
    module = sys.modules.get(function.__module__)
    try:
        source = inspect.getsource(module if getattr(module, "__file__", None) else function)
    except (OSError, TypeError):  # typed at a prompt: there is no source to change
        source = ""
    identity = "\n".join([function.__module__, function.__qualname__, source, given])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]
