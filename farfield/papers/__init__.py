"""The catalogue: a card for each paper, and one module per paper with its study and claims, nothing reusable."""

from farfield.papers.catalogue import Card as Card
from farfield.papers.catalogue import card as card
from farfield.papers.catalogue import cards as cards
from farfield.papers.catalogue import select as select
from farfield.papers.catalogue import study as study
from farfield.papers.search import search as search
