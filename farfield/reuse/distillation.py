"""Several networks squeezed into one: a student with one head for each teacher."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.nn.evaluating import evaluating
from farfield.nn.tuning import Frozen
from farfield.reuse.concatenation import mean_head

TARGETS = ("logits", "features")


class Distill(nn.Module):
    """The loss of a student that has to match several teachers, each through a linear head of its own.

    One head per teacher, and not one on their mean, keeps what sets them apart in the student's features. Train its
    parameters (student and heads) on the source inputs, no labels are needed; afterwards the heads are dropped and
    ``student`` is used.

    **Arguments:**
    - ``student``: a module inputs -> features (rows, width).
    - ``teachers``: modules inputs -> what is matched, frozen in place and always in evaluation mode.
    - ``target``: "logits": the teachers give logits (rows, classes), the loss is ``tau^2 KL(teacher || head)`` of the
      tempered softmax, in nats; "features": they give features (rows, any width), the loss is 1 - cosine to the head.
    - ``tau``: temperature, above 0; for logits.
    - ``example``: inputs of at least one row, of which widths are read.
    - ``seed``: of the heads' weights.

    The call takes inputs and returns the mean over rows and teachers, a scalar.

    Raises InputError without a teacher, on another target, a temperature that is not above 0, or outputs that are no vectors.

    Source: Zhang & Bottou, ICML 2023, section 4 (Distill_n). The loss is not in the released code: logits are those of the
    synthesis in Zhang, Lopez-Paz, Bottou, ICML 2022; which one the paper used is not known to us.

    >>> x = torch.eye(4)
    >>> loss = Distill(nn.Linear(4, 3), [nn.Linear(4, 2), nn.Linear(4, 2)], example=x)
    >>> len(loss.heads), loss(x).ndim, loss.source_head()
    (2, 0, Linear(in_features=3, out_features=2, bias=True))
    """

    def __init__(
        self,
        student: nn.Module,
        teachers: Sequence[nn.Module],
        target: Literal["logits", "features"] = "logits",
        tau: float = 1.0,
        *,
        example: Tensor,
        seed: int = 0,
    ):
        super().__init__()
        if target not in TARGETS:
            raise unknown_name("target", target, TARGETS)
        if not len(teachers):
            raise InputError("teachers is empty; expected at least one module")
        if not 0 < tau < float("inf"):
            raise InputError(f"tau is {tau}; it must be above 0")
        self.student, self.target, self.tau = student, target, tau
        self.teachers = nn.ModuleList(Frozen(t) for t in teachers)
        width = _width(student, example, "student")
        outputs = [_width(teacher, example, f"teacher {i}") for i, teacher in enumerate(self.teachers)]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.heads = nn.ModuleList(nn.Linear(width, out) for out in outputs).to(example.device)

    def forward(self, x: Tensor) -> Float[Tensor, ""]:
        features = self.student(x)  # (n, width)
        total = features.new_zeros(())
        for teacher, head in zip(self.teachers, self.heads):
            with torch.no_grad():
                wanted = teacher(x)
            given = head(features)
            if self.target == "features":
                total = total + (1 - nn.functional.cosine_similarity(given, wanted, dim=1)).mean()
            else:
                given, wanted = (v.div(self.tau).log_softmax(1) for v in (given, wanted))
                divergence = nn.functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
                total = total + self.tau**2 * divergence
        return total / len(self.heads)

    def source_head(self) -> nn.Linear:
        """Return the mean of the heads, for a prediction on the source task without training.

        Raises InputError where features were matched: their heads predict no class.
        """
        if self.target != "logits":
            raise InputError("the heads match features; a head for the source task needs target='logits'")
        return mean_head(list(self.heads))


def _width(module: nn.Module, example: Tensor, what: str) -> int:
    with torch.no_grad(), evaluating(module):
        found = module(example)
    if found.ndim != 2 or not len(found):
        raise InputError(f"the {what} gives outputs of shape {tuple(found.shape)}; expected (rows, width)")
    return found.shape[1]
