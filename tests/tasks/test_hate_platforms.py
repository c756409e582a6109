"""The rules by which two published data sets become platforms, on rows in their published form; the sets are not here."""

import pandas as pd
import pytest

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import hate_platforms
from farfield.tasks.hate_platforms import GROUPS, hatexplain, measuring
from farfield.tasks.task import column


def post(i, labels, targets, platform="gab"):
    return {
        "id": f"{i}_{platform}",
        "post_tokens": ["post", str(i)],
        "annotators": {"label": labels, "target": targets},
    }


def comment(i, score, platform=2, **marked):
    groups = {f"target_{g}": marked.get(g, False) for g in GROUPS[:7]}
    return {"comment_id": i, "text": f"comment {i}", "platform": platform, "hate_speech_score": score, **groups}


def test_hatexplain_takes_majorities_and_leaves_offensive_and_undecided_posts_out():
    rows = [
        post(0, [0, 0, 1], [["Women"], ["Women", "African"], ["None"]]),
        post(1, [1, 1, 2], [["None"], [], ["Other"]], "twitter"),
        post(2, [2, 2, 0], [["Men"], ["Men"], ["Men"]]),
        post(3, [0, 1, 2], [["Men"], ["Men"], ["Men"]]),
        post(4, [0, 0, 0], [["Islam"], ["Arab"], ["Jewish"]]),
    ]
    found = hatexplain(rows)
    assert found["text"].tolist() == ["post 0", "post 1", "post 4"]
    assert found["platform"].tolist() == ["gab", "twitter", "gab"] and found["y"].tolist() == [1, 0, 1]
    assert [GROUPS[t] for t in found["target"]] == ["gender", "other", "religion"]


def test_measuring_hate_speech_takes_one_row_per_comment():
    annotations = pd.DataFrame(
        [
            comment(1, 0.8, age=True),
            comment(1, 0.8, age=True, race=True),
            comment(2, -1.5),
            comment(3, 0.2, race=True),
            comment(4, -0.5),
        ]
    )
    found = measuring(annotations)
    assert found["text"].tolist() == ["comment 1", "comment 2"] and found["y"].tolist() == [1, 0]
    assert [GROUPS[t] for t in found["target"]] == ["age", "other"] and set(found["platform"]) == {"mhs-2"}


def test_a_task_is_trained_on_one_platform(monkeypatch):
    rows = [post(i, [i % 2] * 3, [["Women"] if i % 4 < 2 else ["Refugee"]]) for i in range(80)]
    rows += [post(100 + i, [i % 2] * 3, [["Gay"]], "twitter") for i in range(20)]
    posts = pd.concat([hatexplain(rows), measuring(pd.DataFrame([comment(i, 1.0 - 3 * (i % 2)) for i in range(20)]))])
    monkeypatch.setattr(hate_platforms, "_posts", lambda: posts.reset_index(drop=True))
    task = tasks.load("hate-platforms/gab", seed=0)
    assert task.domains == ("origin", "gender") and task.far == ("twitter", "mhs-2")
    assert len(task.train) + len(task.val) + len(task.tests["iid"]) == 80
    assert set(column(task.train, "domain").tolist()) == {0, 1}
    # A group that the platform lacks has no number there.
    assert set(column(task.tests["twitter"], "domain").tolist()) == {-1}
    with pytest.raises(InputError, match="expected both classes"):
        tasks.load("hate-platforms/mhs-0")


def test_names_and_where_the_data_lies():
    assert tasks.hub_ids("hate-platforms/twitter") == hate_platforms.HUB
    with pytest.raises(InputError, match="unknown task"):
        tasks.expand("hate-platforms/gabb")
