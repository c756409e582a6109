import pandas as pd
import pytest

from farfield.trials.shared_feature import EXPECTED, closed_forms, trial


def test_closed_forms():
    assert trial() == pytest.approx(EXPECTED, abs=1e-9)


def test_the_check_sees_a_wrong_number_a_missing_one_and_no_record_at_all():
    right = trial()
    assert closed_forms(pd.DataFrame([right, dict.fromkeys(right)]))
    assert not closed_forms(pd.DataFrame([right, {**right, "random_error": 0.9}]))
    assert not closed_forms(pd.DataFrame([dict.fromkeys(right)]))
    assert not closed_forms(pd.DataFrame({"seed": [0]}))
