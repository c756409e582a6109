import math

import pytest
import torch
from torch.nn.functional import normalize

from farfield.errors import InputError
from farfield.nn import GraphNetwork, adjacency

# Two triangles that share node 2, and node 5 alone.
PAIRS = torch.tensor([[0, 0, 1, 2, 2, 3], [1, 2, 2, 3, 4, 4]])
EDGES = torch.cat([PAIRS, PAIRS.flip(0)], dim=1)
NODES = 6


def dense(*, loops):
    a = torch.zeros(NODES, NODES)
    a[EDGES[0], EDGES[1]] = 1
    return a + torch.eye(NODES) if loops else a


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loops", [True, False])
def test_the_propagation_matrix_is_the_dense_formula(loops):
    a = dense(loops=loops)
    scale = torch.diag(torch.where(a.sum(1) > 0, a.sum(1) ** -0.5, 0.0))
    torch.testing.assert_close(adjacency(EDGES, NODES, loops=loops).to_dense(), scale @ a @ scale)
    torch.testing.assert_close(adjacency(EDGES, NODES, loops=loops, normalize=False).to_dense(), a)
    # A node without neighbours: only itself, or nothing.
    assert adjacency(EDGES, NODES, loops=loops).to_dense()[5].tolist() == [0.0] * 5 + [1.0 if loops else 0.0]


def test_edges_lead_from_source_to_target():
    found = adjacency(torch.tensor([[0], [2]]), 3, loops=False, normalize=False)
    assert found.to_dense()[2, 0] == 1 and found.to_dense().sum() == 1


def make(convolution, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GraphNetwork(4, 3, convolution=convolution, hidden=5, **options).eval()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("convolution", ["gcn", "gcn2", "gin"])
def test_two_layers_are_the_dense_formula(convolution, activation):
    network, x = make(convolution, depth=2, activation=activation), draw(NODES, 4)
    act = getattr(torch, activation)
    a = dense(loops=convolution != "gcn2")
    p = (
        a
        if convolution == "gin"
        else torch.diag(a.sum(1).clamp(min=1) ** -0.5) @ a @ torch.diag(a.sum(1).clamp(min=1) ** -0.5)
    )
    first = h = act(x @ network.first.weight.T + network.first.bias)
    for layer, linear in enumerate(network.convolutions, start=1):
        if convolution == "gcn2":
            beta = math.log(0.5 / layer + 1)
            mix = (1 - beta) * torch.eye(5) + beta * linear.weight.T
            h = act((0.9 * p @ h + 0.1 * first) @ mix)
        else:
            h = act(p @ h @ linear.weight.T + linear.bias)
    features = h @ network.last.weight.T + network.last.bias
    matrix = network.matrix_of(EDGES, NODES)
    torch.testing.assert_close(network.features(x, matrix), features)
    logits = normalize(features, dim=1) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(x, matrix), logits)


@pytest.mark.parametrize("convolution", ["gcn", "gcn2", "gin"])
def test_gradients_through_sparse_products_are_those_of_dense_ones(convolution):
    network, x = make(convolution), draw(NODES, 4).clamp(min=0)
    matrix, weights = network.matrix_of(EDGES, NODES), draw(NODES, 3, seed=1)
    gradients = []
    for inputs in (x, x.to_sparse()):
        network.zero_grad()
        (network(inputs, matrix) * weights).sum().backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert all(g.abs().sum() > 0 for g in gradients[0])
    step = 1e-3

    def loss(shift):
        with torch.no_grad():
            network.convolutions[0].weight[0, 0] += shift
            value = float((network.double()(x.double(), matrix.double()) * weights.double()).sum())
            network.convolutions[0].weight[0, 0] -= shift
        return value

    slope = (loss(step) - loss(-step)) / (2 * step)
    assert slope == pytest.approx(float(gradients[0][2][0, 0]), rel=1e-3, abs=1e-5)


def test_renaming_the_nodes_renames_the_rows():
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    network, x = make("gcn"), draw(NODES, 4)
    renamed = torch.argsort(order)[EDGES]
    found = network(x[order], network.matrix_of(renamed, NODES))
    torch.testing.assert_close(found, network(x, network.matrix_of(EDGES, NODES))[order])


def test_dropout_of_sparse_inputs_falls_on_entries_and_only_in_training():
    network = GraphNetwork(200, 2, dropout=0.5)
    x = torch.ones(50, 200).to_sparse()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = network._drop(x).to_dense()
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert float(dropped.mean()) == pytest.approx(1, abs=0.05)
    network.eval()
    assert network._drop(x).to_dense().eq(1).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GraphNetwork(4, 3, convolution="gat"), "unknown convolution 'gat'; known: gcn, gcn2, gin"),
        (lambda: GraphNetwork(4, 3, activation="gelu"), "unknown activation 'gelu'"),
        (lambda: GraphNetwork(4, 3, depth=0), "depth are 4, 3, 64, 0"),
        (lambda: GraphNetwork(4, 3, dropout=1.0), "dropout is 1.0"),
        (lambda: adjacency(torch.tensor([[0], [3]]), 3), "edges holds nodes from 0 to 3; there are 3"),
        (lambda: adjacency(torch.zeros(3, 2).long(), 3), r"edges has shape \(3, 2\)"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
