"""Where data sets lie: $FARFIELD_DATA, then the user's cache, then a checked download from their public home."""

import functools
import gzip
import lzma
import os
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farfield.errors import InputError, unknown_name


@dataclass(frozen=True)
class Card:
    """What is known of a data set: its public home, its files with their checksums, its licence, what to cite.

    **Fields:**
    - ``name``: also the name of its folder.
    - ``home``: URL that file names are appended to; empty where the data set cannot be downloaded.
    - ``files``: checksum by file name, ``"md5:..."`` or a plain SHA-256. A file may also lie there compressed by
      xz or gzip, with ``.xz`` or ``.gz`` appended to its name; the checksum is of the content.
    - ``notice``: a sentence on the licence that every user of the data must see; empty where there is none.

    >>> card("mnist-10k").licence
    'CC BY-SA 3.0'
    """

    name: str
    title: str
    files: Mapping[str, str]
    licence: str
    citation: str
    home: str = ""
    notice: str = ""


@functools.lru_cache(maxsize=1)
def cards() -> dict[str, Card]:
    """Return every data card by name.

    >>> "amazon-reviews" in cards()
    True
    """
    text = Path(__file__).with_name("data.toml").read_text(encoding="utf-8")
    return {name: Card(name, **fields) for name, fields in tomllib.loads(text).items()}


def card(dataset: str) -> Card:
    """Return the card of a data set.

    Raises InputError on an unknown name, with the nearest known ones.

    >>> card("mnist10k")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown data set 'mnist10k'; nearest: mnist-10k, mnist-60k
    """
    if dataset not in cards():
        raise unknown_name("data set", dataset, cards())
    return cards()[dataset]


def path(dataset: str) -> Path:
    """Return the folder in which the data set's files lie, downloading them where they are nowhere yet.

    Raises InputError where the data set is unknown or cannot be had: it names the places that were looked at.

    >>> path("no-such-data")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown data set 'no-such-data'; known: ...
    """
    return provide(card(dataset))


def find(card: Card) -> Path | None:
    """Return the folder that holds every file of the data set on this machine, or None; nothing is downloaded.

    >>> find(Card("absent", "none", {"no.gz": ""}, licence="", citation="")) is None
    True
    """
    for folder in _folders(card):
        if all(any((folder / f"{f}{suffix}").is_file() for suffix in ("", ".xz", ".gz")) for f in card.files):
            return folder
    return None


def provide(card: Card) -> Path:
    """Return the folder of the data set that this card describes, as `path` does.

    A download goes to a temporary file and takes its place only after its checksum is right, so that a broken one
    leaves nothing behind.

    >>> provide(Card("absent", "no data", {"no.gz": ""}, licence="", citation=""))
    Traceback (most recent call last):
    farfield.errors.InputError: the data set absent (no data) is neither in ...
    """
    found = find(card)
    if found:
        return found
    if not card.home:
        raise _absent(card, "it has no public home to download it from")
    import pooch
    import requests

    cache = _cache() / card.name
    for file, checksum in card.files.items():
        try:
            pooch.retrieve(card.home + file, known_hash=checksum, fname=file, path=cache)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _absent(card, f"there is no connection to its home {card.home}") from error
        # ValueError is pooch's for a wrong checksum; what HTTP answers (404, ...) is an OSError too.
        except (ValueError, OSError) as error:
            raise _absent(card, f"downloading {card.home}{file} failed: {error}") from error
    return cache


def read(folder: Path, file: str) -> bytes:
    """Return the content of a file that lies in this folder as it is, or compressed with ``.xz`` or ``.gz`` appended.

    Raises InputError where the compressed file is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as d:
    ...     _ = Path(d, "a.txt.xz").write_bytes(lzma.compress(b"hello"))
    ...     read(Path(d), "a.txt")
    b'hello'
    """
    plain = folder / file
    if plain.is_file():
        return plain.read_bytes()
    gz = folder / f"{file}.gz"
    compressed, kind, decompress = (
        (gz, "gzip", gzip.decompress) if gz.is_file() else (folder / f"{file}.xz", "xz", lzma.decompress)
    )
    try:
        return decompress(compressed.read_bytes())
    # What gzip raises on damaged files is of three kinds.
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{compressed} is not a whole {kind} file ({error}); remove it, or provide it again"
        ) from error


def notices(*datasets: str) -> tuple[str, ...]:
    """Return the sentences on licences that a user of these data sets must see, for `Task.notes`.

    >>> notices("mnist-10k", "omniglot-small")
    ('MNIST is licensed CC BY-SA 3.0: ...',)
    """
    return tuple(dict.fromkeys(card(d).notice for d in datasets if card(d).notice))


def _folders(card: Card) -> list[Path]:
    given = os.environ.get("FARFIELD_DATA")
    return [*([Path(given).expanduser() / card.name] if given else []), _cache() / card.name]


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("farfield"))


def _absent(card: Card, reason: str) -> InputError:
    given = os.environ.get("FARFIELD_DATA")
    first = f"$FARFIELD_DATA ({Path(given).expanduser() / card.name})" if given else "$FARFIELD_DATA (which is not set)"
    return InputError(
        f"the data set {card.name} ({card.title}) is neither in {first} nor in the cache ({_cache() / card.name}), and "
        f"{reason}; put {', '.join(card.files)} into one of these folders"
    )
