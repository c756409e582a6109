"""A real shift between two data sets of handwritten digits at 8x8: scikit-learn's digits and MNIST.

Other writers, other pens, other scanners, and another preparation of the images: nothing is simulated here.
"""

import hashlib

import numpy as np
import torch

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.sources import area_average, load_source
from farfield.tasks.split import assign, duplicate_groups, duplicate_notes
from farfield.tasks.task import Classes, Image, Table, Task

NAMES: tuple[str, ...] = ("digits-mnist/to-mnist", "digits-mnist/to-digits")


def expand(name: Name) -> list[Name]:
    """Return both directions for ``digits-mnist``, or the name itself.

    >>> from farfield.names import parse
    >>> [n.path for n in expand(parse("digits-mnist"))]
    ['digits-mnist/to-mnist', 'digits-mnist/to-digits']
    """
    if name.path == "digits-mnist":
        return [Name(name.kind, path, dict(name.options)) for path in NAMES]
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task that trains on one data set (60/20/20 into training, validation, near test) and tests on the other.

    scikit-learn's digits are bitmaps of 32x32, of which each 4x4 block was counted. MNIST's digits lie in the central
    20x20 box of their 28x28 images, which is averaged by area to 8x8; ink that reaches outside the box is cut off.
    All of the other data set (1,797 digits, or MNIST's 10,000 test images) is the far test.

    Raises InputError on an unknown name or option, or where MNIST cannot be had.
    """
    if name.path == "digits-mnist":
        raise InputError(f"{name.path} stands for several tasks; load one of {', '.join(NAMES)}")
    expand(name)
    name.check_options([])
    digits, mnist = load_source("digits"), load_source("mnist")
    reduced = area_average(mnist.images[:, :, 4:24, 4:24].float() / 255, 8, 8).clamp_(0, 1)
    x = torch.cat([digits.images, reduced])
    y = np.concatenate([digits.labels, mnist.labels])
    home = np.repeat([0, 1], [len(digits.labels), len(mnist.labels)])
    names = ("digits", "mnist")
    test = names.index(name.path.rpartition("to-")[2])
    groups = duplicate_groups(x.numpy())
    a = assign(y, home, test_domains=[test], groups=groups, seed=seed)

    def table(rows: np.ndarray, **columns: torch.Tensor) -> Table:
        return Table(x=x[torch.from_numpy(rows)], y=y[rows], **columns)

    train, val, iid = (table(r, domain=torch.zeros(len(r), dtype=torch.long)) for r in (a.train, a.val, a.iid))
    return Task(
        str(name),
        train,
        val,
        {"iid": iid, names[test]: table(a.tests[test])},
        Image(1, 8, 8),
        Classes(10),
        domains=(names[1 - test],),
        notes=(*mnist.notes, *duplicate_notes(groups, a.dropped)),
        fingerprint=hashlib.sha256(f"{digits.fingerprint} {mnist.fingerprint} {name}".encode()).hexdigest(),
    )
