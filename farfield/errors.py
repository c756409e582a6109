"""The errors that a user can cause, each with one clear sentence."""

import difflib
from collections.abc import Iterable
from functools import partial


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
        self._again = partial(MissingExtra, package, extra=extra, needed_by=needed_by)

    def __reduce__(self):
        # So that it crosses from a worker process: by default only the message would be handed to __init__.
        return self._again, ()


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite: names the step and the values that led there.

    >>> str(NonFiniteLoss(step=3, value=float("nan"), before=[2.0, 9.0]))
    'the loss is nan at step 3; before it: 2, 9'
    """

    def __init__(self, *, step: int, value: float, before: Iterable[float]):
        before = list(before)
        values = ", ".join(f"{v:.4g}" for v in before)
        super().__init__(f"the loss is {value} at step {step}; before it: {values or 'nothing'}")
        self._again = partial(NonFiniteLoss, step=step, value=value, before=before)

    def __reduce__(self):
        return self._again, ()


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not known, with the nearest known ones.

    >>> str(unknown_name("method", "samm", ["erm", "sam", "asam"]))
    "unknown method 'samm'; nearest: sam, asam"
    """
    known = list(known)
    nearest = nearest_names(name, known)
    if nearest:
        return InputError(f"unknown {kind} {name!r}; nearest: {', '.join(nearest)}")
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")


def nearest_names(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the known names that resemble this one, the nearest first; capitals make no difference.

    >>> nearest_names("Label", ["site", "label"])
    ['label']
    """
    by_lower: dict[str, list[str]] = {}
    for k in known:
        by_lower.setdefault(k.lower(), []).append(k)
    close = difflib.get_close_matches(name.lower(), by_lower, n=most, cutoff=0.5)
    return [k for c in close for k in by_lower[c]][:most]
