"""Losses summed over prefixes: the released code's numbers, sentence-transformers' loss on the same batch, closed
forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from farfield.errors import InputError
from farfield.losses import InfoNCE, MatryoshkaCrossEntropy, MatryoshkaLoss

ORACLE = np.load(Path(__file__).parents[1] / "data" / "matryoshka.npz", allow_pickle=False)
Y = torch.from_numpy(ORACLE["y"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("loss_mrl", {}),
        ("loss_mrl_smooth", {"label_smoothing": float(ORACLE["smoothing"])}),
        ("loss_mrl_weighted", {"weights": ORACLE["rel_importance"].tolist()}),
        ("loss_mrl_weighted", {"weights": torch.from_numpy(ORACLE["rel_importance"])}),
    ],
)
def test_the_released_codes_loss(name, options):
    loss = MatryoshkaCrossEntropy(**options)(torch.from_numpy(ORACLE["mrl_logits"]), Y)
    assert float(loss) == pytest.approx(float(ORACLE[name]), abs=1e-5)


def test_the_released_codes_loss_of_tied_weights():
    loss = MatryoshkaCrossEntropy()(torch.from_numpy(ORACLE["mrle_logits"]), Y)
    assert float(loss) == pytest.approx(float(ORACLE["loss_mrle"]), abs=1e-5)


def test_the_released_codes_gradient():
    x = torch.from_numpy(ORACLE["x"]).requires_grad_()
    logits = [
        x[:, :m] @ torch.from_numpy(ORACLE[f"mrl_w{i}"]).T + torch.from_numpy(ORACLE[f"mrl_b{i}"])
        for i, m in enumerate(ORACLE["nesting"].tolist())
    ]
    MatryoshkaCrossEntropy()(logits, Y).backward()
    torch.testing.assert_close(x.grad, torch.from_numpy(ORACLE["grad_x_mrl"]), atol=1e-5, rtol=1e-5)


def test_logits_of_zeros_cost_the_log_of_the_classes_at_each_size():
    logits = [torch.zeros(4, 1000)] * 9
    assert float(MatryoshkaCrossEntropy()(logits, torch.arange(4))) == pytest.approx(9 * math.log(1000))
    assert 9 * math.log(1000) == pytest.approx(62.1698, abs=1e-4)


def test_one_size_is_cross_entropy_and_weights_are_linear():
    logits = torch.from_numpy(ORACLE["mrl_logits"]).double()
    assert float(MatryoshkaCrossEntropy()(logits[:1], Y)) == pytest.approx(float(cross_entropy(logits[0], Y)))
    each = [float(cross_entropy(one, Y, reduction="sum")) for one in logits]
    weights = [0.0, 3.0, 0.5, 2.0]
    loss = MatryoshkaCrossEntropy(weights, reduction="sum")(logits, Y)
    assert float(loss) == pytest.approx(sum(w * value for w, value in zip(weights, each)))


def test_positions_without_a_label_are_left_out():
    logits = torch.from_numpy(ORACLE["mrl_logits"])
    y = Y.clone()
    y[5:] = -100
    sequence = MatryoshkaCrossEntropy()(logits.reshape(4, 2, 5, 7), y.reshape(2, 5))
    assert float(sequence) == pytest.approx(float(MatryoshkaCrossEntropy()(logits[:, :5], Y[:5])), abs=1e-5)


def test_weights_go_with_the_precision_of_the_losses():
    logits = [torch.zeros(2, 3, dtype=torch.bfloat16)] * 2
    assert MatryoshkaCrossEntropy([1.0, 0.5])(logits, Y[:2]).dtype == torch.bfloat16


def test_prefixes_are_brought_to_length_one_after_the_cut():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 6, 8, generator=generator)
    plain = InfoNCE(temperature=0.2, normalize=False)
    expected = sum(
        w * plain(normalize(a[:, :m], dim=1), normalize(b[:, :m], dim=1)) for m, w in ((8, 1.0), (4, 0.5), (2, 0.25))
    )
    found = MatryoshkaLoss(plain, [8, 4, 2], [1.0, 0.5, 0.25])(a, b)
    torch.testing.assert_close(found, expected)
    # The order of the sizes makes no difference where the weights go with them.
    torch.testing.assert_close(MatryoshkaLoss(plain, [2, 4, 8], [0.25, 0.5, 1.0])(a, b), expected)
    # Cut after normalising is something else, and not normalising as well.
    unit = MatryoshkaLoss(plain, [8, 4, 2], [1.0, 0.5, 0.25], normalize=False)
    assert not torch.isclose(unit(normalize(a, dim=1), normalize(b, dim=1)), expected, rtol=1e-3)
    cut = sum(w * plain(a[:, :m], b[:, :m]) for m, w in ((8, 1.0), (4, 0.5), (2, 0.25)))
    torch.testing.assert_close(unit(a, b), cut)


def test_what_is_no_embedding_goes_through_as_it_is():
    seen = []

    def loss(x, labels, target, *, similar):
        seen.append((tuple(x.shape), tuple(labels.shape), tuple(target.shape), tuple(similar.shape)))
        return x.sum()

    x = torch.ones(4, 4)
    MatryoshkaLoss(loss, [2, 4])(x, torch.zeros(4, dtype=torch.long), torch.zeros(4), similar=torch.zeros(4, 4))
    assert seen == [((4, 2), (4,), (4,), (4, 4)), ((4, 4), (4,), (4,), (4, 4))]


def test_beyond_a_single_size_nothing_has_a_gradient():
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    MatryoshkaLoss(InfoNCE(), [3])(x, x.detach().flip(0)).backward()
    assert (x.grad[:, 3:] == 0).all() and x.grad[:, :3].abs().sum() > 0


@pytest.fixture(scope="module")
def encoder():
    """A sentence encoder of the peer's: averaged word vectors, drawn at random, and a linear layer."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(10)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = StaticEmbedding(tokenizer, embedding_weights=torch.randn(10, 12))
        return SentenceTransformer(modules=[words, Dense(12, 16)], device="cpu")


