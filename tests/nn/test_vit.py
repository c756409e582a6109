import pytest
import torch

from farfield import nn
from farfield.errors import InputError
from farfield.nn.transformer_block import TransformerBlock
from farfield.nn.vit import ViT


def test_parameter_count():
    dim, depth, patches, pixels = 16, 2, 16, 1 * 2 * 2
    block = 2 * 2 * dim + (dim + 1) * 3 * dim + (dim + 1) * dim + (dim + 1) * 4 * dim + (4 * dim + 1) * dim
    expected = (pixels + 1) * dim + patches * dim + depth * block + 2 * dim
    model = ViT(1, 8, 8, patch=2, dim=dim, depth=depth, heads=2)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("channels", "height", "width", "patch", "count"),
    [(1, 4, 4, 2, 4), (1, 8, 8, 2, 16), (1, 28, 28, 4, 49), (3, 31, 30, 4, 64), (3, 64, 64, 8, 64)],
)
def test_shapes_and_default_patches(image_task, channels, height, width, patch, count):
    task = image_task(channels, height, width, n=4)
    model = nn.load("vit?dim=16&depth=1", task)
    assert model(task.train[[0, 1]]["x"]).shape == (2, 3)
    assert (model.encoder[1].patch, len(model.encoder[1].position)) == (patch, count)


def test_patches_are_read_row_by_row_each_whole():
    model = ViT(1, 4, 6, patch=2, dim=4, depth=1, heads=1)
    model.blocks, model.norm = torch.nn.Identity(), torch.nn.Identity()
    torch.nn.init.eye_(model.embed.weight)
    torch.nn.init.zeros_(model.embed.bias)
    torch.nn.init.zeros_(model.position)
    x = torch.arange(24.0).reshape(1, 1, 4, 6)
    patches = torch.stack([x[0, 0, r : r + 2, c : c + 2].flatten() for r in (0, 2) for c in (0, 2, 4)])
    torch.testing.assert_close(model(x)[0], patches.mean(0))


def test_without_positions_the_order_of_patches_does_not_matter_and_with_them_it_does():
    model = ViT(1, 8, 8, patch=4, dim=16, depth=2, heads=4).double()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    swapped = x.roll(4, dims=3)
    assert not torch.allclose(model(x), model(swapped))
    torch.nn.init.zeros_(model.position)
    torch.testing.assert_close(model(x), model(swapped))


def test_a_block_is_equivariant_to_the_order_of_tokens():
    block, x, order = TransformerBlock(8, 2).double(), torch.randn(2, 5, 8, dtype=torch.float64), torch.randperm(5)
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order])


def test_attention_equals_the_explicit_sum():
    block, x = TransformerBlock(6, 2).double(), torch.randn(1, 4, 6, dtype=torch.float64)
    mixed = block.queries_keys_values(block.norm_attention(x))[0]
    q, k, v = mixed[:, :6], mixed[:, 6:12], mixed[:, 12:]
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        weights = torch.softmax(q[:, h] @ k[:, h].T / 3**0.5, dim=1)
        heads.append(weights @ v[:, h])
    middle = x[0] + block.project(torch.cat(heads, dim=1))
    torch.testing.assert_close(block(x)[0], middle + block.perceptron(block.norm_perceptron(middle)))


def test_padding_is_zero_after_standardisation():
    model = ViT(1, 3, 3, patch=2, dim=8, depth=1, heads=1)
    x = torch.rand(2, 1, 3, 3)
    padded = torch.zeros(2, 1, 4, 4)
    padded[:, :, :3, :3] = x
    assert model(x).equal(model(padded))


@pytest.mark.parametrize(
    ("options", "message"), [("dim=10&heads=4", "heads=4 of the model vit must divide dim=10"), ("patch=9", "patch=9")]
)
def test_what_does_not_fit_is_refused(image_task, options, message):
    with pytest.raises(InputError, match=message):
        nn.load(f"vit?{options}", image_task())
