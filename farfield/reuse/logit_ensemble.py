"""Several classifiers that were trained apart, asked as one."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.tasks.task import Split, Table, column
from farfield.train import History, predict, train

Mode = Literal["mean", "softmax", "linear", "mlp"]


class LogitEnsemble(nn.Module):
    """Classifiers of the same classes whose outputs are combined into one.

    **Arguments:**
    - ``models``: at least one, each (n, ...) -> logits (n, classes). They are kept as they are, and shared, not copied.
    - ``mode``: "mean": the mean of the logits; "softmax": the logarithm of the mean of the probabilities, which is the logits of
      their mean; "linear", "mlp": a combiner of all logits side by side, to be learned by `fit`: one linear layer (which starts as
      the mean), or one hidden layer of ``hidden`` units with ReLU in between.
    - ``hidden``: width of the hidden layer, as many as there are logits where not given; ``seed``: of its weights.

    Raises InputError on no models, an unknown mode, or in a call where the models' numbers of classes differ.

    Source: Shah et al., NeurIPS 2020, section 6 and its released code (whose linear combiner starts with the same weight for
    every class, and so with the same output for all).

    >>> first, second = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    >>> _ = first.weight.data.copy_(torch.tensor([[1.0], [0.0]])), second.weight.data.copy_(torch.tensor([[0.0], [3.0]]))
    >>> LogitEnsemble([first, second])(torch.ones(1, 1)).tolist()
    [[0.5, 1.5]]
    """

    def __init__(self, models: Sequence[nn.Module], mode: Mode = "mean", *, hidden: int | None = None, seed: int = 0):
        super().__init__()
        if not len(models):
            raise InputError("models is empty; an ensemble has at least one")
        if mode not in ("mean", "softmax", "linear", "mlp"):
            raise InputError(f"mode is {mode!r}; it must be 'mean', 'softmax', 'linear' or 'mlp'")
        if hidden is not None and hidden < 1:
            raise InputError(f"hidden is {hidden}; it must be at least 1")
        self.models, self.mode, self.hidden, self.seed = nn.ModuleList(models), mode, hidden, seed
        # Made by `fit`, which knows the number of classes.
        self.combiner: nn.Module | None = None

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """Return the combined logits (n, classes); a combiner that was not fitted yet is the mean."""
        logits = self.member_logits(x)
        if self.combiner is not None:
            return self.combiner(logits.flatten(1))
        if self.mode == "softmax":
            return logits.log_softmax(2).logsumexp(1) - torch.log(torch.tensor(float(len(self.models))))
        return logits.mean(1)

    def member_logits(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n models classes"]:
        """Return the logits of every model on the same inputs."""
        found = [model(x) for model in self.models]
        if len({logits.shape for logits in found}) > 1:
            raise InputError(f"the models give logits of shapes {[tuple(f.shape) for f in found]}; expected the same")
        return torch.stack(found, 1)

    def fit(
        self, data: Split, *, steps: int = 500, learning_rate: float = 0.05, batch_size: int = 256, seed: int = 0
    ) -> History:
        """Learn the combiner on a split with columns x and y by SGD on the cross-entropy; the models stay as they are.

        Fitted anew, it starts anew. **Arguments:** as in `farfield.train.train`; ``seed``: of the batches.

        Raises InputError where the mode has nothing to fit, and on labels beyond the models' classes.
        """
        if self.mode in ("mean", "softmax"):
            raise InputError(f"mode is {self.mode!r}, which has nothing to fit; 'linear' and 'mlp' have")
        logits = torch.cat([predict(model, data) for model in self.models], 1)  # (n, models x classes)
        members = len(self.models)
        classes = logits.shape[1] // members
        y = column(data, "y")
        if int(y.min()) < 0 or int(y.max()) >= classes:
            raise InputError(f"y goes from {int(y.min())} to {int(y.max())}; the models have {classes} classes")
        self.combiner = self._new_combiner(members, classes)
        history = train(
            self.combiner,
            Table(x=logits, y=y),
            lambda model, batch: nn.functional.cross_entropy(model(batch["x"]), batch["y"]),
            torch.optim.SGD(self.combiner.parameters(), lr=learning_rate),
            steps=steps,
            batch_size=min(batch_size, len(y)),
            seed=seed,
        )
        parameter = next(self.models.parameters(), None)
        self.combiner.train(self.training)
        if parameter is not None:
            self.combiner.to(parameter.device)
        return history

    def _new_combiner(self, members: int, classes: int) -> nn.Module:
        width = members * classes
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            if self.mode == "linear":
                combiner = nn.Linear(width, classes)
                with torch.no_grad():
                    combiner.weight.copy_(torch.eye(classes).repeat(1, members) / members)
                    combiner.bias.zero_()
                return combiner
            hidden = self.hidden or width
            return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))
