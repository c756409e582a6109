"""The sentences: the level of agreement and collapse, and what to look out for."""

import numpy as np
import pytest

from farfield.inspect import inspect
from farfield.inspect.summary import summary


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(200, 8))


def said(*embeddings, **more):
    return " ".join(summary(inspect(*embeddings, **more).results))


def test_agreement_in_words(cloud):
    turned = cloud @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    assert "a and b agree closely" in said({"a": cloud, "b": turned})
    noisy = turned + np.random.default_rng(2).normal(size=turned.shape)
    assert "a and b agree in part" in said({"a": cloud, "b": noisy})
    assert "a and b hardly agree" in said({"a": cloud, "b": np.random.default_rng(3).normal(size=(200, 8))})


def test_collapse_in_words(cloud):
    y = np.arange(200) % 4
    corners = np.eye(8)[y]
    # The variance is 8 scale^2 and the squared distance about 2, so that CDNV is about 4 scale^2.
    levels = {
        0.05: "have largely collapsed",
        0.2: "are well apart",
        0.5: "are as wide as they are apart",
        5: "lie almost wholly over each other",
    }
    for scale, words in levels.items():
        assert f"its classes {words}" in said({"a": corners + scale * cloud}, labels=y)


def test_warnings(cloud):
    copies = np.concatenate([cloud, cloud[:20]])
    assert "repeat another one: a" in said({"a": copies})
    assert "one value only and can be dropped: a" in said({"a": np.concatenate([cloud, np.ones((200, 1))], 1)})
    assert "mean cosine above 0.5): a" in said({"a": cloud + 10})
    assert "rules all distances: a" in said({"a": cloud * [30, 1, 1, 1, 1, 1, 1, 1]})
    wide = np.random.default_rng(4).normal(size=(30, 60))
    assert "fewer rows than columns" in said({"a": wide, "b": wide + 1})
    hubs = np.random.default_rng(5).normal(size=(500, 300))
    assert "(hubs): a" in said({"a": hubs})


def test_a_clean_cloud_has_no_warning(cloud):
    assert len(summary(inspect({"a": cloud}).results)) == 1


def test_layers_are_told_from_first_to_last(inspected):
    sentences = summary(inspected.results)
    assert sentences[0].startswith("From <m>$0.npz/layer0 to <m>$0.npz/layer2: the participation ratio goes from")
    assert any("told by those of the other models" in s for s in sentences)
