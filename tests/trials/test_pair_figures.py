"""The tree of classes: leaves in the tree's order, with their words."""

import re

import pandas as pd

from farfield.trials.pair_figures import class_tree

FIGURE = class_tree("relations", "class_names", where={"way": "hydra"}, label="distance", caption="")


def records():
    # a and c are alike, and b and d.
    relations = [[1.0, 0.1, 0.9, 0.2], [0.1, 1.0, 0.2, 0.8], [0.9, 0.2, 1.0, 0.1], [0.2, 0.8, 0.1, 1.0]]
    names = [["a", "red"], ["b", "blue"], ["c", "red"], ["d", "blue"]]
    row = {"way": "hydra", "seed": 1, "relations": relations, "class_names": names}
    later = {**row, "seed": 2, "class_names": [["x", "y"]] * 4}
    return pd.DataFrame([later, row, {**row, "way": "simclr", "relations": None, "class_names": None}])


def test_like_classes_stand_side_by_side():
    drawn = FIGURE.draw(records())
    leaves = re.findall(r">([abcd])<", drawn)
    assert sorted(leaves) == list("abcd")
    assert {frozenset(leaves[:2]), frozenset(leaves[2:])} == {frozenset("ac"), frozenset("bd")}
    assert "distance" in drawn and drawn.count(">red<") == 2 and ">x<" not in drawn


def test_without_relations_there_is_nothing_to_draw():
    assert FIGURE.draw(records().query("way == 'simclr'")) is None
    assert FIGURE.draw(pd.DataFrame({"way": ["hydra"], "seed": [0]})) is None
