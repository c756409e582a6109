"""Hypothesis spaces that can be sampled given the training data: kernel functions in closed form, and trained networks."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor
from farfield.measure.difficulty.class_distance import flattened
from farfield.nn.evaluating import evaluating

# How many numbers are drawn at once.
BLOCK = 4_000_000


class GPHypotheses:
    """All functions of a Gaussian process that go through the training data: a broad space, known in closed form.

    The prior has mean 0 and covariance ``k(a, b) = exp(-|a - b|^2 / (2 sigma^2))``, without noise, the same for each output, and the
    outputs are independent. Given the data, the values at test inputs are normal with the mean and covariance of `posterior`.

    **Arguments:**
    - ``x_train`` (n, ...) inputs, flattened; ``y_train`` (n, k) or (n,) targets, one-hot for classes.
    - ``sigma``: width of the kernel, above 0, in the unit of the inputs. Where all inputs are many sigmas apart the data say nothing
      and the prior decides: report sigma with every number. `median_distance` is a usual choice.
    - ``jitter``: added to the diagonal, at least 0, for the Cholesky factor of nearly equal inputs.

    Raises InputError on rows that do not match, and where the data cannot be interpolated: nearly equal inputs with different
    targets. Memory grows with n^2: 10,000 examples take 800 MB.

    Source: Boopathy et al., IJCAI 2024, algorithm 1. The released code solves for the weights by 10,000 epochs of Adam, which
    does not converge where the kernel matrix is ill-conditioned; here by Cholesky.

    >>> space = GPHypotheses(torch.tensor([[0.0], [1.0]]), torch.tensor([1.0, -1.0]))
    >>> mean, covariance = space.posterior(torch.tensor([[0.0], [9.0]]))  # at a training input, and far away
    >>> mean.round(decimals=3).abs().tolist(), covariance.diagonal().round(decimals=3).abs().tolist()
    ([[1.0], [0.0]], [0.0, 1.0])
    """

    def __init__(
        self, x_train: Float[Array, "n ..."], y_train: Float[Array, "n ..."], sigma: float = 1.0, jitter: float = 1e-8
    ):
        if not sigma > 0 or not jitter >= 0:
            raise InputError(f"sigma is {sigma} and jitter {jitter}; expected above 0 and at least 0")
        self.x = flattened(x_train)
        self.y = _targets(y_train, "y_train", self.x)
        self.sigma = float(sigma)
        kernel = self._kernel(self.x, self.x)
        factor, failed = torch.linalg.cholesky_ex(kernel + jitter * torch.eye(len(kernel)).to(kernel))
        if failed:
            raise InputError(
                f"the kernel matrix of {len(self.x)} inputs at sigma {sigma:g} is singular; raise jitter (now {jitter:g}) or lower sigma"
            )
        self.factor = factor
        self.weights = torch.cholesky_solve(self.y, factor)
        self.residual = float((kernel @ self.weights - self.y).abs().max())
        if self.residual > 1e-2 * max(float(self.y.abs().max()), 1e-12):
            raise InputError(
                f"the functions miss the training targets by up to {self.residual:.2g}: inputs that are equal or nearly so have "
                "different targets; remove them, lower sigma, or lower jitter"
            )

    def posterior(self, x_test: Float[Array, "t ..."]) -> tuple[Float[Array, "t k"], Float[Array, "t t"]]:
        """Return mean (t, k) and covariance (t, t), shared by the outputs, of the functions at test inputs."""
        mean, covariance = self._posterior(x_test)
        return like(mean, x_test), like(covariance, x_test)

    def sample_errors(
        self, x_test: Float[Array, "t ..."], y_test: Float[Array, "t ..."], draws: int, generator: torch.Generator
    ) -> Float[Array, " draws"]:
        """Return the mean squared test errors (over inputs and outputs) of so many functions drawn from the space.

        **Arguments:** ``y_test`` (t, k) or (t,); ``draws`` at least 1; ``generator``: on the CPU.
        """
        if draws < 1:
            raise InputError(f"draws is {draws}; it must be at least 1")
        bias, values = self._axes(x_test, y_test)
        t, k = bias.shape
        errors = []
        for some in torch.arange(draws).split(max(1, BLOCK // (t * k))):
            z = torch.randn(len(some), t, k, generator=generator, dtype=torch.float64).to(bias.device)
            errors.append((bias + values.sqrt()[:, None] * z).square().mean((1, 2)))
        return like(torch.cat(errors), x_test)

    def error_moments(self, x_test: Float[Array, "t ..."], y_test: Float[Array, "t ..."]) -> tuple[float, float]:
        """Return mean and variance of the mean squared test error over the whole space, exactly.

        ``|mean - Y|^2 / (t k) + tr C / t`` and ``(2 k tr C^2 + 4 sum_j (mean - Y)_j^T C (mean - Y)_j) / (t k)^2``.
        """
        bias, values = self._axes(x_test, y_test)
        t, k = bias.shape
        mean = bias.square().sum() / (t * k) + values.sum() / t
        variance = (2 * k * values.square().sum() + 4 * (values[:, None] * bias.square()).sum()) / (t * k) ** 2
        return float(mean), float(variance)

    def _posterior(self, x_test: Array) -> tuple[Tensor, Tensor]:
        x = tensor(x_test, "x_test", dims=None).to(self.x.device)
        x = x.flatten(1) if x.ndim > 1 else x[:, None]
        if x.shape[1] != self.x.shape[1]:
            raise InputError(f"x_test has {x.shape[1]} numbers in a row but x_train has {self.x.shape[1]}")
        cross = self._kernel(self.x, x)
        half = torch.linalg.solve_triangular(self.factor, cross, upper=False)
        return cross.T @ self.weights, self._kernel(x, x) - half.T @ half

    def _axes(self, x_test: Array, y_test: Array) -> tuple[Tensor, Tensor]:
        """Return the mean error (t, k) along the principal axes of the covariance, and its variances (t,) there."""
        mean, covariance = self._posterior(x_test)
        y = _targets(y_test, "y_test", mean)
        if y.shape != mean.shape:
            raise InputError(f"y_test has {y.shape[1]} outputs but y_train has {mean.shape[1]}")
        values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
        # Rounding leaves some variances just below 0.
        return vectors.T @ (mean - y), values.clamp(min=0)

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        return (torch.cdist(a, b).square() / (-2 * self.sigma**2)).exp()


def median_distance(x: Float[Array, "n ..."]) -> float:
    """Return the median Euclidean distance of different rows, a usual width of a kernel.

    >>> median_distance(torch.tensor([[0.0], [1.0], [4.0]]))
    3.0
    """
    return float(torch.nn.functional.pdist(flattened(x)).median())


@dataclass(frozen=True)
class NetworkErrors:
    """Test errors of the networks that fit their training data, in the order of their seeds.

    **Fields:** ``errors`` (n,) of those that count; ``training_errors`` and ``test_errors`` of all that were trained; ``discarded``: how
    many fitted too badly to be in the space.

    >>> loader = [{"x": torch.zeros(1, 1), "y": torch.full((1, 1), 2.0)}]
    >>> def fits(network, seed):  # leaves a bias of 0, and says that seed 1 does not fit
    ...     _ = nn.init.zeros_(network.bias)
    ...     return float(seed == 1)
    >>> found = network_hypotheses(lambda seed: nn.Linear(1, 1), fits, 3, loader, largest_training_error=0.1)
    >>> found.errors.tolist(), found.discarded
    ([4.0, 4.0], 1)
    """

    errors: Float[Tensor, " kept"]
    training_errors: Float[Tensor, " n"]
    test_errors: Float[Tensor, " n"]
    discarded: int


def network_hypotheses(
    build: Callable[[int], nn.Module],
    train_fn: Callable[[nn.Module, int], float | Tensor],
    n: int,
    loader: Iterable[Any],
    *,
    first: int = 0,
    largest_training_error: float = float("inf"),
    keep: str | Path | None = None,
) -> NetworkErrors:
    """Train a network from so many random beginnings and return their mean squared test errors: draws from its space.

    Network i depends on its seed i alone, so that processes can share the work by ``first``, in any order.

    **Arguments:**
    - ``build``: ``build(seed)`` -> untrained network. ``train_fn(network, seed)`` trains it in place and returns its training error.
    - ``n``: how many, with seeds from ``first`` on.
    - ``loader``: test batches, each ``{"x": ..., "y": ...}`` or a pair; y (b, k) are the targets of the network's output (one-hot).
    - ``largest_training_error``: a network that fits worse is no function through the data; it is left out and counted.
    - ``keep``: a file of one JSON line per network; those in it are not trained again, so that a run which was killed goes on.
      It knows seeds, not settings: give each setting a file of its own.

    Raises InputError where n is below 1, a batch does not fit the output, no network is left, or ``keep`` is damaged.

    Source: Boopathy et al., IJCAI 2024, network spaces. The released code adds means of batches up and divides by the number
    of examples, which is off by the batch size; here the mean is over all numbers.

    >>> loader = [{"x": torch.zeros(2, 3), "y": torch.ones(2, 1)}]
    >>> def still(network, seed):  # trains nothing, and says that it fits
    ...     _ = nn.init.zeros_(network.bias)
    ...     return 0.0
    >>> network_hypotheses(lambda seed: nn.Linear(3, 1), still, 2, loader).errors
    tensor([1., 1.], dtype=torch.float64)
    """
    if n < 1 or first < 0:
        raise InputError(f"n is {n} and first {first}; expected at least 1 and at least 0")
    if iter(loader) is loader:
        raise InputError("loader can be read only once; give a list of batches or a DataLoader")
    known = _known(Path(keep)) if keep is not None else {}
    trained = []
    for seed in range(first, first + n):
        if seed not in known:
            # Initial weights usually come from the global state: the caller's is put back.
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                network = build(seed)
                training = float(torch.as_tensor(train_fn(network, seed)).detach())
            known[seed] = (training, _mean_squared_error(network, loader))
            if keep is not None:
                with Path(keep).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"seed": seed, "training": known[seed][0], "test": known[seed][1]}) + "\n")
        trained.append(known[seed])
    training, test = torch.tensor(trained, dtype=torch.float64).T
    fitted = training <= largest_training_error
    if not fitted.any():
        raise InputError(
            f"none of {n} networks reaches a training error of {largest_training_error:g}; the best has {float(training.min()):.3g}"
        )
    return NetworkErrors(test[fitted], training, test, int((~fitted).sum()))


@torch.no_grad()
def _mean_squared_error(network: nn.Module, loader: Iterable[Any]) -> float:
    total, count = 0.0, 0
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    with evaluating(network):
        for batch in loader:
            x, y = (batch["x"], batch["y"]) if isinstance(batch, dict) else batch
            output = network(x.to(device))
            if output.shape != y.shape:
                raise InputError(
                    f"the network gives {tuple(output.shape)} but y is {tuple(y.shape)}; give one-hot targets"
                )
            total += float((output.double() - y.to(device).double()).square().sum())
            count += y.numel()
    if not count:
        raise InputError("loader has no batch to measure the error on")
    return total / count


def _known(path: Path) -> dict[int, tuple[float, float]]:
    if not path.exists():
        return {}
    found = {}
    *lines, last = path.read_text(encoding="utf-8").split("\n")
    for line in lines:
        try:
            entry = json.loads(line)
            found[int(entry["seed"])] = (float(entry["training"]), float(entry["test"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no file of networks' errors: its line {line[:60]!r} cannot be read") from error
    if last:
        # A run that was killed while it wrote: the rest of a line would spoil the next one.
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return found


def _targets(y: Array, name: str, x: Tensor) -> Float[Tensor, "n k"]:
    found = tensor(y, name, dims=None).to(x.device)
    found = found[:, None] if found.ndim == 1 else found.flatten(1)
    same_rows(**{name.replace("y", "x"): x, name: found})
    return found
