import pytest
import torch

from farfield.errors import InputError
from farfield.nn import CueFusion, last_query_attention


def test_is_two_layers_on_all_vectors_side_by_side():
    fuse = CueFusion([4, 2, 3], hidden=5).eval()
    states = [torch.randn(6, d) for d in (4, 2, 3)]
    first, second = fuse.switch[1], fuse.switch[4]
    hidden = torch.tanh(torch.cat(states, 1) @ first.weight.T + first.bias)
    torch.testing.assert_close(fuse(*states), hidden @ second.weight.T + second.bias)
    assert fuse(*states).shape == (6, 4)


def test_dropout_acts_in_training_only():
    fuse, states = CueFusion([8, 8], hidden=16, dropout=0.5), [torch.randn(3, 8), torch.randn(3, 8)]
    assert not torch.equal(fuse(*states), fuse(*states))
    assert torch.equal(fuse.eval()(*states), fuse(*states))


def test_weights_of_tokens_come_from_the_cues_attention():
    fuse = CueFusion([5, 5], hidden=7).eval()
    tokens, cues = torch.randn(2, 5, 3), [torch.rand(2, 5), torch.rand(2, 5)]
    weights = fuse(*cues)
    found = fuse.weigh(tokens, *cues)
    for i in range(2):
        for t in range(5):
            torch.testing.assert_close(found[i, t], weights[i, t] * tokens[i, t])


def test_last_query_attention_is_the_last_row_summed_over_heads():
    attention = torch.rand(2, 3, 4, 4).softmax(-1)
    expected = torch.stack([sum(attention[i, h, 3] for h in range(3)) for i in range(2)])
    torch.testing.assert_close(last_query_attention(attention), expected)
    torch.testing.assert_close(last_query_attention(attention).sum(1), torch.full((2,), 3.0))


@pytest.mark.parametrize("bad", [{"dims": []}, {"dims": [4, 0]}, {"hidden": 0}, {"out": 0}, {"dropout": 1.0}])
def test_bad_settings_are_named(bad):
    with pytest.raises(InputError, match="dims is"):
        CueFusion(**{"dims": [4], "hidden": 3, **bad})


def test_bad_shapes_are_named():
    fuse = CueFusion([4, 2], hidden=3)
    for states in ((torch.zeros(2, 4),), (torch.zeros(2, 2), torch.zeros(2, 4))):
        with pytest.raises(InputError, match=r"expected \(n, width\)"):
            fuse(*states)
    with pytest.raises(InputError, match="tokens has shape"):
        fuse.weigh(torch.zeros(2, 9, 3), torch.zeros(2, 4), torch.zeros(2, 2))
    with pytest.raises(InputError, match="attention has shape"):
        last_query_attention(torch.zeros(2, 4, 4))
