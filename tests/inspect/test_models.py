"""Layers of named models: the rows of the split, the layers of the model, the trained head where there is one."""

import numpy as np
import pytest
import torch

from farfield import nn, tasks
from farfield.compare import compare, save_best
from farfield.errors import InputError
from farfield.inspect import inspect
from farfield.inspect.models import read_layers
from farfield.measure import activations, open_activations


def test_layers_are_those_of_the_model_on_the_split():
    task = tasks.load("digits/noise")
    found = read_layers(["mlp?hidden=16"], "digits/noise", layers=["head:input", "head"], split="val")
    wanted = activations(nn.load("mlp?hidden=16", task), task.val, ["head:input", "head"])
    for r in found.representations:
        torch.testing.assert_close(r.rows, wanted[r.part])
    assert found.labels.y.tolist() == task.val.columns["y"].tolist()
    assert any("not trained" in note for note in found.notes) and found.heads == {}


def test_default_layers_end_with_what_the_head_reads_and_hold_no_copies():
    found = read_layers(["cnn"], "digits/noise")
    parts = [r.part for r in found.representations]
    assert parts[-1] == "head:input" and "head" not in parts and len(parts) >= 5
    for one, other in zip(found.representations, found.representations[1:]):
        assert one.rows.shape != other.rows.shape or not torch.equal(one.rows, other.rows)


def test_a_saved_model_brings_its_trained_head(tmp_path):
    done = compare("digits/noise", methods=["erm"], model="mlp?hidden=32", seeds=1, steps=200, workers=1, out=tmp_path)
    saved = save_best(done, tmp_path / "best.safetensors")
    found = inspect(model=str(saved), data="digits/noise", layers="head:input")
    numbers = {n["measure"]: n["value"] for n in found.results["numbers"]}
    assert numbers["linear_probe"] > 0.85 and numbers["ncc_agreement"] > 0.8 and numbers["dual_cosine"] > 0.4
    assert not any("not trained" in note for note in found.results["notes"])
    without_suffix = inspect(model=str(tmp_path / "best"), data="digits/noise", layers="head:input")
    assert without_suffix.results["numbers"][5]["value"] == found.results["numbers"][5]["value"]


def test_kept_layers_can_be_inspected_again(tmp_path):
    inspect(model="linear", data="digits/noise", layers=["head"], keep=tmp_path)
    (folder,) = tmp_path.iterdir()
    (rows,) = open_activations(folder).values()
    again = inspect(folder)
    assert again.results["representations"][0]["columns"] == rows.shape[1]


def test_text_reaches_a_hugging_face_model(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    monkeypatch.chdir(tmp_path)
    words = [f"w{i}" for i in range(30)]
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    core = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_max_length=16,
    ).save_pretrained("bert")  # fmt: skip
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained("bert")
    rng = np.random.default_rng(0)
    lines = ["text,kind,place"]
    lines += [f"{' '.join(rng.choice(words, rng.integers(2, 9)))},{'ab'[i % 2]},{'xy'[i // 2 % 2]}" for i in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    found = inspect(model="hf:bert", data="csv:t.csv?target=kind&domain=place&text=text", layers="**.layer.?")
    names = [r["part"] for r in found.results["representations"]]
    assert [name.rpartition(".")[2] for name in names] == ["0", "1"]
    assert all(r["columns"] == 8 for r in found.results["representations"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "digits"}, "digits is 3 tasks; name one of them"),
        ({"data": "digits/noise", "split": "ids"}, "unknown split of digits/noise 'ids'; nearest: iid"),
        ({"data": "digits/noise", "layers": ["hed"]}, "unknown layer of Classifier 'hed'; nearest: head"),
        ({"data": "digits/noise", "pool": "mena"}, "unknown pool 'mena'"),
        ({"data": "nothing"}, "unknown task"),
    ],
)
def test_what_does_not_fit(arguments, message):
    with pytest.raises(InputError, match=message):
        read_layers(["linear"], **arguments)
    with pytest.raises(InputError, match="unknown model"):
        read_layers(["cnm"], "digits/noise")
    with pytest.raises(InputError, match="the model linear comes twice"):
        read_layers(["linear", "linear"], "digits/noise")
