"""Errors name what came, and survive the way back from a worker process."""

import math
import pickle

import pytest

from farfield.errors import InputError, MissingExtra, NonFiniteLoss, nearest_names, unknown_name


@pytest.mark.parametrize(
    "error",
    [
        InputError("steps is 0"),
        MissingExtra("timm", extra="vision", needed_by="the model timm:resnet18"),
        NonFiniteLoss(step=3, value=math.inf, before=iter([1.0, 2.0])),
    ],
)
def test_an_error_crosses_process_borders_unchanged(error):
    # Our own objects, pickled by multiprocessing between our own processes.
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)


def test_missing_extra_is_an_input_error_that_says_what_to_install():
    with pytest.raises(InputError, match=r"needs the package timm.*pip install 'farfield\[vision\]'"):
        raise MissingExtra("timm", extra="vision", needed_by="the model timm:resnet18")


def test_a_non_finite_loss_is_no_fault_of_the_user():
    assert not isinstance(NonFiniteLoss(step=1, value=math.nan, before=[]), ValueError)
    assert str(NonFiniteLoss(step=1, value=math.nan, before=[])) == "the loss is nan at step 1; before it: nothing"


def test_unknown_names_show_the_nearest_else_all_known():
    assert str(unknown_name("method", "samm", ["erm", "sam"])) == "unknown method 'samm'; nearest: sam"
    assert str(unknown_name("method", "xyz", ["sam", "erm"])) == "unknown method 'xyz'; known: erm, sam"


def test_nearest_names_look_past_capitals_and_are_at_most_as_many_as_asked():
    assert nearest_names("SITE", ["Site", "site", "label"]) == ["Site", "site"]
    assert nearest_names("a1", ["a2", "a3", "a4", "a5"], most=2) == nearest_names("a1", ["a2", "a3", "a4", "a5"])[:2]
    assert nearest_names("qqq", ["label"]) == []
