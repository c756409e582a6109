"""The user's images: a folder laid out domain/class/file."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from farfield.errors import InputError
from farfield.names import Name, parse
from farfield.tasks.decode import SUFFIXES, Picture, count_channels, pixels
from farfield.tasks.split import duplicate_groups
from farfield.tasks.task import Image, Task
from farfield.tasks.userdata import (
    Encoded,
    Rows,
    build,
    files_hash,
    find_file,
    leave_one_out,
    without_test,
)

OPTIONS = ["test", "size"]
SIZE = 32


def expand(name: Name) -> list[Name]:
    """Return one task per held-out domain of the folder, or the one task that ``test=`` names.

    Raises InputError as `load` does.
    """
    return leave_one_out(name, _rows(name))


def load(name: Name, seed: int = 0) -> Task:
    """Load a folder of images, laid out domain/class/file, as a Task.

    Files are PNG, JPEG, BMP, GIF, WebP or TIFF; hidden ones are ignored.

    **Options of the name:**
    - ``test``: the held-out domains, a comma list; without it the task trains on all and has the "iid" test only.
    - ``size``: the side in pixels to which images are resized, 1 to 1024 (32 by default).

    Raises InputError where the folder is absent or laid out otherwise, an image cannot be read (its path), and where
    leaving a domain out cannot work (see `split.check_domains`).

    >>> load(parse("images:nowhere"))
    Traceback (most recent call last):
    farfield.errors.InputError: folder not found: nowhere
    """
    return build(name, _rows(name), seed=seed)


def image_size(name: Name) -> int:
    """Return the option ``size`` in pixels, 32 where it is not given.

    >>> image_size(parse("images:photos?size=big"))
    Traceback (most recent call last):
    farfield.errors.InputError: size=big of images:photos must be a whole number of pixels from 1 to 1024
    """
    text = name.options.get("size", str(SIZE))
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise InputError(f"size={text} of {name.kind}:{name.path} must be a whole number of pixels from 1 to 1024")
    return int(text)


def image_files(root: Path) -> list[Path]:
    """Return the image files in a folder and below it, sorted; hidden files and folders are left out."""
    return sorted(p for p in root.rglob("*") if _is_image(p) and not any(map(_hidden, p.relative_to(root).parts)))


def _rows(name: Name) -> Rows:
    name.check_options(OPTIONS)
    image_size(name)
    root = find_file(name.path, role="folder")
    if not root.is_dir():
        raise InputError(f"{name.path} is a file; a folder laid out domain/class/file is expected")
    stamps = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in image_files(root))
    return _rows_of_folder(str(without_test(name)), str(Path.cwd()), hash(stamps))


@lru_cache(maxsize=2)
def _rows_of_folder(name: str, folder: str, stamps: int) -> Rows:
    # Everything after the name only makes the cache forget a folder that changed.
    parsed = parse(name)
    root = Path(parsed.path).expanduser()
    files, notes = _laid_out(root, parsed.path)
    domains = tuple(sorted({d for d, _, _ in files}))
    classes = tuple(sorted({c for _, c, _ in files}))
    pictures: list[Picture] = [(str(p), p) for _, _, p in files]
    channels, size = count_channels(pictures), image_size(parsed)
    x = pixels(pictures, size=size, channels=channels)
    described = {"kind": "image", "channels": channels, "size": size}
    labels = [(p.relative_to(root).as_posix(), p) for _, _, p in files]
    return Rows(
        source=parsed.path,
        y=np.array([classes.index(c) for _, c, _ in files], dtype=np.int64),
        domain=np.array([domains.index(d) for d, _, _ in files], dtype=np.int64),
        classes=classes,
        domains=domains,
        groups=duplicate_groups(x),
        fingerprint=files_hash(labels, parsed.kind, repr(parsed.options)),
        encode=lambda train: Encoded(x, Image(channels, size, size), described),
        notes=notes,
    )


def _laid_out(root: Path, shown: str) -> tuple[list[tuple[str, str, Path]], tuple[str, ...]]:
    """Return (domain, class, file) of each image, and notes on what was ignored."""
    files, empty, others = [], [], 0
    for domain in _folders(root):
        for label in _folders(domain):
            deeper = _folders(label)
            if deeper:
                raise InputError(
                    f"{shown} must be laid out domain/class/file, but there is a folder within a class: {deeper[0]}"
                )
            visible = sorted(p for p in label.iterdir() if p.is_file() and not _hidden(p.name))
            images = [p for p in visible if _is_image(p)]
            files += [(domain.name, label.name, p) for p in images]
            others += len(visible) - len(images)
            if not images:
                empty.append(f"{domain.name}/{label.name}")
    if not files:
        raise InputError(f"{shown} must be laid out domain/class/file with image files; {_what_is_there(root)}")
    stray = [p for p in image_files(root) if len(p.relative_to(root).parts) < 3]
    if stray:
        raise InputError(
            f"{shown} must be laid out domain/class/file, but {len(stray)} images lie higher up, the first at {stray[0]}"
        )
    notes = []
    if empty:
        shown_empty = ", ".join(empty[:5]) + (" ..." if len(empty) > 5 else "")
        notes.append(f"{len(empty)} class folders without images were ignored: {shown_empty}.")
    if others:
        notes.append(f"{others} files that are not images were ignored.")
    return files, tuple(notes)


def _what_is_there(root: Path) -> str:
    folders = _folders(root)
    direct = sum(_is_image(p) for p in root.iterdir())
    one_level = [f for f in folders if any(_is_image(p) for p in f.iterdir())]
    if direct:
        return f"found {direct} images directly in it"
    if one_level:
        return f"found images directly in {', '.join(f.name for f in one_level[:5])}: one level of folders is missing"
    if folders:
        return f"found no image two folders down ({len(folders)} folders, first {folders[0].name})"
    return "found no folder in it"


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not _hidden(p.name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not _hidden(path.name)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
