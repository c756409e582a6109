"""Which of two features a new linear classifier follows where both would do."""

from jaxtyping import Float

from farfield.errors import InputError
from farfield.measure._arrays import Array
from farfield.measure.variance import _rows


def shortcut_reliance(reps: Float[Array, "n h"], easy: Array, hard: Array, *, strength: float = 1.0) -> float:
    """Return the share of decisions that follow the easy feature where the two disagree, from 0 (all follow the hard) to 1.

    Logistic regression on the representation learns a label that both features give, from the rows where they agree, and
    decides the rows where they do not. Which one it follows is a matter of how strongly each is represented, since both
    would be right. A decision on the boundary counts half. The representation is brought to mean 0 and mean squared length
    1 first, so that a common scale changes nothing.

    **Arguments:** ``reps``: (n, h); ``easy``, ``hard``: (n,) of two values each, the larger ones matching; ``strength``: inverse of
    the L2 penalty (scikit-learn's C), above 0.

    Raises InputError where rows do not match, a feature has not two values, or there are no rows of each label to learn from
    or no rows in conflict.

    Source: Lampinen, Chan, Hermann, TMLR 2024 (downstream bias); Hermann, Lampinen, NeurIPS 2020.

    >>> import numpy as np
    >>> easy, hard = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]] * 5).T
    >>> shortcut_reliance(np.stack([10 * easy, hard], 1), easy, hard), shortcut_reliance(np.stack([easy, hard], 1), easy, hard)
    (1.0, 0.5)
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if not strength > 0:
        raise InputError(f"strength is {strength}; it must be above 0")
    x = _rows.representations(reps)
    first, second = (_rows.binary(f, name, x).cpu().numpy() for f, name in ((easy, "easy"), (hard, "hard")))
    agree = first == second
    if agree.all():
        raise InputError("easy and hard agree in all rows; without a conflict there is nothing to decide")
    if len(np.unique(first[agree])) < 2:
        raise InputError("the rows where easy and hard agree do not hold both labels; there is nothing to learn from")
    values = x.double().cpu().numpy()
    values = values - values[agree].mean(0)
    size = np.sqrt(np.square(values[agree]).sum(1).mean())
    if size == 0:
        raise InputError("all rows of reps where easy and hard agree are the same; there is nothing to learn from")
    model = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000).fit(values[agree] / size, first[agree])
    margin = model.decision_function(values[~agree] / size)
    # What rounding leaves of an exact tie is no decision.
    tie = np.abs(margin) <= 1e-6 * np.abs(model.decision_function(values[agree] / size)).mean()
    return float(np.where(tie, 0.5, (margin > 0) == first[~agree]).mean())
