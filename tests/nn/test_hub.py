import pytest
from transformers.utils import logging

from farfield.errors import InputError
from farfield.nn.hub import loading


def test_failures_become_one_sentence_and_logging_is_put_back(tmp_path):
    before = (logging.get_verbosity(), logging.is_progress_bar_enabled())
    with (
        pytest.raises(InputError, match=r"^the weights of hf:\S+ cannot be loaded: first line$"),
        loading(str(tmp_path), "weights"),
    ):
        raise OSError("first line\nsecond line")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_other_errors_are_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError), loading(str(tmp_path), "weights"):
        _ = 1 / 0


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "a/b/c"])
def test_a_path_that_is_no_folder_never_reaches_the_hub(path):
    with pytest.raises(InputError, match="there is no such folder"), loading(path, "weights"):
        raise AssertionError("not reached")


def test_a_folder_is_read_without_the_hub_and_without_its_code(tmp_path):
    with loading(str(tmp_path), "weights") as where:
        assert where == {"local_files_only": True, "trust_remote_code": False}
