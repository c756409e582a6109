"""The cards of all papers, read from ``catalogue.toml``. Nothing heavy is imported: listing must be instant."""

import importlib
import importlib.util
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from farfield.errors import InputError, unknown_name

if TYPE_CHECKING:
    from farfield.study.study import Study

KINDS = ("method", "measure", "benchmark", "system", "survey")
STATES = ("planned", "done")


@dataclass(frozen=True)
class Card:
    """What is known of one paper, and what the library has of it.

    **Fields:**
    - ``slug``: its short name, as in ``farfield show tram``.
    - ``title``, ``authors`` (family names), ``year``, ``venue``: as published.
    - ``arxiv``: its number, ``code``: the authors' repository on GitHub; empty where there is none.
    - ``family``: papers that share parts; ``kind``: method, measure, benchmark, system or survey.
    - ``offers``: what a user gets, in one sentence.
    - ``keywords``: words of someone who does not know the paper.
    - ``parts``: import paths of what the library has of it.
    - ``slots``: what of the user's own can be put in.
    - ``data``: what the small study learns from.
    - ``state``: "planned", or "done": every part, the study and its measured claims are there.

    >>> cards()["tram"].where, cards()["tram"].kind
    ('ICLR 2024', 'method')
    """

    slug: str
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str
    arxiv: str
    code: str
    family: str
    kind: str
    offers: str
    keywords: tuple[str, ...]
    parts: tuple[str, ...]
    slots: tuple[str, ...]
    data: tuple[str, ...]
    state: str

    @property
    def where(self) -> str:
        """Venue and year."""
        return f"{self.venue} {self.year}"

    @property
    def links(self) -> tuple[str, ...]:
        """Addresses of the paper and of its authors' code, those that exist."""
        paper = (f"https://arxiv.org/abs/{self.arxiv}",) if self.arxiv else ()
        code = (f"https://github.com/{self.code}",) if self.code else ()
        return paper + code

    @property
    def has_study(self) -> bool:
        """Whether ``farfield run SLUG`` has something to run; the study is found, not imported."""
        return importlib.util.find_spec(f"farfield.papers.{self.slug.replace('-', '_')}") is not None

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain data."""
        return asdict(self)


@cache
def cards() -> Mapping[str, Card]:
    """Return the cards of all papers by slug, family by family.

    >>> len(cards())
    58
    """
    text = files("farfield.papers").joinpath("catalogue.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return MappingProxyType(
        {
            slug: Card(slug=slug, **{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
            for slug, table in tables.items()
        }
    )


def card(slug: str) -> Card:
    """Return one paper's card.

    Raises InputError on an unknown slug, with the nearest ones.

    >>> card("tramm")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown paper 'tramm'; nearest: tram, trsa
    """
    if slug not in cards():
        raise unknown_name("paper", slug, cards())
    return cards()[slug]


def families() -> tuple[str, ...]:
    """Return the families of papers, in the catalogue's order.

    >>> families()[:2]
    ('fine-tuning', 'robust learning')
    """
    return tuple(dict.fromkeys(c.family for c in cards().values()))


def select(*, family: str | None = None, kind: str | None = None, state: str | None = None) -> list[Card]:
    """Return the cards that are of this family, kind and state, in the catalogue's order; None takes all.

    Raises InputError on a family, kind or state that there is none of, with the nearest ones.

    >>> [c.slug for c in select(family="model replacement", kind="method")]
    ['stationary-representations', 'bt2', 'prockd']
    """
    wanted = {"family": (family, families()), "kind": (kind, KINDS), "state": (state, STATES)}
    for field, (value, known) in wanted.items():
        if value is not None and value not in known:
            raise unknown_name(f"{field} of papers", value, known)
    given = {field: value for field, (value, _) in wanted.items() if value is not None}
    return [c for c in cards().values() if all(getattr(c, field) == value for field, value in given.items())]


def results(slug: str, folder: Path = Path("results")) -> dict[str, Any] | None:
    """Return what the paper's study has measured, None where it was not run.

    **Arguments:** ``folder``: where ``farfield run`` wrote ``<slug>.json``.

    Raises InputError where the file is there and cannot be read.

    >>> results("tram", Path("/no/such/folder")) is None
    True
    """
    path = folder / f"{card(slug).slug}.json"
    if not path.exists():
        return None
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        claims = measured["claims"]
        verdicts = [claim["verdict"] for claim in claims] + [claim["text"] for claim in claims]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not what farfield run writes: {type(error).__name__}: {error}") from error
    if not all(isinstance(v, str) for v in verdicts):
        raise InputError(f"{path} is not what farfield run writes: a claim's text or verdict is no text")
    return measured


def study(slug: str) -> "Study":
    """Return the study of a paper.

    Raises InputError on an unknown slug, with the nearest known ones, and where the paper has no study yet.

    >>> study("tram").paper
    'tram'
    """
    found = card(slug)
    if not found.has_study:
        ready = [c.slug for c in cards().values() if c.has_study]
        raise InputError(f"the paper {slug} has no study yet; these have one: {', '.join(ready) or 'none'}")
    return importlib.import_module(f"farfield.papers.{slug.replace('-', '_')}").study
