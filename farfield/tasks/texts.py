"""Plain text to learn a language from: Tiny Shakespeare, a text file, or a data set of the Hugging Face hub."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from farfield.errors import InputError, unknown_name
from farfield.names import parse
from farfield.tasks import fetch

TEXTS = ("tiny-shakespeare",)


@dataclass(frozen=True)
class Texts:
    """Documents to train on, and those to validate on; ``validation`` None where the source has no such split.

    >>> Texts(["to be"]).validation is None
    True
    """

    train: Iterable[str]
    validation: Iterable[str] | None = None


def load_texts(name: str) -> Texts:
    """Return the documents of this name.

    **Arguments:** ``name``: ``"tiny-shakespeare"`` (one document of 1.1 million characters), the path of a UTF-8 text file that
    ends in ``.txt`` (one document), or ``"hf:..."``: the splits ``train`` and ``validation`` (where there is one) of a data set
    of the Hugging Face hub or a folder, read from the column ``text`` or the one that ``?text=`` names. Those are streamed
    from disk, not held in memory.

    Raises InputError on an unknown name, a file that is absent or no UTF-8, or a data set without such a column; MissingExtra
    without the package datasets.

    >>> load_texts("shakespere")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown text 'shakespere'; known: tiny-shakespeare, ...
    """
    if name == "tiny-shakespeare":
        return Texts([fetch.read(fetch.path(name), "input.txt").decode("utf-8")])
    if name.endswith(".txt"):
        return Texts([_read(Path(name).expanduser())])
    parsed = parse(name)
    if parsed.kind == "hf":
        from farfield.tasks.huggingface import read_dataset

        parsed.check_options(["text", "config", "split"])
        column = parsed.options.get("text", "text")
        asked = {k: v for k, v in parsed.options.items() if k != "text"}
        train = _column(read_dataset(type(parsed)(parsed.kind, parsed.path, asked)), column, name)
        try:
            held_out = read_dataset(type(parsed)(parsed.kind, parsed.path, {**asked, "split": "validation"}))
        except InputError as error:
            if not str(error).startswith("unknown split"):
                raise
            return Texts(train)
        return Texts(train, _column(held_out, column, name))
    raise unknown_name("text", name, [*TEXTS, "a file that ends in .txt", "hf:..."])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the text {path} cannot be read: {error}") from error


def _column(dataset, column: str, name: str) -> Iterable[str]:
    if column not in dataset.column_names:
        raise unknown_name(f"column of {name}", column, dataset.column_names)
    return _Column(dataset, column)


@dataclass(frozen=True)
class _Column:
    """The texts of a column, read a thousand rows at a time; can be gone over again."""

    dataset: object
    column: str

    def __iter__(self):
        for rows in self.dataset.select_columns(self.column).iter(batch_size=1000):
            yield from rows[self.column]
