"""The user's own Python, named ``module:attribute``."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from farfield.errors import InputError


def load_object(name: str, *, kind: str) -> Any:
    """Import ``module:attribute``; a module in the current folder is found too.

    **Arguments:** ``kind`` says in an error what was asked for: "task", "model" or "method".

    Raises InputError where there is no such module, it fails to import, or it has no such attribute.

    >>> load_object("math:sqrt", kind="method")(9.0)
    3.0
    """
    module_name, _, attribute = name.partition(":")
    try:
        with _current_folder_importable():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.partition(".")[0] and error.name != module_name:
            raise InputError(f"the {kind} {name!r}: importing {module_name} failed: {error}") from error
        raise InputError(f"the {kind} {name!r}: there is no module {module_name} here or installed") from error
    except Exception as error:
        raise InputError(f"the {kind} {name!r}: importing {module_name} failed: {error!r}") from error
    if not hasattr(module, attribute):
        raise InputError(f"the {kind} {name!r}: the module {module_name} has no {attribute!r}")
    return getattr(module, attribute)


def source_hash(name: str) -> str:
    """Return the SHA-256 of the source file behind ``module:attribute``, so that a changed module is a new trial.

    >>> len(source_hash("json:loads"))
    64
    """
    load_object(name, kind="module")
    path = getattr(sys.modules[name.partition(":")[0]], "__file__", None)
    return hashlib.sha256(Path(path).read_bytes() if path else name.encode()).hexdigest()


class _current_folder_importable:
    """Put the current folder on the import path for one import, and take it off again."""

    def __enter__(self):
        sys.path.insert(0, str(Path.cwd()))

    def __exit__(self, *error):
        sys.path.remove(str(Path.cwd()))
