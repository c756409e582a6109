from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.nn import CausalDisentangler, Disentangled

ORACLE = Path(__file__).parents[1] / "data" / "catch.npz"


def make(in_dim=12, n_targets=3, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CausalDisentangler(in_dim, n_targets, **settings)


def rows(n=16, seed=1):
    return torch.randn(n, 12, generator=torch.Generator().manual_seed(seed))


def test_the_target_block_equals_the_released_code():
    with np.load(ORACLE) as data:
        split = make(12, 8, norm="none")
        for layer, (weight, bias) in zip((0, 2), (("inf_W1", "inf_b1"), ("inf_W2", "inf_b2"))):
            split.target[layer].weight.data = torch.from_numpy(data[weight])
            split.target[layer].bias.data = torch.from_numpy(data[bias])
        out = split(torch.from_numpy(data["inf_x"]))
        np.testing.assert_allclose(out.log_alpha.detach().numpy(), data["inf_out"], rtol=1e-5, atol=1e-6)


def test_a_draw_of_the_gaussian_part_equals_the_released_code(monkeypatch):
    with np.load(ORACLE) as data:
        mu, log_sigma, noise = (torch.from_numpy(data[k]) for k in ("mu", "log_sigma", "sample_norm_eps"))
        monkeypatch.setattr(torch, "randn_like", lambda _: noise)
        np.testing.assert_allclose(make()._sample(mu, log_sigma).numpy(), data["sample_norm"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("in_dim", "n_targets", "n_classes"), [(12, 3, 2), (9, 8, 4)])
def test_widths_add_up(in_dim, n_targets, n_classes):
    out = CausalDisentangler(in_dim, n_targets, n_classes)(torch.randn(5, in_dim))
    assert isinstance(out, Disentangled)
    d = in_dim - n_targets
    assert out.mu.shape == out.log_sigma.shape == out.x_c.shape == (5, d)
    assert out.log_alpha.shape == out.x_t.shape == out.target_logits.shape == (5, n_targets)
    assert out.code.shape == (5, in_dim) and out.hate_logits.shape == (5, n_classes)
    torch.testing.assert_close(out.x_t.sum(1), torch.ones(5))


def test_evaluation_is_deterministic_and_training_draws_anew():
    split, z = make(), rows()
    first, second = split(z), split(z)
    assert torch.equal(first.mu, second.mu)
    assert not torch.equal(first.x_c, second.x_c) and not torch.equal(first.x_t, second.x_t)
    split.eval()
    assert torch.equal(split.predict(z), split.predict(z))
    assert torch.equal(split(z).x_c, split(z).mu) and torch.equal(split(z).hate_logits, split.predict(z))
    assert torch.equal(split.mean(z), split(z).mu)
    assert not torch.equal(split.predict(z, sample=True), split.predict(z))


def test_the_head_sees_another_draw_than_the_reconstruction():
    split = make(dropout=0.0)
    out = split(rows())
    assert not torch.allclose(split.hate(out.x_c), out.hate_logits)


def test_the_label_is_read_from_its_part_alone():
    split, z = make(norm="none").eval(), rows().requires_grad_()
    split.predict(z).sum().backward()
    assert all(p.grad is None for p in [*split.target.parameters(), *split.merge.parameters()])
    assert all(p.grad is not None for p in [*split.mu.parameters(), *split.hate.parameters()])


def test_both_parts_rebuild_the_code():
    split = make(norm="none").eval()
    out = split(rows())
    expected = torch.cat([out.mu, out.log_alpha.exp()], 1) @ split.merge.weight.T + split.merge.bias
    torch.testing.assert_close(out.code, expected)


def test_norms():
    z = rows() * 5 + 3
    for norm in ("batch", "layer"):
        normed = make(norm=norm)._normed(z)
        assert float(normed.mean(0 if norm == "batch" else 1).abs().max().detach()) < 1e-5
    assert torch.equal(make(norm="none")._normed(z), z)
    # One row works wherever no batch's mean is needed.
    assert make(norm="layer")(z[:1]).mu.shape == make().eval()(z[:1]).mu.shape == (1, 9)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"in_dim": 3}, "more columns than targets"),
        ({"n_targets": 1}, "two targets"),
        ({"n_classes": 1}, "two targets and classes"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"norm": "group"}, "norm is 'group'"),
    ],
)
def test_bad_settings_are_named(bad, says):
    with pytest.raises(InputError, match=says):
        CausalDisentangler(**{"in_dim": 12, "n_targets": 3, **bad})


def test_bad_rows_are_named():
    with pytest.raises(InputError, match=r"z has shape \(4, 5\); expected \(n, 12\)"):
        make()(torch.zeros(4, 5))
    with pytest.raises(InputError, match="one row"):
        make()(torch.zeros(1, 12))
