import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.tasks.task import column
from farfield.trials import text_features
from farfield.trials.text_features import embedded, first_token_states

TASK = "platform-text?n=200"


@pytest.fixture(autouse=True)
def own_stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    text_features._embedded.cache_clear()


def test_embeddings_are_those_of_scikit_learn_fitted_to_the_training_texts():
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    raw, found = tasks.load(TASK, seed=1), embedded(TASK, width=8, seed=1)
    weigh, reduce = TfidfVectorizer(ngram_range=(1, 2), min_df=2), TruncatedSVD(8, random_state=0)
    train = reduce.fit_transform(weigh.fit_transform(raw.train.columns["x"]))
    far = reduce.transform(weigh.transform(raw.tests["platform 3"].columns["x"]))
    expected = (far - train.mean(0)) / train.std(0, ddof=1)
    np.testing.assert_allclose(column(found.tests["platform 3"], "x").numpy(), expected, rtol=1e-3, atol=1e-4)
    assert found.inputs.size == 8 and found.domains == raw.domains
    assert torch.equal(column(found.train, "domain"), column(raw.train, "domain"))
    assert float(column(found.train, "x").mean(0).abs().max()) < 1e-5


def test_cues_are_columns_and_a_word_never_seen_in_training_says_nothing():
    found = embedded(TASK, width=8, cues=["words:own", "words:sentiment"], seed=1)
    own, general = found.train.columns["cue 0"], found.train.columns["cue 1"]
    assert own.shape[1] == general.shape[1] // 2 == 2 and float(own.std(0).max()) == pytest.approx(1, abs=1e-4)
    # No made-up post holds a word of the general lists.
    assert not general.any() and torch.isfinite(general).all()


def test_a_frozen_encoder_gives_its_first_token_states(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "good", "bad", "book"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=16,
    ).save_pretrained(tmp_path / "bert")
    config = BertConfig(
        vocab_size=7,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path / "bert")
    found = first_token_states(["good book", "bad"], f"hf:{tmp_path / 'bert'}", length=8)
    ids = torch.tensor([[1, 4, 6, 2], [1, 5, 2, 0]])
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state[:, 0]
    torch.testing.assert_close(found, states, rtol=1e-4, atol=1e-5)


def test_bad_settings_are_named():
    for bad, says in (({"encoder": "lda"}, "encoder is 'lda'"), ({"width": 100_000}, "dimensions need more")):
        with pytest.raises(InputError, match=says):
            embedded(TASK, seed=0, **bad)
