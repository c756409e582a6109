import pytest
import torch

from farfield.errors import InputError
from farfield.nn import CrossAttentionDecoder, TokenDecoder, pretrained_token_decoder


def bart():
    from transformers import BartConfig, BartModel

    config = BartConfig(
        vocab_size=30, d_model=8, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=8, encoder_layers=1,
        encoder_attention_heads=2, encoder_ffn_dim=8, max_position_embeddings=16, dropout=0.0,
    )  # fmt: skip
    return BartModel(config)


@pytest.fixture(params=["gru", "bart"])
def decoder(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = TokenDecoder(6, 30, width=8) if request.param == "gru" else CrossAttentionDecoder(bart().decoder, 6, 30)
    return made.eval()


@torch.no_grad()
def test_a_position_sees_the_tokens_before_it_and_the_code_alone(decoder):
    tokens, code = torch.randint(2, 30, (2, 7), generator=torch.Generator().manual_seed(0)), torch.randn(2, 6)
    logits = decoder(tokens, code)
    assert logits.shape == (2, 7, 30)
    later = tokens.clone()
    later[:, 4] = (later[:, 4] + 1) % 30
    changed = decoder(later, code)
    torch.testing.assert_close(changed[:, :4], logits[:, :4])
    assert (changed[:, 4:] - logits[:, 4:]).abs().amax((0, 2)).min() > 1e-6
    assert not torch.allclose(decoder(tokens, code + 1), logits)


def test_the_decoder_of_a_saved_model_is_loaded(tmp_path):
    model = bart()
    model.save_pretrained(tmp_path / "bart")
    found = pretrained_token_decoder(str(tmp_path / "bart"), 8)
    assert isinstance(found.project, torch.nn.Identity) and found.out.out_features == 30
    for name, value in model.decoder.state_dict().items():
        assert torch.equal(found.decoder.state_dict()[name], value), name


def test_a_model_without_a_decoder_is_refused(tmp_path):
    from transformers import BertConfig, BertModel

    small = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
    BertModel(small).save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="has no decoder"):
        pretrained_token_decoder(str(tmp_path / "bert"), 8)
    with pytest.raises(InputError, match="must be at least 1"):
        TokenDecoder(0, 3)
