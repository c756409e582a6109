from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import Autoencoder, Classifier, RelativeEncoder, RelativeProjection
from farfield.reuse import orthogonal_map, stitch, stitching_matrix, train_head

HEAD = partial(train_head, epochs=30, learning_rate=1e-2)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(d, seed):
    return torch.linalg.qr(draw(d, d, seed=seed))[0]


@pytest.fixture(scope="module")
def space():
    """Four classes in eight dimensions, train and test."""
    y, y_test = torch.arange(200) % 4, torch.arange(120) % 4
    centres = 3 * draw(4, 8, seed=9)
    return centres[y] + draw(200, 8), centres[y_test] + draw(120, 8, seed=1), y, y_test


def relative_model(anchors, *, latent=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(RelativeEncoder(nn.Linear(4, latent), anchors), nn.Linear(len(anchors), 2))


def test_a_model_stitched_to_itself_is_the_model():
    model, x = relative_model(torch.eye(4)), torch.eye(4)
    torch.testing.assert_close(stitch(model, model)(x), model(x))
    torch.testing.assert_close(stitch(model.encoder, model.head)(x), model(x))
    plain = Autoencoder(nn.Linear(4, 2), nn.Linear(2, 4))
    torch.testing.assert_close(stitch(plain, plain)(x), plain(x))


def test_of_two_models_each_encodes_its_own_anchors_and_the_norm_is_the_readers():
    a, b, x = relative_model(torch.eye(4), seed=0), relative_model(torch.eye(4), latent=5, seed=1), torch.eye(4)[:2]
    with torch.no_grad():
        for i, model in enumerate((a, b)):
            model.encoder.layernorm.weight.fill_(2.0 + i)
    similar = RelativeProjection()(a.encoder.encoder(x), a.encoder.encoder(torch.eye(4)))
    torch.testing.assert_close(stitch(a, b)(x), b.head(b.encoder.layernorm(similar)))
    # A bare head has no norm to bring.
    torch.testing.assert_close(stitch(a, b.head)(x), b.head(a.encoder.layernorm(similar)))


def test_a_rotated_encoder_is_exchanged_without_loss():
    a = relative_model(torch.eye(4)).double()
    b = relative_model(torch.eye(4), seed=1).double()
    b.encoder.encoder = nn.Sequential(a.encoder.encoder, nn.Linear(3, 3, bias=False).double())
    with torch.no_grad():
        b.encoder.encoder[1].weight.copy_(5 * rotation(3, 2))
    x = draw(6, 4)
    torch.testing.assert_close(stitch(b, a)(x), a(x), rtol=0, atol=1e-9)


def test_what_cannot_fit_is_refused():
    a = relative_model(torch.eye(4))
    with pytest.raises(InputError, match="different anchors, or another order"):
        stitch(a, relative_model(torch.eye(4).flip(0)))
    with pytest.raises(InputError, match="the encoder gives 4 features but the decoder reads 5"):
        stitch(a.encoder, nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 2)))
    with pytest.raises(InputError, match="one of encoder and decoder is relative"):
        stitch(a, Classifier(nn.Linear(4, 4), nn.Linear(4, 2)))
    with pytest.raises(InputError, match="one of encoder and decoder is relative"):
        stitch(Classifier(nn.Linear(4, 4), nn.Linear(4, 2)), a)


def test_the_orthogonal_map_finds_a_rotation_or_reflection():
    x, q = draw(20, 5), rotation(5, 3)
    torch.testing.assert_close(orthogonal_map(x, x @ q), q)
    torch.testing.assert_close(orthogonal_map(x, 7 * x @ q), q)
    found = orthogonal_map(x.float(), draw(20, 5, seed=4).float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found @ found.T, torch.eye(5), rtol=0, atol=1e-5)
    y = draw(20, 5, seed=4)
    best = (x @ orthogonal_map(x, y) - y).norm()
    assert all(best <= (x @ rotation(5, s) - y).norm() for s in range(20))
    with pytest.raises(InputError, match=r"source has shape \(20, 5\) and target \(20, 4\)"):
        orthogonal_map(x, y[:, :4])


def test_a_rotated_space_is_read_as_the_own_one(space):
    x, test, y, y_test = space
    q = 4 * rotation(8, 5)
    frame = stitching_matrix({"a": (x, test), "b": (x @ q, test @ q)}, y, y_test, torch.arange(50), HEAD)
    assert list(frame.columns) == ["encoder", "head", "absolute", "relative"]
    table = frame.set_index(["encoder", "head"])
    assert len(set(table["relative"])) == 1 and table["relative"].iloc[0] > 0.9
    assert table["absolute"]["a", "a"] > 0.9 and table["absolute"]["b", "b"] > 0.9
    assert table["absolute"]["a", "b"] < 0.7 and table["absolute"]["b", "a"] < 0.7
    # Scores, not only the accuracy, are the same.
    scores = []
    for train, part in ((x, test), (x @ q, test @ q)):
        project = RelativeProjection()
        scores.append(HEAD(project(x, x[:50]), y)(project(part, train[:50])))
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-6)


def test_rows_and_columns_mean_encoder_and_head(space):
    x, test, y, y_test = space
    # An encoder of noise: no head reads it, and its own head reads nothing.
    noise = (draw(200, 8, seed=6), draw(120, 8, seed=7))
    seen = []

    def head(features, labels):
        seen.append(len(features))
        return HEAD(features, labels)

    frame = stitching_matrix({"good": (x, test), "noise": noise}, y, y_test, torch.arange(50), head)
    table = frame.set_index(["encoder", "head"])["absolute"]
    assert table["good", "good"] > 0.9 and max(table["noise", "noise"], table["noise", "good"]) < 0.45
    assert [tuple(r) for r in frame[["encoder", "head"]].to_numpy()] == [
        ("good", "good"), ("good", "noise"), ("noise", "good"), ("noise", "noise"),
    ]  # fmt: skip
    # One head per encoder and kind, not per pair.
    assert seen == [200] * 4


