"""Loading from a local folder or the Hugging Face hub: quiet, without foreign code, with errors in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from farfield.errors import InputError, MissingExtra


@contextmanager
def loading(path: str, what: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments for a ``from_pretrained``, and turn its failure into one sentence.

    A folder that exists is read without asking the hub. No code that lies beside a model is ever run.

    **Arguments:** ``path``: a folder or a hub id; ``what`` is loaded: "tokenizer", "weights", ...

    Raises InputError where the folder is not there or loading fails.

    >>> with loading("/no/such/folder", "tokenizer"):
    ...     pass
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:/no/such/folder: there is no such folder
    """
    from transformers.utils import logging

    is_folder = Path(path).is_dir()
    if not is_folder and (Path(path).is_absolute() or path.startswith((".", "~")) or path.count("/") > 1):
        raise InputError(f"the model hf:{path}: there is no such folder")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield {"local_files_only": is_folder, "trust_remote_code": False}
    except (OSError, ValueError, ImportError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the {what} of hf:{path} cannot be loaded: {reason}") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(path: str, **settings: Any) -> Any:
    """Return the tokenizer of a Hugging Face model, by its folder or its id on the hub.

    Raises MissingExtra without the package transformers, InputError where it cannot be loaded.

    >>> load_tokenizer("./no-such-folder")
    Traceback (most recent call last):
    farfield.errors.InputError: the model hf:./no-such-folder: there is no such folder
    """
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra("transformers", extra="hf", needed_by=f"the model hf:{path}") from None

    with loading(path, "tokenizer") as where:
        return AutoTokenizer.from_pretrained(path, **settings, **where)
