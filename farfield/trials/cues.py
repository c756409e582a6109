"""Cues of a text that should mean the same everywhere: its sentiment and its aggression."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError, unknown_name

# General words, chosen without looking at any of the data sets: a stand-in for cue models where none can be downloaded.
POSITIVE = """good great love like happy nice kind beautiful best wonderful respect welcome admire enjoy friend proud hope thank
support peace equal deserve help safe trust amazing brilliant joy excellent care"""
NEGATIVE = """bad hate awful terrible worst disgusting horrible sick ugly sad wrong stupid evil dirty vile nasty pathetic useless
worthless fear angry dislike despise detest loathe gross shame inferior dumb annoying"""
VIOLENT = """kill murder attack hit beat punch shoot burn destroy hurt die dead death threat fight crush smash kick hang bomb rape
exterminate eliminate wipe rid remove deport harm slap strangle"""
INSULTING = """idiot stupid dumb scum trash garbage filth vermin pig dog rat cockroach animal moron fool loser freak bitch bastard
damn fuck fucking shit crap ass parasite plague disease disgrace"""
LISTS = {"sentiment": (POSITIVE, NEGATIVE), "aggression": (VIOLENT, INSULTING)}
WORDS = {cue: [words.split() for words in lists] for cue, lists in LISTS.items()}


def word_cues(texts: Sequence[str], lists: Sequence[Sequence[str]]) -> Float[Tensor, "n k"]:
    """Return, for each text and each of k word lists, how many of its words are in the list, and whether one is: (n, 2k).

    A word of a list also stands for its plural in -s. Raises InputError where there is no list.

    >>> word_cues(["I hate hates."], [["love"], ["hate"]]).tolist()
    [[0.0, 2.0, 0.0, 1.0]]
    """
    if not lists:
        raise InputError("there is no word list")
    known = [{*words, *(f"{w}s" for w in words)} for words in lists]
    split = [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]
    counts = torch.tensor([[sum(w in words for w in text) for words in known] for text in split], dtype=torch.float32)
    return torch.cat([counts, (counts > 0).float()], 1)


def cue_states(texts: Sequence[str], cue: str, *, length: int = 128) -> Tensor:
    """Return the states (n, d) of one cue: ``words:sentiment``, ``words:aggression``, or the first-token states of ``hf:...``.

    Raises InputError on another cue, or where a model cannot be loaded.

    >>> cue_states(["You are vile vermin."], "words:aggression").tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    if cue.startswith("hf:"):
        from farfield.trials.text_features import first_token_states

        return first_token_states(texts, cue, length=length)
    kind, _, name = cue.partition(":")
    if kind != "words" or name not in WORDS:
        raise unknown_name("cue", cue, [*(f"words:{w}" for w in WORDS), "hf:..."])
    return word_cues(texts, WORDS[name])
