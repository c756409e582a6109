import pandas as pd

from farfield.study.property_figures import cloud


def rows():
    table = {"d": [1.0, 2.0, 4.0], "loss": [0.1, 0.2, 0.4], "k": [1.0, 10.0, 100.0], "group": ["a", "a", "b"]}
    return pd.DataFrame({**table, "seed": [0, 1, 0]})


def draw(records, **options):
    labels = ("dimension", "loss, nats", "sharpness")
    return cloud("d", "loss", "k", "group", labels=labels, caption="", name="cloud", **options).draw(records)


def test_it_names_its_axes_and_groups_and_draws_a_point_per_record():
    svg = draw(rows())
    for text in ("dimension", "loss, nats", "sharpness", ">a<", ">b<"):
        assert text in svg
    assert svg == draw(rows())


def test_the_colour_is_that_of_the_third_number():
    before, after = draw(rows()), draw(rows().assign(k=[1.0, 50.0, 100.0]))
    assert before != after


def test_equality_adds_a_line_and_records_can_be_chosen():
    assert draw(rows(), equality=True).count("<path") > draw(rows()).count("<path")
    assert ">b<" not in draw(rows(), where={"group": "a"})


def test_nothing_to_draw_is_none():
    assert draw(rows().drop(columns="k")) is None
    assert draw(rows().assign(k=0.0)) is None
    assert draw(rows(), where={"group": "c"}) is None
