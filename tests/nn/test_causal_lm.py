import math

import pytest
import torch

from farfield.errors import InputError
from farfield.nn import TinyCausalLM, gpt_neo


def make(**changed):
    sizes = {"vocab": 11, "width": 8, "depth": 2, "heads": 2, "context": 7} | changed
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TinyCausalLM(**sizes)


def tokens(n=3, t=7, vocab=11):
    return torch.randint(vocab, (n, t), generator=torch.Generator().manual_seed(1))


def test_a_position_sees_itself_and_earlier_ones_only():
    model, x = make(), tokens()
    changed = x.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    before, after = model(x), model(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert all((before[:, t] - after[:, t]).abs().max() > 1e-4 for t in (4, 5, 6))


def test_positions_differ_and_shorter_sequences_are_prefixes():
    model = make()
    same = torch.full((1, 7), 3)
    assert not torch.allclose(model(same)[0, 0], model(same)[0, 1], atol=1e-4)
    x = tokens()
    torch.testing.assert_close(model(x[:, :3]), model(x)[:, :3])


def test_logits_are_products_of_features_and_embeddings_where_tied():
    model, x = make(), tokens()
    torch.testing.assert_close(model(x), model.features(x) @ model.embed.weight.T)
    assert sum(p.numel() for p in model.parameters()) == 11 * 8 + 7 * 8 + 2 * (12 * 64 + 13 * 8) + 2 * 8
    free = make(tied=False)
    assert free.head.weight is not free.embed.weight
    assert sum(p.numel() for p in free.parameters()) == sum(p.numel() for p in model.parameters()) + 11 * 8


def test_features_are_normalised_and_the_first_loss_is_that_of_no_knowledge():
    model, x = make(vocab=50, width=32), tokens(20, 7, 50)
    features = model.features(x)
    torch.testing.assert_close(features.mean(-1), torch.zeros(20, 7), atol=1e-5, rtol=0)
    # Just under 1: the norm adds 1e-5 to a variance that is small at the start.
    torch.testing.assert_close(features.var(-1, unbiased=False), torch.ones(20, 7), atol=0.04, rtol=0)
    loss = torch.nn.functional.cross_entropy(model(x)[:, :-1].flatten(0, 1), x[:, 1:].flatten())
    assert float(loss.detach()) == pytest.approx(math.log(50), abs=0.1)


def test_the_attention_is_softmax_of_scaled_products():
    # One block, one head, by hand.
    model, x = make(depth=1, heads=1), tokens(1, 4)
    block = model.blocks[0]
    z = model.embed(x) + model.position.weight[:4]
    q, k, v = block.queries_keys_values(block.norm_attention(z)).split(8, dim=2)
    weights = (q @ k.mT / math.sqrt(8)).masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf).softmax(-1)
    z = z + block.project(weights @ v)
    z = z + block.perceptron(block.norm_perceptron(z))
    torch.testing.assert_close(model.features(x), model.norm(z))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_gpt_neo_is_the_papers_architecture(depth):
    model = gpt_neo(vocab=13, width=32, depth=depth, context=9, heads=4)
    config = model.config
    assert config.attention_layers == (["global", "local"] * 2)[:depth]
    assert (config.window_size, config.activation_function, config.layer_norm_epsilon) == (256, "gelu_new", 1e-5)
    assert config.attention_dropout == config.resid_dropout == config.embed_dropout == 0
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model(tokens(2, 9)).logits.shape == (2, 9, 13)


def test_bad_arguments_are_refused():
    for name in ("vocab", "width", "depth", "heads", "context"):
        with pytest.raises(InputError, match=f"{name} is 0"):
            make(**{name: 0})
    with pytest.raises(InputError, match="heads is 3; it must divide the width 8"):
        make(heads=3)
    with pytest.raises(InputError, match="x has 8 tokens in a row; the model takes up to 7"):
        make()(tokens(1, 8))
    with pytest.raises(InputError, match="heads is 16; it must divide the width 40"):
        gpt_neo(vocab=5, width=40, depth=1, context=4)
