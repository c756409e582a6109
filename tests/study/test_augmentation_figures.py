"""What the figures of augmentation studies show of records."""

import re

import numpy as np
import pandas as pd
import pytest

from farfield.study.augmentation_figures import augmented_images, by_strength


def records():
    rows = []
    for seed in range(3):
        for arm, strength in (("none", 0.0), ("mild", 0.5), ("strong", 2.0)):
            picture = np.zeros((2, 4, 4, 1))
            picture[:, 1, 1:3] = strength / 2
            rows.append(
                {"arm": arm, "seed": seed, "near": 0.9 - 0.1 * strength + 0.01 * seed, "pictures": picture.tolist()}
            )
    return pd.DataFrame(rows)


def test_accuracy_by_strength_has_a_line_for_each_metric_that_is_there():
    figure = by_strength(
        {"near": "here", "far": "elsewhere"},
        {"none": 0.0, "mild": 0.5, "strong": 2.0},
        along="arm",
        baseline="none",
        labels=("strength", "accuracy"),
        caption="",
    )
    svg = figure.draw(records())
    assert svg.startswith("<svg") and ">here<" in svg and ">elsewhere<" not in svg
    assert ">strength<" in svg and ">accuracy<" in svg
    assert figure.draw(records()[lambda r: r.arm == "none"]) is None
    assert figure.draw(records().drop(columns="near")) is None


def test_a_single_seed_is_drawn_without_a_band():
    figure = by_strength(
        {"near": "here"}, {"none": 0.0, "mild": 0.5}, along="arm", baseline="none", labels=("x", "y"), caption=""
    )
    assert figure.draw(records()[lambda r: r.seed == 0]).startswith("<svg")


def test_images_are_drawn_as_shapes_in_their_own_colours():
    figure = augmented_images("pictures", ("none", "strong", "absent"), along="arm", caption="")
    svg = figure.draw(records())
    assert ">none<" in svg and ">strong<" in svg and ">absent<" not in svg
    assert "<image" not in svg
    # Black for every image, white where the strong ones have ink: two images of each.
    assert (
        len(re.findall("stroke: #000000; stroke-width: 0.2", svg)) == 4 and len(re.findall("fill: #ffffff", svg)) == 2
    )
    assert figure.draw(records().drop(columns="pictures")) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_the_studys_size_stay_small(channels):
    random = np.random.default_rng(0)
    rows = [{"arm": str(i), "seed": 0, "pictures": random.random((8, 14, 14, channels)).tolist()} for i in range(2)]
    svg = augmented_images("pictures", [str(i) for i in range(2)], along="arm", caption="").draw(pd.DataFrame(rows))
    assert len(svg) < 2 * 5 * 14 * 14 * 350
