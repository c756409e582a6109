import pytest
import torch

from farfield.errors import InputError
from farfield.trials.cues import WORDS, cue_states, word_cues


def test_words_are_counted_whatever_their_case_and_plural():
    found = word_cues(["Dogs, DOG! dogged", "cat"], [["dog"], ["cat", "dog"]])
    assert found.tolist() == [[2, 2, 1, 1], [0, 1, 0, 1]]


def test_cues_tell_what_they_are_named_after():
    kind, cruel = (
        cue_states([t], c) for t, c in (("I love you", "words:sentiment"), ("Kill them", "words:aggression"))
    )
    assert torch.equal(kind, torch.tensor([[1.0, 0, 1, 0]])) and torch.equal(cruel, torch.tensor([[1.0, 0, 1, 0]]))
    # A word in both lists of a cue would say nothing.
    assert all(not set(first) & set(second) for first, second in WORDS.values())


def test_unknown_cues_are_named():
    for cue in ("words:irony", "sentiment"):
        with pytest.raises(InputError, match="unknown cue"):
            cue_states(["a"], cue)
    with pytest.raises(InputError, match="no word list"):
        word_cues(["a"], [])
