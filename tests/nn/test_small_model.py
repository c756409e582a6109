import pytest
import torch

from farfield.errors import InputError
from farfield.nn import TokenBag, small_model


@pytest.mark.parametrize(
    ("kind", "shape", "width"),
    [("image_task", {}, 64), ("image_task", {"height": 3}, 32), ("vector_task", {}, 32), ("token_task", {}, 32)],
)
def test_it_fits_every_kind_of_inputs(kind, shape, width, request):
    task = request.getfixturevalue(kind)(**shape)
    model = small_model(task)
    x = task.train[torch.arange(3)]["x"]
    assert model(x).shape == (3, 3) and model.features(x).shape == (3, width)
    assert model.features(x).std(0).max() > 0


def test_the_seed_decides_the_weights_and_the_callers_state_stays(vector_task):
    state = torch.get_rng_state()
    a, b, c = (small_model(vector_task(), seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a.head.weight, b.head.weight) and not torch.equal(a.head.weight, c.head.weight)


def test_a_bag_of_tokens_knows_neither_order_nor_padding():
    bag = TokenBag(9, 4).eval()
    rows = bag(torch.tensor([[5, 3, 2, 0, 0], [2, 5, 3, 0, 0], [5, 3, 2, 2, 0], [0, 0, 0, 0, 0]]))
    assert torch.allclose(rows[0], rows[1], atol=1e-6) and not torch.allclose(rows[0], rows[2], atol=1e-3)
    assert torch.allclose(rows[0], bag(torch.tensor([[5, 3, 2]]))[0], atol=1e-6)
    assert torch.allclose(rows[3], bag.layers(torch.zeros(1, 4))[0])


def test_what_it_cannot_take_is_refused(text_task, vector_task):
    with pytest.raises(InputError, match="prepare it with farfield"):
        small_model(text_task())
    with pytest.raises(InputError, match="width is 0"):
        small_model(vector_task(), width=0)
