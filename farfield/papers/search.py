"""Finds papers by what a user wants: BM25 over the cards, or a sentence encoder where one is asked for."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from farfield.errors import InputError, MissingExtra
from farfield.papers.catalogue import Card, cards

# How often a word of a field counts. Keywords are what a user would type, a slot or an author is a side remark.
WEIGHTS = {
    "keywords": 3,
    "slug": 3,
    "title": 2,
    "offers": 2,
    "family": 1,
    "kind": 1,
    "slots": 1,
    "data": 1,
    "authors": 1,
}
# Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009: saturation and length.
K1, B = 1.2, 0.6

_STOP = """
a about after an and any are as at be before but by can could did do does for from get give good had has have her his how i
if in into is it its just like make me more most my need no not of off on one only or other our out over same should so
some such than that the their them then there these they this to too under up us use used using want was we were what when
where whether which while who whom why will with without would you your
"""
STOP_WORDS = frozenset(_STOP.split())

# Endings and the least number of letters that must be left; both spellings of -ise and -ize fall together.
_LEAVE_FOUR = """
ization isation izing ising ized ised izer iser ize ise ation ition ative ional ibility ability ness ment able ible ion ive
ity ed or ly
"""
_LEAVE_THREE = "ing er y e"
_ENDINGS = [(e, 4) for e in _LEAVE_FOUR.split()] + [(e, 3) for e in _LEAVE_THREE.split()]
_ENDINGS.sort(key=lambda ending: -len(ending[0]))


class Found(NamedTuple):
    """A paper and how well it fits: BM25 (above 0, no upper bound), or with an encoder the cosine in [-1, 1]."""

    card: Card
    score: float


def search(
    query: str, among: Iterable[Card] | None = None, *, encoder: str | None = None, most: int | None = None
) -> list[Found]:
    """Return the papers that fit a query, best first.

    Without an encoder, those that share a word with it, up to its ending: BM25 over slug, title, what is offered,
    keywords, slots, data and authors. With one, all, by the cosine of the sentence vectors of query and card.

    **Arguments:**
    - ``query``: words or a question, at least one that is not a stop word.
    - ``among``: cards to choose from; by default all.
    - ``encoder``: folder or hub id of a sentence-transformers model.
    - ``most``: how many to return, at least 1; None returns all that fit.

    Raises InputError on a query without a word to search for or a model that cannot be loaded, MissingExtra where
    sentence-transformers is absent.

    >>> [found.card.slug for found in search("noisy labels and rare classes", most=1)]
    ['rcal']
    """
    if most is not None and most < 1:
        raise InputError(f"most is {most}; it must be at least 1")
    wanted = terms(query)
    if not wanted:
        raise InputError(
            f"the query {query!r} has no word to search for; write what you want, such as 'smaller embeddings'"
        )
    among = list(cards().values() if among is None else among)
    scores = _bm25(wanted, among) if encoder is None else _cosines(query, among, encoder)
    found = [Found(card, score) for card, score in zip(among, scores) if encoder is not None or score > 0]
    # The sort is stable: equal scores stay in the catalogue's order.
    return sorted(found, key=lambda f: -f.score)[:most]


def terms(text: str) -> list[str]:
    """Return the words of a text without stop words, accents and endings; what a hyphen joins also counts as one word.

    >>> terms("Re-embedding the generalised embeddings")
    ['re', 'embed', 'reembed', 'general', 'embed']
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    found = []
    for whole in re.findall(r"[a-z0-9]+(?:[-_/.][a-z0-9]+)*", plain.replace("'s", "")):
        pieces = re.split(r"[-_/.]", whole)
        found += [stem(p) for p in pieces if p not in STOP_WORDS and len(p) > 1]
        if len(pieces) > 1:
            found.append(stem("".join(pieces)))
    return found


def stem(word: str) -> str:
    """Return an English word, in small letters, without its ending; related words mostly get the same stem.

    >>> [stem(w) for w in ("labelled", "labels", "generalisation", "generalize", "noisy", "noise", "colours", "color")]
    ['label', 'label', 'general', 'general', 'nois', 'nois', 'color', 'color']
    """
    if len(word) < 4 or not word.isalpha():
        return word
    word = word.replace("our", "or")
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is", "ias")):
        word = word[:-1]
    for ending, least in _ENDINGS:
        if word.endswith("embed"):  # an "ed" that is none, and the word most asked for
            break
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: -len(ending)]
            break
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    # labell-ed, embedd-ing.
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _document(card: Card) -> Counter[str]:
    counts: Counter[str] = Counter()
    for field, weight in WEIGHTS.items():
        value = getattr(card, field)
        for term in terms(value if isinstance(value, str) else ". ".join(value)):
            counts[term] += weight
    return counts


def _bm25(wanted: Sequence[str], among: Sequence[Card]) -> list[float]:
    # How rare a word is, is a matter of the whole catalogue: a filter must not change the order of what it leaves.
    documents = {slug: _document(card) for slug, card in cards().items()}
    mean_length = sum(map(Counter.total, documents.values())) / len(documents)
    rarity = {}
    for term in set(wanted):
        n = sum(term in document for document in documents.values())
        rarity[term] = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
    scores = []
    for card in among:
        document = documents[card.slug]
        length = 1 - B + B * document.total() / mean_length
        scores.append(sum(rarity[t] * document[t] * (K1 + 1) / (document[t] + K1 * length) for t in rarity))
    return scores


def _cosines(query: str, among: Sequence[Card], name: str) -> list[float]:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MissingExtra("sentence-transformers", extra="hf", needed_by=f"the encoder {name}") from None
    from farfield.nn.hub import loading

    with loading(name, "sentence encoder") as options:
        model = SentenceTransformer(name, device="cpu", **options)
    texts = [f"{card.title}. {card.offers} {', '.join(card.keywords)}." for card in among]
    vectors = model.encode([query, *texts], normalize_embeddings=True, show_progress_bar=False)
    return [float(cosine) for cosine in vectors[1:] @ vectors[0]]
