import re

import pandas as pd

from farfield.study.matrices import matrices

NAMES = ["raw", "mlp"]


def records(**columns):
    rows = [
        {
            "space": "absolute",
            "seed": s,
            "task": "digits",
            "matrix": [[0.9, None], [0.2 + 0.2 * s, 0.8]],
            "names": NAMES,
        }
        for s in (0, 1)
    ]
    rows += [{"space": "other", "seed": 0, "task": "digits"}]
    return pd.DataFrame(rows)


def figure(**options):
    return matrices(
        "matrix",
        "names",
        along="space",
        values=("absolute", "relative"),
        labels=("head", "encoder"),
        caption="",
        **options,
    )


def test_means_are_written_and_the_undefined_stays_empty():
    drawn = figure().draw(records())
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"90", "30", "80"} <= set(texts)
    assert "absolute" in texts and "relative" not in texts and "nan" not in texts
    assert texts.count("raw") == texts.count("mlp") == 2 and {"head", "encoder"} <= set(texts)


def test_nothing_to_draw():
    assert figure().draw(pd.DataFrame({"seed": [0]})) is None
    assert figure(where={"space": "other"}).draw(records()) is None
