import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.nn.text import hash_words


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(alphabet="abc de", max_size=20), min_size=1, max_size=5))
def test_a_text_has_the_same_vector_alone_and_among_others(texts):
    together = hash_words(texts, size=32)
    assert together.dtype == torch.float32
    assert all(hash_words([text], size=32)[0].equal(row) for text, row in zip(texts, together, strict=True))


def test_rows_have_length_sqrt_size_and_no_words_give_zeros():
    vectors = hash_words(["one two three", "?!", ""], size=256)
    torch.testing.assert_close(vectors.norm(dim=1), torch.tensor([16.0, 0.0, 0.0]))


def test_word_pairs_count_so_order_matters_but_single_words_do_not_change():
    a, b = hash_words(["dog bites man", "man bites dog"], size=4096)
    assert not a.equal(b)
    # 3 shared words out of 3 words and 2 pairs each: the cosine is 3/5.
    torch.testing.assert_close(torch.dot(a, b) / (a.norm() * b.norm()), torch.tensor(0.6))
