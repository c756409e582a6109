"""Small tasks made by hand, so that tests of models need no data set."""

import pytest
import torch

from farfield.tasks.task import Classes, Image, Table, Task, Text, Tokens, Vector


def make_task(inputs, *, classes=3, n=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if isinstance(inputs, Image):
        x = torch.rand(n, inputs.channels, inputs.height, inputs.width, generator=generator)
    elif isinstance(inputs, Vector):
        x = torch.randn(n, inputs.size, generator=generator)
    elif isinstance(inputs, Tokens):
        x = torch.randint(1, inputs.vocabulary, (n, inputs.length), generator=generator)
    else:
        words = ["good", "bad", "book", "film", "a", "the", "not", "very"]
        picks = torch.randint(0, len(words), (n, 5), generator=generator).tolist()
        x = [" ".join(words[i] for i in row) for row in picks]
    rows = Table(x=x, y=torch.arange(n) % classes, domain=torch.arange(n) % 2)
    return Task("hand", rows, rows, {"iid": rows, "far": rows.take([0, 1])}, inputs, Classes(classes), ("a", "b"))


@pytest.fixture
def image_task():
    return lambda channels=1, height=8, width=None, **more: make_task(Image(channels, height, width or height), **more)


@pytest.fixture
def vector_task():
    return lambda size=6, **more: make_task(Vector(size), **more)


@pytest.fixture
def text_task():
    return lambda **more: make_task(Text(), **more)


@pytest.fixture
def token_task():
    return lambda vocabulary=20, length=6, **more: make_task(Tokens(vocabulary, length), **more)
