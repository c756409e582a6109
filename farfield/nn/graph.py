"""Graph neural networks on one graph, by products with sparse matrices: GCN, GCN with initial residuals, and GIN."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import dropout

from farfield.errors import InputError, unknown_name

CONVOLUTIONS = ("gcn", "gcn2", "gin")
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


def adjacency(
    edges: Int[Tensor, "2 e"], nodes: int, *, loops: bool = True, normalize: bool = True
) -> Float[Tensor, "n n"]:
    """Return the sparse matrix A of a graph, with A[target, source] summed over the edges.

    **Arguments:**
    - ``edges``: (2, e) sources and targets, both directions for an undirected graph.
    - ``loops``: add the identity.
    - ``normalize``: ``D^-1/2 A D^-1/2`` with D the row sums (loops included), the propagation of GCN; a node without edges
      keeps a row of zeros.

    Raises InputError where an edge leads to a node that is not there.

    Source: Kipf & Welling, ICLR 2017, section 2.

    >>> adjacency(torch.tensor([[0, 1], [1, 0]]), 3).to_dense()
    tensor([[0.5000, 0.5000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    if edges.ndim != 2 or len(edges) != 2:
        raise InputError(f"edges has shape {tuple(edges.shape)}; expected (2, e)")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < nodes:
        raise InputError(f"edges holds nodes from {int(edges.min())} to {int(edges.max())}; there are {nodes}")
    at = edges.flip(0)
    if loops:
        at = torch.cat([at, torch.arange(nodes, device=edges.device).repeat(2, 1)], dim=1)
    values = torch.ones(at.shape[1], device=edges.device)
    if normalize:
        degree = values.new_zeros(nodes).index_add(0, at[0], values)
        scale = torch.where(degree > 0, degree.rsqrt(), 0.0)
        values = scale[at[0]] * scale[at[1]]
    return torch.sparse_coo_tensor(at, values, (nodes, nodes), check_invariants=True).coalesce()


class GraphNetwork(nn.Module):
    """Classify the nodes of a graph: a first linear layer, convolutions, a linear layer to the features, and a linear head.

    ``forward(x, matrix) -> (n, classes)``, ``features(x, matrix) -> (n, hidden)``. The head reads features at length 1, as in the
    paper's sweep. A convolution takes its neighbours' vectors by ``matrix``:

    - "gcn": ``act(A H W + b)``, with A from ``adjacency(edges, n)``.
    - "gcn2": ``act(((1 - a) A H + a H0) ((1 - b) I + b W))`` with H0 the first layer, a = 0.1, b = log(0.5 / layer + 1), and
      A from ``adjacency(edges, n, loops=False)`` as the paper's sweep has it: made for many layers.
    - "gin": ``act((A + I) H W + b)``, with A from ``adjacency(edges, n, loops=False, normalize=False)``: sums over neighbours.

    `matrix_of` makes the one that this network takes.

    **Arguments:** ``inputs``, ``classes``, ``hidden``: widths; ``depth``: number of convolutions; ``dropout``: before each layer;
    ``activation``: "relu" or "tanh". ``x`` may be sparse (COO); then dropout falls on the entries that are there.

    Raises InputError on an unknown convolution or activation, or sizes below 1.

    Source: Kipf & Welling, ICLR 2017; Chen et al. (GCNII), ICML 2020, equation 5; Xu et al. (GIN), ICLR 2019, equation 4.1
    with epsilon 0 and one linear layer; the arrangement is that of Moschella et al., ICLR 2023, section 4 (Cora).

    >>> edges = torch.tensor([[0, 1], [1, 0]])
    >>> network = GraphNetwork(4, 2, hidden=8)
    >>> network(torch.eye(3, 4), network.matrix_of(edges, 3)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        convolution: Literal["gcn", "gcn2", "gin"] = "gcn",
        hidden: int = 64,
        depth: int = 2,
        dropout: float = 0.5,
        activation: Literal["relu", "tanh"] = "relu",
    ):
        super().__init__()
        if convolution not in CONVOLUTIONS:
            raise unknown_name("convolution", convolution, CONVOLUTIONS)
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        if min(inputs, classes, hidden, depth) < 1 or not 0 <= dropout < 1:
            raise InputError(
                f"inputs, classes, hidden and depth are {inputs}, {classes}, {hidden}, {depth}, dropout is {dropout}; "
                "expected at least 1 each, and a share from 0 to below 1"
            )
        self.convolution, self.dropout, self.activation = convolution, dropout, activation
        self.first = nn.Linear(inputs, hidden)
        self.convolutions = nn.ModuleList(nn.Linear(hidden, hidden, bias=convolution != "gcn2") for _ in range(depth))
        self.last = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)

    def matrix_of(self, edges: Int[Tensor, "2 e"], nodes: int) -> Float[Tensor, "n n"]:
        """Return the sparse matrix by which this network's convolutions reach the neighbours.

        >>> GraphNetwork(1, 1, convolution="gin").matrix_of(torch.tensor([[0], [1]]), 2).to_dense()
        tensor([[0., 0.],
                [1., 0.]])
        """
        return adjacency(edges, nodes, loops=self.convolution == "gcn", normalize=self.convolution != "gin")

    def features(self, x: Float[Tensor, "n d"], matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n h"]:
        """Return the features that the head reads, before they are brought to length 1.

        >>> network = GraphNetwork(1, 2, hidden=8)
        >>> network.features(torch.ones(2, 1), network.matrix_of(torch.tensor([[0], [1]]), 2)).shape
        torch.Size([2, 8])
        """
        act = ACTIVATIONS[self.activation]
        first = h = act(_linear(self.first, self._drop(x)))  # (n, hidden)
        for layer, linear in enumerate(self.convolutions, start=1):
            h = self._drop(h)
            if self.convolution == "gcn":
                h = torch.sparse.mm(matrix, h @ linear.weight.T) + linear.bias
            elif self.convolution == "gin":
                h = linear(torch.sparse.mm(matrix, h) + h)
            else:
                beta = math.log(0.5 / layer + 1)
                mixed = 0.9 * torch.sparse.mm(matrix, h) + 0.1 * first
                h = (1 - beta) * mixed + beta * linear(mixed)
            h = act(h)
        return self.last(h)

    def forward(self, x: Float[Tensor, "n d"], matrix: Float[Tensor, "n n"]) -> Float[Tensor, "n c"]:
        return self.head(nn.functional.normalize(self.features(x, matrix), dim=1))

    def _drop(self, x: Tensor) -> Tensor:
        if not x.is_sparse:
            return dropout(x, self.dropout, self.training)
        kept = dropout(x.values(), self.dropout, self.training)
        return torch.sparse_coo_tensor(x.indices(), kept, x.shape, is_coalesced=True, check_invariants=False)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return torch.sparse.mm(x, layer.weight.T) + layer.bias if x.is_sparse else layer(x)
