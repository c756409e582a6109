from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.losses import BagOfWordsReconstruction, EmbeddingReconstruction, TokenReconstruction, token_loss
from farfield.nn import TokenDecoder

ORACLE = Path(__file__).parents[1] / "data" / "catch.npz"


def test_the_token_loss_equals_the_released_code():
    with np.load(ORACLE) as data:
        found = token_loss(*(torch.from_numpy(data[k]) for k in ("lm_logits", "lm_labels", "lm_masks")))
        assert float(found) == pytest.approx(float(data["lm_loss"]), rel=1e-5)


def test_padding_counts_below_the_line_and_a_row_of_it_adds_nothing():
    logits, tokens = torch.randn(2, 3, 5), torch.tensor([[1, 2, 0], [0, 0, 0]])
    mask = tokens != 0
    expected = -logits[0].log_softmax(1)[[0, 1], [1, 2]].sum() / 6
    torch.testing.assert_close(token_loss(logits, tokens, mask), expected)


def test_the_decoder_is_given_the_tokens_before():
    seen = []

    def decoder(before, code):
        seen.append(before)
        return torch.zeros(*before.shape, 9)

    tokens = torch.tensor([[5, 7, 8], [4, 6, 0]])
    loss = TokenReconstruction(decoder, start=1, padding=0)(torch.zeros(2, 3), tokens)
    assert seen[0].tolist() == [[1, 5, 7], [1, 4, 6]]
    assert float(loss.detach()) == pytest.approx(5 / 6 * np.log(9), rel=1e-5)


def test_a_text_that_only_the_code_tells_is_learned_through_it():
    # The single token equals the sign of the code, which the decoder cannot know otherwise.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        code = torch.randn(64, 1)
        tokens = (code > 0).long() + 2
        loss = TokenReconstruction(TokenDecoder(1, 4, width=8), start=1, padding=0)
        optimizer = torch.optim.Adam(loss.decoder.parameters(), lr=0.05)
        for _ in range(60):
            optimizer.zero_grad()
            value = loss(code, tokens)
            value.backward()
            optimizer.step()
    assert float(value.detach()) < 0.2 < float(loss(torch.zeros(64, 1), tokens).detach())


def test_a_bag_of_words_is_a_multinomial_per_word():
    loss = BagOfWordsReconstruction(3, 4)
    code, counts = torch.randn(3, 3), torch.tensor([[1.0, 0, 2, 1], [0, 5, 0, 0], [0, 0, 0, 0]])
    probabilities = loss.out(code).softmax(1)
    first = -(probabilities[0].log() * counts[0]).sum() / 4
    second = -probabilities[1, 1].log()
    torch.testing.assert_close(loss(code, counts), (first + second) / 3)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="code has shape"):
        EmbeddingReconstruction()(torch.zeros(2, 3), torch.zeros(2, 4))
    loss = BagOfWordsReconstruction(3, 4)
    for counts in (torch.zeros(2, 5), torch.full((2, 4), -1.0)):
        with pytest.raises(InputError, match="expected counts"):
            loss(torch.zeros(2, 3), counts)
