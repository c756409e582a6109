import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.reuse import StitchingHead, train_head


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_linear_head_sees_no_other_row():
    head, x = StitchingHead(6, 3), draw(5, 6)
    assert [type(m) for m in head] == [nn.LayerNorm, nn.Linear]
    torch.testing.assert_close(head(x)[:1], head(x[:1]))
    # The layer norm makes scale and offset of a row irrelevant.
    torch.testing.assert_close(head(5 * x + 2), head(x), rtol=1e-3, atol=1e-3)


def test_the_transductive_head_standardises_over_the_call():
    head, x = StitchingHead(6, 3, hidden=1, transductive=True).eval(), draw(8, 6)
    h = nn.functional.silu(head[1](head[0](x)))
    standard = (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(head(x), head[-1](standard))
    assert not torch.allclose(head(x)[:4], head(x[:4]), atol=1e-3)
    with pytest.raises(InputError, match="a single row cannot be standardised"):
        head(x[:1])


def test_hidden_layers_and_activations():
    shape = [type(m).__name__ for m in StitchingHead(4, 2, hidden=2, activation="tanh", transductive=True)]
    assert shape == ["LayerNorm", "Linear", "Tanh", "BatchStandardize", "Linear", "Tanh", "BatchStandardize", "Linear"]


@pytest.mark.parametrize("options", [{}, {"hidden": 1}, {"hidden": 2, "transductive": True, "activation": "tanh"}])
def test_it_learns_what_can_be_separated(options):
    y = torch.arange(120) % 3
    x = torch.eye(3).repeat(1, 2)[y] * 4 + draw(120, 6)
    head = train_head(x, y, epochs=60, batch_size=32, learning_rate=1e-2, seed=1, **options)
    assert not head.training
    fresh = torch.eye(3).repeat(1, 2)[y] * 4 + draw(120, 6, seed=1)
    assert (head(fresh).argmax(1) == y).float().mean() > 0.9


def test_the_seed_decides_and_the_global_state_is_untouched():
    x, y = draw(40, 4), torch.arange(40) % 2
    state = torch.get_rng_state()
    a, b, c = (train_head(x, y, epochs=2, seed=s)(x) for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.allclose(a, c)
    assert torch.equal(torch.get_rng_state(), state)


def test_types_and_classes():
    x, y = draw(20, 4).double(), torch.arange(20) % 2
    assert train_head(x, y, epochs=1)(x).dtype == torch.float64
    assert train_head(x, y, epochs=1, classes=5)(x).shape == (20, 5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: StitchingHead(1, 2), "width is 1"),
        (lambda: StitchingHead(4, 2, activation="relu"), "unknown activation 'relu'"),
        (lambda: StitchingHead(4, 2, transductive=True), "there are none"),
        (lambda: train_head(torch.ones(3, 2), torch.zeros(2).long()), r"labels \(2,\)"),
        (
            lambda: train_head(torch.ones(2, 2), torch.tensor([0, 3]), classes=2),
            "labels go from 0 to 3; expected 0 to 1",
        ),
        (lambda: train_head(torch.ones(2, 2), torch.tensor([0.0, 1.0])), "expected whole numbers"),
        (lambda: train_head(torch.full((2, 2), torch.inf), torch.tensor([0, 1])), "not finite"),
        (lambda: train_head(torch.ones(2, 2), torch.tensor([0, 1]), epochs=0), "epochs is 0"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
