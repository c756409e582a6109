"""How every page is made: one style, one way to write numbers, nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from farfield.errors import InputError
from farfield.web import wording

if TYPE_CHECKING:
    import jinja2


def environment(templates: Path) -> jinja2.Environment:
    """Return the template environment of a folder, with the filters for numbers and the style as the variable ``style``.

    >>> environment(Path(".")).from_string("{{ 0.5 | bare }}").render()
    '50.0'
    """
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for write in (wording.bare, wording.percent, wording.points, wording.between, wording.duration, wording.shorten):
        made.filters[write.__name__] = write
    made.filters["mean"] = wording.mean
    made.globals["count"] = wording.count
    made.globals["style"] = Markup((Path(__file__).parent / "style.css").read_text())
    return made


def check_complete(results: Mapping[str, Any], needed: Sequence[str], what: str) -> None:
    """Refuse results that lack a part. Raises InputError that names the first three.

    >>> check_complete({"seconds": 1.0}, ["seconds", "tasks"], "a comparison")
    Traceback (most recent call last):
    farfield.errors.InputError: these are no results of a comparison: tasks is missing
    """
    missing = [name for name in needed if name not in results]
    if missing:
        names = ", ".join(missing) if len(missing) < 4 else ", ".join([*missing[:3], "..."])
        raise InputError(f"these are no results of {what}: {names} {'is' if len(missing) == 1 else 'are'} missing")
