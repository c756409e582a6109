"""The catalogue in the terminal: a list of papers, and one paper's card."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from farfield.errors import InputError
from farfield.papers.catalogue import Card

if TYPE_CHECKING:
    from rich.panel import Panel
    from rich.table import Table

SLUG_ROOM = 16
COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow"}


def papers_table(found: Sequence[Card], *, width: int = 100) -> Table:
    """Return a table with a row for each paper: slug, title, kind, what it offers, state.

    **Arguments:** ``found``: at least one; ``width``: columns of the terminal, at least 60; below 100 the title stands above what is offered, and
    below 120 a long slug takes two lines.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    narrow = width < 100
    # Rows take several lines: an empty one between them.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 1, 0), collapse_padding=True, header_style="bold")
    slugs = [card.slug if width >= 120 else _in_lines(card.slug, SLUG_ROOM) for card in found]
    table.add_column("slug", no_wrap=True, min_width=max(len(line) for slug in slugs for line in slug.splitlines()))
    if not narrow:
        table.add_column("title", max_width=28, overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("title and offers" if narrow else "offers", overflow="fold")
    table.add_column("state", no_wrap=True)
    for card, slug in zip(found, slugs):
        title = Text(card.title, style="bold" if narrow else "")
        offers = [Text.assemble(title, "\n", card.offers)] if narrow else [Text(card.offers)]
        state = Text(card.state, style="green" if card.state == "done" else "dim")
        table.add_row(Text(slug, style="bold"), *([] if narrow else [title]), card.kind, *offers, state)
    return table


def _in_lines(slug: str, room: int) -> str:
    """Break a slug after hyphens, where it is longer than its room.

    >>> _in_lines("random-field-augmentations", 16).splitlines()
    ['random-field-', 'augmentations']
    """
    lines = [""]
    for piece in slug.replace("-", "-\n").splitlines():
        if lines[-1] and len(lines[-1] + piece) > room:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def card_panel(card: Card, parts: Mapping[str, str], measured: Mapping[str, Any] | None) -> Panel:
    """Return a paper's card in full.

    **Arguments:** ``parts``: what `summaries` gives; ``measured``: what `farfield.papers.catalogue.results` gives.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("authors", Text(", ".join(card.authors)))
    facts.add_row("published", Text(card.where))
    facts.add_row("links", Text("\n".join(card.links) or "none"))
    facts.add_row("family", Text(f"{card.family} ({card.kind})"))
    facts.add_row("offers", Text(card.offers))
    facts.add_row("parts", Text("\n".join(f"{name}\n  {line}" for name, line in parts.items()) or "none yet"))
    facts.add_row("yours to set", Text("\n".join(card.slots)))
    facts.add_row("small study on", Text(", ".join(card.data)))
    facts.add_row("state", Text(card.state))
    facts.add_row("run", Text(f"farfield run {card.slug}" if card.has_study else "not yet: it has no study"))
    blocks: list[Any] = [Text(card.title, style="bold"), Text(), facts]
    if measured is not None:
        blocks += [Text(), _claims(measured)]
    return Panel(Group(*blocks), title=Text(card.slug), title_align="left", expand=False)


def _claims(measured: Mapping[str, Any]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"measured at preset {measured.get('preset', 'unknown')}, version {measured.get('version', 'unknown')}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", header_style="bold")
    table.add_column("claim")
    table.add_column("reported")
    table.add_column("verdict", no_wrap=True)
    for claim in measured["claims"]:
        verdict = claim["verdict"]
        table.add_row(
            Text(claim["text"]), Text(str(claim.get("reported") or "")), Text(verdict, style=COLOURS.get(verdict, ""))
        )
    return table


def summaries(card: Card) -> dict[str, str]:
    """Return the first line of the docstring of each part of a paper; this imports them.

    Raises InputError where the library has no such part.

    >>> from farfield.papers.catalogue import card
    >>> list(summaries(card("tram")))[0]
    'farfield.optim.SAM'
    """
    return {name: (inspect.getdoc(load_part(name)) or "").partition("\n")[0] for name in card.parts}


def load_part(name: str) -> Any:
    """Import a part by its path, such as ``farfield.optim.SAM``.

    Raises InputError where there is no such part.

    >>> load_part("farfield.optim.SAM").__name__
    'SAM'
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"the catalogue names the part {name}, which is not there: {error}") from error
