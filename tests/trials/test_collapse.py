"""Training from scratch and measuring, on a text and sizes small enough to check by other means."""

import math

import pytest
import torch

from farfield.nn import TinyCausalLM
from farfield.study.stage import VARIABLE, folder
from farfield.tasks import Table
from farfield.trials.collapse import batches, corpus, digits_classifier, fit, language_model

SETTINGS = {
    "text": "",
    **{"model": None, "types": 8, "block": 7, "blocks": None, "heads": 2, "min_count": 1, "device": "cpu"},
    **{"batch": 16, "learning_rate": 1e-2, "warmup": 5, "weight_decay": 0.0},
}


@pytest.fixture
def text(tmp_path, monkeypatch):
    """A text whose next word is certain, given the last."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    (tmp_path / "wheel.txt").write_text("one two three four five six seven eight " * 600)
    return str(tmp_path / "wheel.txt")


def run(text, **changed):
    asked = {"width": 16, "depth": 1, "epochs": 3, "shuffled": False, "seed": 0} | changed
    found = language_model(**asked, settings=SETTINGS | {"text": text})
    return {name: float(value) for name, value in found.items()}


def test_what_can_be_learned_is_learned_and_collapses(text):
    trained, untrained, shuffled = run(text), run(text, epochs=0), run(text, shuffled=True)
    assert untrained["loss"] == pytest.approx(math.log(9), abs=0.2)
    assert trained["loss"] < 0.1 and trained["accuracy"] > 0.98
    # Nothing but the eight equal frequencies is left in random order.
    assert shuffled["loss"] == pytest.approx(math.log(8), abs=0.05)
    assert trained["cdnv"] < untrained["cdnv"] and trained["cdnv"] < shuffled["cdnv"]
    assert trained["agreement"] > 0.9
    assert trained["classes"] == 8 and trained["examples"] == (4320 - 1) // 7 * 7
    assert trained["parameters"] == sum(p.numel() for p in TinyCausalLM(9, 16, 1, 2, 7).parameters())


def test_the_seed_decides_and_a_text_is_read_once(text):
    first, other = run(text), run(text, seed=1)
    for stored in folder().glob("language_model-*.safetensors"):
        stored.unlink()
    assert run(text) == first != other
    assert len(list(folder().glob("corpus-*.safetensors"))) == 1
    assert corpus(text=text, types=8, block=7, hub=None)["vocabulary"] == 9


def test_the_learning_rate_rises_and_falls_to_zero(monkeypatch):
    rates, model = [], TinyCausalLM(5, 4, 1, 1, 4)
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    rows = torch.randint(5, (20, 5), generator=torch.Generator().manual_seed(0))
    fit(model, Table(x=rows[:, :-1], y=rows[:, 1:]), 20, 1.0, 0.0, 4, 5, 0)
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == pytest.approx([(20 - i) / 16 for i in range(5, 20)])


def test_digits_are_measured_along_one_training(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    both, alone = digits_classifier(epochs=[0, 2, 4], seed=0), digits_classifier(epochs=[4], seed=0)
    assert both["accuracy"][0] < 0.3 < 0.7 < both["accuracy"][2]
    assert float(both["cdnv"][2]) == pytest.approx(float(alone["cdnv"][0]), rel=1e-5)


def test_batches_cover_a_split_once_in_order():
    table = Table(y=torch.arange(7))
    assert torch.cat([b["y"] for b in batches(table, 3)]).tolist() == list(range(7))


def test_the_path_of_the_full_preset_with_local_folders(tmp_path, monkeypatch):
    """GPT-Neo on a data set and a tokenizer of Hugging Face, as on TinyStories but for the size."""
    import datasets
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))
    words = ["<end>", "one", "two", "three", "four"]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<end>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>").save_pretrained(tmp_path / "model")
    stories = datasets.Dataset.from_dict({"text": ["one two three four"] * 150})
    datasets.DatasetDict(train=stories, validation=stories.select(range(20))).save_to_disk(tmp_path / "stories")
    settings = SETTINGS | {"text": f"hf:{tmp_path / 'stories'}", "model": f"hf:{tmp_path / 'model'}", "heads": 4}
    asked = {"width": 16, "depth": 2, "shuffled": False, "seed": 0, "settings": settings}
    before, after = (language_model(epochs=epochs, **asked) for epochs in (0, 20))
    # Five tokens to a story, its end among them; the first of the text is no label.
    assert int(before["examples"]) == (750 - 1) // 7 * 7 and int(before["classes"]) == 5
    assert float(before["loss"]) == pytest.approx(math.log(5), abs=0.2) and float(after["loss"]) < 0.1
