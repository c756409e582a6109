import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import Junctions, LevelOutputs

WIDTHS = {"early": 5, "late": 3}


def features(n=7, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return {name: scale * torch.randn(n, d, generator=g) for name, d in WIDTHS.items()}


def small(n=7, d=4):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(9))


def by_hand(junctions, rows, g):
    """Each head written out on the concatenation of its normalised layer and the small model's features."""
    outputs, inner, before = [], junctions.hidden or len(junctions.bias) // len(WIDTHS), None
    for i, (name, width) in enumerate(WIDTHS.items()):
        at = slice(i * inner, (i + 1) * inner)
        weight = torch.cat([junctions.by_layer[i], junctions.by_small[at]], 1)
        x = torch.cat([nn.LayerNorm(width, elementwise_affine=False)(rows[name]), g], 1)
        if junctions.by_previous is not None and i:
            weight = torch.cat([weight, junctions.by_previous[i - 1]], 1)
            x = torch.cat([x, before], 1)
        before = x @ weight.T + junctions.bias[at]
        if junctions.hidden:
            before = before.relu()
            outputs.append(before @ junctions.out[i] + junctions.out_bias[i])
        else:
            outputs.append(before)
    return outputs


@pytest.mark.parametrize("settings", [{}, {"hidden": 0}, {"nested": True}, {"weights": "learned"}])
def test_each_head_is_two_layers_on_the_concatenated_input(settings):
    junctions = Junctions(WIDTHS, 4, out_dim=6, **{"hidden": 8, **settings})
    found = junctions(features(), small())
    for mine, theirs in zip(found.per_layer, by_hand(junctions, features(), small())):
        assert torch.allclose(mine, theirs, atol=1e-6)
    assert torch.allclose(found.combined, torch.stack(found.per_layer).mean(0), atol=1e-6)


def test_the_number_of_parameters_is_the_formulas():
    for hidden, d_g, out in ((32, 32, 10), (8, 0, 3), (16, 5, 1)):
        count = sum(p.numel() for p in Junctions(WIDTHS, d_g, out_dim=out, hidden=hidden).parameters())
        assert count == sum((d + d_g) * hidden + hidden + hidden * out + out for d in WIDTHS.values())


def test_without_weights_on_one_side_the_other_side_decides_alone():
    junctions = Junctions(WIDTHS, 4, out_dim=6, hidden=8)
    alone = Junctions(WIDTHS, 0, out_dim=6, hidden=8)
    alone.load_state_dict({k: v for k, v in junctions.state_dict().items() if k != "by_small"})
    with torch.no_grad():
        junctions.by_small.zero_()
    for a, b in zip(junctions(features(), small()).per_layer, alone(features()).per_layer):
        assert torch.allclose(a, b, atol=1e-6)
    other = Junctions(WIDTHS, 4, out_dim=6, hidden=8)
    with torch.no_grad():
        for weight in other.by_layer:
            weight.zero_()
    a, b = other(features(seed=0), small()).per_layer, other(features(seed=1), small()).per_layer
    assert all(torch.equal(p, q) for p, q in zip(a, b))
    assert not torch.equal(other(features(), small() + 1).per_layer[0], a[0])


def test_the_scale_of_a_layer_makes_no_difference():
    junctions = Junctions(WIDTHS, 4, out_dim=6)
    a, b = junctions(features(), small()), junctions(features(scale=1000.0), small())
    assert torch.allclose(a.combined, b.combined, atol=1e-3)


def test_weights_start_uniform_sum_to_one_and_learned_ones_move_by_the_combined_output_alone():
    learned = Junctions(WIDTHS, 4, out_dim=2, weights="learned")
    assert learned.weights.tolist() == [0.5, 0.5]
    found = learned(features(), small())
    sum(head.sum() for head in found.per_layer).backward(retain_graph=True)
    assert learned.scores.grad is None
    found.combined.square().sum().backward()
    assert learned.scores.grad.abs().max() > 0
    with torch.no_grad():
        learned.scores.copy_(torch.tensor([0.0, 2.0]))
    assert torch.allclose(learned.weights.sum(), torch.tensor(1.0)) and learned.weights[1] > 0.8


def test_all_weight_on_the_last_head():
    last = Junctions(WIDTHS, 4, out_dim=2, weights="last")
    found = last(features(), small())
    assert torch.allclose(found.combined, found.per_layer[-1])
    assert torch.allclose(found.log_probabilities, found.per_layer[-1].log_softmax(1), atol=1e-6)


def test_probabilities_are_the_mean_of_the_heads_softmax_and_not_the_softmax_of_the_mean():
    heads = (torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    found = LevelOutputs(heads, torch.tensor([0.25, 0.75]))
    assert torch.allclose(found.probabilities, 0.25 * heads[0].softmax(1) + 0.75 * heads[1].softmax(1))
    assert not torch.allclose(found.probabilities, found.combined.softmax(1), atol=1e-2)


def test_each_part_starts_within_the_bound_of_its_concatenated_input():
    junctions = Junctions({"a": 60, "b": 40}, 40, out_dim=3, hidden=200)
    for i, reads in enumerate((100, 80)):
        parts = (junctions.by_layer[i], junctions.by_small[i * 200 : (i + 1) * 200])
        for part in parts:
            assert 0.99 * reads**-0.5 < part.abs().max() <= reads**-0.5


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"widths": {}}, "at least one layer"),
        ({"out_dim": 0}, "out_dim 0"),
        ({"hidden": -1}, "hidden -1"),
        ({"weights": "best"}, "unknown weights 'best'"),
        ({"hidden": 0, "nested": True}, "hidden is 0, expected at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        Junctions(**{"widths": WIDTHS, "small_width": 4, "out_dim": 2, **bad})


def test_features_that_do_not_fit_are_named():
    junctions = Junctions(WIDTHS, 4, out_dim=2)
    with pytest.raises(InputError, match="unknown layer of the features 'late'"):
        junctions({"early": torch.zeros(1, 5)}, torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"'early' have shape \(1, 4\); expected \(n, 5\)"):
        junctions({"early": torch.zeros(1, 4), "late": torch.zeros(1, 3)}, torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"must be \(n, 4\); none came"):
        junctions(features())