def test_controls_collapse_and_recover(space):
    x, test, y, y_test = space
    q = rotation(8, 5)
    columns = ["relative", "procrustes", "shuffled"]
    latents = {"a": (x, test), "b": (x @ q, test @ q)}
    frame = stitching_matrix(latents, y, y_test, torch.arange(50), HEAD, columns=columns)
    assert list(frame.columns)[2:] == columns
    assert (frame["procrustes"] > 0.9).all() and (frame["relative"] > 0.9).all()
    # Shuffled anchors give what chance gives, also to a head with its own encoder.
    drawn = [
        stitching_matrix(latents, y, y_test, torch.arange(50), HEAD, columns=["shuffled"], seed=s) for s in range(5)
    ]
    assert np.mean([f["shuffled"].mean() for f in drawn]) == pytest.approx(0.25, abs=0.15)


def test_widths_may_differ_and_the_undefined_is_missing(space):
    x, test, y, y_test = space
    wide = (
        torch.cat([x, torch.zeros(200, 3)], 1) @ rotation(11, 8),
        torch.cat([test, torch.zeros(120, 3)], 1) @ rotation(11, 8),
    )
    columns = ["absolute", "relative", "procrustes"]
    frame = stitching_matrix({"a": (x, test), "w": wide}, y, y_test, torch.arange(50), HEAD, columns=columns)
    other = frame["encoder"] != frame["head"]
    assert frame[other]["absolute"].isna().all() and frame[other]["procrustes"].isna().all()
    assert frame[~other]["absolute"].notna().all() and (frame["relative"] > 0.9).all()


def test_corpora_with_their_own_rows_labels_and_anchors(space):
    x, test, y, y_test = space
    q = rotation(8, 5)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    second = (x @ q)[order][:150], (test @ q)[:90]
    # Pairs: the same example lies in row 3 of the one and in row place[3] of the other.
    place = {int(r): i for i, r in enumerate(order[:150].tolist())}
    shared = [r for r in range(200) if r in place][:40]
    anchors = {"a": torch.tensor(shared), "b": torch.tensor([place[r] for r in shared])}
    labels = ({"a": y, "b": y[order][:150]}, {"a": y_test, "b": y_test[:90]})
    frame = stitching_matrix({"a": (x, test), "b": second}, *labels, anchors, HEAD, columns=["relative"])
    assert (frame["relative"] > 0.9).all()
    # The same anchors as latents, as if they were in no training set.
    as_latents = {"a": x[anchors["a"]], "b": second[0][anchors["b"]]}
    again = stitching_matrix({"a": (x, test), "b": second}, *labels, as_latents, HEAD, columns=["relative"])
    assert again.equals(frame)


def test_weighted_f1_is_that_of_scikit_learn(space):
    from sklearn.metrics import f1_score

    x, test, y, y_test = space
    given = torch.eye(4)[torch.randint(0, 4, (120,), generator=torch.Generator().manual_seed(0))]
    frame = stitching_matrix(
        {"a": (x, test)}, y, y_test, torch.arange(9), lambda f, t: lambda z: given, metric="weighted_f1"
    )
    assert frame["relative"][0] == pytest.approx(f1_score(y_test, given.argmax(1), average="weighted"))
    accuracy = stitching_matrix({"a": (x, test)}, y, y_test, torch.arange(9), lambda f, t: lambda z: given)
    assert accuracy["relative"][0] == pytest.approx(float((given.argmax(1) == y_test).double().mean()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"latents": {}}, "latents is empty"),
        ({"y_train": torch.zeros(7).long()}, r"the train latents of a have shape \(10, 3\); expected \(7, d\)"),
        ({"latents": {"a": (torch.ones(10, 3), torch.ones(4, 2))}}, "have widths 3, 2"),
        ({"latents": {"a": (torch.ones(10, 3), torch.full((4, 3), torch.nan))}}, "the test latents of a hold a value"),
        ({"anchors": torch.tensor([0, 10])}, "go up to row 10; there are 10 training rows"),
        ({"anchors": torch.tensor([0])}, "1 anchors came for a; expected at least 2"),
        ({"anchors": {"a": torch.ones(3, 2)}}, "have 2 columns, its latents 3"),
        ({"anchors": torch.tensor([0.0, 1.0])}, "expected row numbers"),
        ({"columns": ["relativ"]}, "unknown column 'relativ'; nearest: relative"),
        ({"metric": "f1"}, "unknown metric 'f1'"),
    ],
)
def test_bad_arguments_are_refused(change, says):
    given = {
        "latents": {"a": (draw(10, 3), draw(4, 3))},
        "y_train": torch.arange(10) % 2,
        "y_test": torch.arange(4) % 2,
        "anchors": torch.arange(5),
    } | change
    with pytest.raises(InputError, match=says):
        stitching_matrix(**given)


def test_anchors_must_be_as_many_for_each():
    x = draw(10, 3)
    anchors = {"a": torch.arange(3), "b": torch.arange(4)}
    with pytest.raises(InputError, match="as many for each encoder"):
        stitching_matrix({"a": (x, x), "b": (x, x)}, torch.zeros(10).long(), torch.zeros(10).long(), anchors)
