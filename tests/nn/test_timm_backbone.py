import importlib.util

import pytest

from farfield import nn
from farfield.errors import MissingExtra


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_an_absent_timm_is_named_with_its_extra(image_task):
    with pytest.raises(MissingExtra, match=r"the model timm:resnet18 needs the package timm.*farfield\[vision\]"):
        nn.load("timm:resnet18", image_task())
