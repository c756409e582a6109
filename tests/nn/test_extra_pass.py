import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn.extra_pass import batch_logits, changed_logits, extra_logits, input_embedding


def plus_one(x):
    return x + 1


def test_gradients_flow_and_running_statistics_and_random_state_stay():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    x, state = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.get_rng_state()
    first, second = extra_logits(model, {"x": x}), extra_logits(model, {"x": x})
    assert torch.equal(first, second)  # the same draws
    assert torch.equal(torch.get_rng_state(), state)
    assert model[1].num_batches_tracked == 0 and model[1].running_mean.tolist() == [0.0] * 3
    first.square().sum().backward()
    assert model[0].weight.grad.abs().sum() > 0
    # The plain pass, whose trace is left, has the very same logits.
    assert torch.equal(batch_logits(model, {"x": x}), first)
    assert model[1].num_batches_tracked == 1


def test_the_change_is_made_where_it_is_asked_for_and_only_in_that_pass():
    model, x = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), torch.ones(4, 2)
    assert torch.equal(changed_logits(model, {"x": x}, plus_one), model(x + 1))
    assert torch.equal(changed_logits(model, {"x": x}, plus_one, at="1"), model[2](model[1](model[0](x)) + 1))
    assert x.unique().tolist() == [1.0]
    assert torch.equal(changed_logits(model, {"x": x}, torch.zeros_like, at="1"), model[2].bias.expand(4, 2))
    assert all(not m._forward_hooks for m in model.modules())


def test_hooks_are_taken_off_where_the_pass_fails():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

    def fail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        changed_logits(model, {"x": torch.ones(1, 2)}, fail, at="1")
    assert all(not m._forward_hooks for m in model.modules())


@pytest.fixture(scope="module")
def bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=3
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.BertForSequenceClassification(config).eval()


def test_a_transformers_model_takes_the_batch_as_keywords_and_gives_logits(bert):
    ids, mask = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    batch = {"input_ids": ids, "attention_mask": mask}
    logits = batch_logits(bert, batch)
    assert torch.equal(logits, bert(input_ids=ids, attention_mask=mask).logits) and logits.shape == (2, 3)

    name, embedding = input_embedding(bert)
    assert embedding is bert.get_input_embeddings() and bert.get_submodule(name) is embedding
    changed = changed_logits(bert, batch, plus_one)
    by_hand = bert(inputs_embeds=embedding(ids) + 1, attention_mask=mask).logits
    assert torch.allclose(changed, by_hand, atol=1e-6)
    # The ids stay in the batch: the next pass is the plain one.
    assert set(batch) == {"input_ids", "attention_mask"}
    assert torch.equal(batch_logits(bert, batch), logits)


def test_a_language_model_has_logits_for_each_position():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.tensor([[1, 2, 3]])
    assert batch_logits(model, {"input_ids": ids}).shape == (1, 3, 20)
    changed = changed_logits(model, {"input_ids": ids}, plus_one)
    by_hand = model(inputs_embeds=model.transformer.wte(ids) + 1).logits
    assert torch.allclose(changed, by_hand, atol=1e-6)


def test_what_cannot_be_changed_is_named():
    model, x = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.ones(1, 2)
    with pytest.raises(InputError, match="unknown module of Sequential '7'"):
        changed_logits(model, {"x": x}, plus_one, at="7")
    with pytest.raises(InputError, match=r"needs a tensor batch\['x'\]; the batch has \['image'\]"):
        changed_logits(model, {"image": x}, plus_one)
    with pytest.raises(InputError, match=r"has an input of integers and no nn\.Embedding"):
        changed_logits(model, {"x": torch.ones(1, 2, dtype=torch.long)}, plus_one)
    unused = nn.Sequential(nn.Identity())
    unused.add_module("spare", nn.Identity())
    unused.forward = lambda x: unused[0](x)
    with pytest.raises(InputError, match="the module 'spare' of Sequential did not run"):
        changed_logits(unused, {"x": x}, plus_one, at="spare")
    recurrent = nn.ModuleDict({"gru": nn.GRU(2, 3)})
    recurrent.forward = lambda x: recurrent["gru"](x)[0]
    with pytest.raises(InputError, match="the module 'gru' returns tuple; expected a tensor"):
        changed_logits(recurrent, {"x": x}, plus_one, at="gru")
