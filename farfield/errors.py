"""The errors that a user can cause, each with one clear sentence."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that was given does not fit: names what came and what is expected.

    The command line prints its message and ends with exit code 2, before any compute.

    >>> raise InputError("steps is 0; it must be at least 1")
    Traceback (most recent call last):
    farfield.errors.InputError: steps is 0; it must be at least 1
    """


class MissingExtra(InputError):
    """An optional dependency is not installed: names the extra that brings it.

    >>> str(MissingExtra("timm", extra="vision", needed_by="the model timm:resnet18"))
    "the model timm:resnet18 needs the package timm, which is not installed: pip install 'farfield[vision]'"
    """

    def __init__(self, package: str, *, extra: str, needed_by: str):
        super().__init__(
            f"{needed_by} needs the package {package}, which is not installed: pip install 'farfield[{extra}]'"
        )


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite: names the step and the values that led there.

    >>> str(NonFiniteLoss(step=3, value=float("nan"), before=[2.0, 9.0]))
    'the loss is nan at step 3; before it: 2, 9'
    """

    def __init__(self, *, step: int, value: float, before: Iterable[float]):
        values = ", ".join(f"{v:.4g}" for v in before)
        super().__init__(f"the loss is {value} at step {step}; before it: {values or 'nothing'}")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not known, with the nearest known ones.

    >>> str(unknown_name("method", "samm", ["erm", "sam", "asam"]))
    "unknown method 'samm'; nearest: sam, asam"
    """
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if nearest:
        return InputError(f"unknown {kind} {name!r}; nearest: {', '.join(nearest)}")
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")