@pytest.mark.parametrize("dims", [[16, 8, 4], [4, 16, 8]])
def test_sentence_transformers_has_the_same_loss_and_gradient(encoder, dims):
    from sentence_transformers.sentence_transformer import losses

    weights = [1.0, 0.5, 2.0]
    left, right = ["w0 w1 w2", "w3 w4", "w5 w6 w7 w8"], ["w0 w1", "w4 w9", "w5 w8"]
    features = [encoder.tokenize(texts) for texts in (left, right)]
    peer = losses.MatryoshkaLoss(encoder, losses.MultipleNegativesRankingLoss(encoder, scale=20.0), dims, weights)
    encoder.zero_grad()
    theirs = peer([dict(f) for f in features], torch.tensor([]))
    theirs.backward()
    gradient = [p.grad.clone() for p in encoder.parameters()]

    encoder.zero_grad()
    a, b = (encoder(dict(f))["sentence_embedding"] for f in features)
    ours = MatryoshkaLoss(InfoNCE(temperature=1 / 20, both_views=False), dims, weights)(a, b)
    ours.backward()
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip([p.grad for p in encoder.parameters()], gradient, strict=True):
        torch.testing.assert_close(mine, other)


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="label_smoothing is 2"):
        MatryoshkaCrossEntropy(label_smoothing=2)
    with pytest.raises(InputError, match="reduction is 'none'"):
        MatryoshkaCrossEntropy(reduction="none")
    for weights in ([], [-1.0], [0.0], [math.nan]):
        with pytest.raises(InputError, match="weights is"):
            MatryoshkaCrossEntropy(weights)
    logits = [torch.zeros(2, 3)] * 2
    with pytest.raises(InputError, match="logits of 2 sizes came for 3 weights"):
        MatryoshkaCrossEntropy([1, 1, 1])(logits, Y[:2])
    with pytest.raises(InputError, match=r"shapes \(2, 3\), \(2, 3\); y of shape \(10,\)"):
        MatryoshkaCrossEntropy()(logits, Y)
    with pytest.raises(InputError, match="shapes none"):
        MatryoshkaCrossEntropy()([], Y)
    with pytest.raises(InputError, match=r"nesting is \[2, 8\]; the vectors have 4 dimensions"):
        MatryoshkaLoss(InfoNCE(), [2, 8])(torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(InputError, match="3 weights came for 2 sizes"):
        MatryoshkaLoss(InfoNCE(), [2, 8], [1, 1, 1])
    with pytest.raises(InputError, match="no embeddings came"):
        MatryoshkaLoss(InfoNCE(), [2])(torch.zeros(3))
