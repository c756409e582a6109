"""Small, randomly initialised models of the real classes, saved to a folder and loaded by name."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from farfield import nn
from farfield.errors import InputError
from farfield.methods.erm import erm
from farfield.nn.preprocess import Preprocess
from farfield.tasks.task import Table, Text, Tokens

transformers = pytest.importorskip("transformers")


def quiet_save(model, folder):
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)


def vit_model():
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=8
    )
    return transformers.ViTModel(config)


def resnet_model():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    return transformers.ResNetModel(config)


def convnext_model():
    return transformers.ConvNextModel(transformers.ConvNextConfig(hidden_sizes=[8, 8, 12, 12], depths=[1, 1, 1, 1]))


def dinov2_model():
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return transformers.Dinov2Model(config)


def clip_model():
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 30}, vision_config={**small, "image_size": 16, "patch_size": 8}
    )
    return transformers.CLIPModel(config)


VISION = {
    "vit": (vit_model, "ViTImageProcessor", {"size": {"height": 16, "width": 16}, "resample": 2}),
    "resnet": (
        resnet_model,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 32}, "crop_pct": 0.875, "resample": 3},
    ),
    "convnext": (
        convnext_model,
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3},
    ),
    "dinov2": (
        dinov2_model,
        "BitImageProcessor",
        {
            "size": {"shortest_edge": 32},
            "do_center_crop": True,
            "crop_size": {"height": 28, "width": 28},
            "resample": 3,
        },
    ),
    "clip": (
        clip_model,
        "CLIPImageProcessor",
        {
            "size": {"shortest_edge": 16},
            "do_center_crop": True,
            "crop_size": {"height": 16, "width": 16},
            "resample": 3,
        },
    ),
}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SENTENCES = ["a good book", "a bad film", "not a very good book", "the book is bad", "the film is not good"]


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    made = {}

    def folder(kind):
        if kind not in made:
            build, processor, settings = VISION[kind]
            path = tmp_path_factory.mktemp(kind)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                quiet_save(build(), path)
            Pil = getattr(transformers, processor + "Pil")
            Pil(image_mean=MEAN, image_std=STD, **settings).save_pretrained(path)
            made[kind] = path
        return made[kind]

    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    import tokenizers

    path = tmp_path_factory.mktemp("bert")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(SENTENCES, tokenizers.trainers.WordPieceTrainer(vocab_size=60, special_tokens=special))
    made.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", made.token_to_id("[SEP]")), ("[CLS]", made.token_to_id("[CLS]"))
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=32,
    ).save_pretrained(path)
    config = transformers.BertConfig(
        vocab_size=made.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        quiet_save(transformers.BertModel(config), path)
    return path


@pytest.mark.parametrize("kind", list(VISION))
def test_images_are_preprocessed_as_the_models_own_processor_does(vision, image_task, kind):
    path = vision(kind)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 30), dtype="uint8")
    theirs = transformers.AutoImageProcessor.from_pretrained(path)(pixels, return_tensors="pt")["pixel_values"]
    layer = nn.load(f"hf:{path}", image_task(3, 40, 30)).encoder.preprocess
    ours = layer(torch.from_numpy(pixels)[None] / 255)
    assert ours.shape == theirs.shape
    # Theirs rounds to whole grey levels after resizing.
    assert (ours - theirs).abs().max() < 1.1 / 255 / min(STD)


@pytest.mark.parametrize("kind", list(VISION))
def test_the_weights_are_those_of_the_folder(vision, image_task, kind):
    path, task = vision(kind), image_task(3, 20)
    model = nn.load(f"hf:{path}", task).eval()
    theirs = transformers.AutoModel.from_pretrained(path).eval()
    theirs = getattr(theirs, "vision_model", theirs)
    x = task.train[[0, 1]]["x"]
    output = theirs(pixel_values=model.encoder.preprocess(x))
    # ViT and DINOv2 have a class token; the others pool.
    expected = output.last_hidden_state[:, 0] if kind in ("vit", "dinov2") else output.pooler_output.flatten(1)
    torch.testing.assert_close(model.features(x), expected)
    assert model.learning_rate == 5e-5


@pytest.mark.parametrize("kind", list(VISION))
@pytest.mark.parametrize("options", ["", "?tune=probe", "?tune=lora&rank=2"])
def test_each_way_of_tuning_trains_what_it_says_and_comes_back_from_safetensors(
    vision, image_task, tmp_path, kind, options
):
    name, task = f"hf:{vision(kind)}{options}", image_task(1, 8, n=6)
    if "lora" in options and kind == "resnet":
        with pytest.raises(InputError, match="no linear layer to add to; use tune=full or tune=probe"):
            nn.load(name, task)
        return
    model = nn.load(name, task, seed=1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    trains = {n for n, p in model.named_parameters() if p.requires_grad}
    model = erm(model, task, steps=3, batch_size=4, learning_rate=1e-2).model.eval()
    # The mask token of DINOv2 stands for hidden patches, of which there are none here.
    moved = {n for n, p in model.named_parameters() if not p.equal(before[n])} | {
        "encoder.backbone.embeddings.mask_token"
    }
    assert trains <= moved | {"encoder.backbone.embeddings.mask_token"}
    assert moved - {"encoder.backbone.embeddings.mask_token"} <= trains
    if options:
        assert {n for n in trains if not n.startswith("head")} == {n for n in trains if "lora_" in n}
    if "probe" in options:
        assert all(v.equal(before[k]) for k, v in model.state_dict().items() if k.startswith("encoder"))
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    fresh = nn.load(name, task, seed=2).eval()
    fresh.load_state_dict(load_file(tmp_path / "m.safetensors"), strict=True)
    x = task.train[[0, 1]]["x"]
    assert fresh(x).equal(model(x))


def test_seeds_draw_the_head_and_leave_the_backbone(vision, image_task):
    name, task = f"hf:{vision('vit')}", image_task()
    one, same, other = (nn.load(name, task, seed=s).state_dict() for s in (1, 1, 2))
    assert all(one[k].equal(same[k]) for k in one)
    assert {k for k in one if not one[k].equal(other[k])} == {"head.weight", "head.bias"}


def test_pooling_by_name(vision, image_task):
    path, task = vision("vit"), image_task()
    x = task.train[[0, 1]]["x"]
    theirs = transformers.AutoModel.from_pretrained(path).eval()
    for pool in ("cls", "mean", "pooler"):
        model = nn.load(f"hf:{path}?pool={pool}", task).eval()
        output = theirs(pixel_values=model.encoder.preprocess(x))
        tokens = output.last_hidden_state
        expected = {"cls": tokens[:, 0], "mean": tokens.mean(1), "pooler": output.pooler_output}[pool]
        torch.testing.assert_close(model.features(x), expected)
    with pytest.raises(InputError, match="pool=cls: ResNetModel has no class token"):
        nn.load(f"hf:{vision('resnet')}?pool=cls", task)


def make_task(text_task, texts=SENTENCES):
    import dataclasses

    n = len(texts)
    rows = Table(x=list(texts), y=torch.arange(n) % 3, domain=torch.arange(n) % 2)
    return dataclasses.replace(text_task(), train=rows, val=rows, tests={"iid": rows})


def test_text_becomes_the_token_ids_of_the_models_tokenizer(bert, text_task):
    name, task = f"hf:{bert}?length=8", make_task(text_task)
    ready = nn.prepare(name, task)
    made = transformers.AutoTokenizer.from_pretrained(bert)
    assert ready.inputs == Tokens(len(made), 8, made.pad_token_id)
    ids = ready.train.columns["x"]
    for row, text in zip(ids, SENTENCES, strict=True):
        expected = made(text)["input_ids"]
        assert row.tolist() == expected + [made.pad_token_id] * (8 - len(expected))
    assert nn.prepare_inputs(name, Table(x=SENTENCES), Text()).columns["x"].equal(ids)
    assert ready.notes == ()


def test_long_texts_are_cut_and_said_to_be(bert, text_task):
    ready = nn.prepare(f"hf:{bert}?length=5", make_task(text_task))
    made = transformers.AutoTokenizer.from_pretrained(bert)
    assert ready.train.columns["x"].shape == (5, 5)
    assert int(ready.train.columns["x"][2, -1]) == made.sep_token_id
    assert len(ready.notes) == 1 and "of 5 training texts fill all 5 tokens" in ready.notes[0]
    assert nn.prepare(f"hf:{bert}", make_task(text_task)).inputs.length == 32
    with pytest.raises(InputError, match=r"length=33 of the model hf:.* is above the 32 tokens it takes"):
        nn.prepare(f"hf:{bert}?length=33", make_task(text_task))


@pytest.mark.parametrize("pool", ["mean", "cls", "pooler"])
def test_padding_never_changes_a_text(bert, text_task, pool):
    name = f"hf:{bert}?pool={pool}&length="
    task = make_task(text_task)
    short, long = nn.prepare(f"{name}10", task), nn.prepare(f"{name}32", task)
    a = nn.load(f"{name}10", short, seed=1).eval()(short.train[slice(None)]["x"])
    model = nn.load(f"{name}32", long, seed=1).eval()
    torch.testing.assert_close(a, model(long.train[slice(None)]["x"]))
    # One alone, and among longer ones.
    torch.testing.assert_close(a[:1], model(long.train[[0]]["x"]))


def test_mean_pooling_is_the_mean_over_the_tokens_of_the_text(bert, text_task):
    task = nn.prepare(f"hf:{bert}", make_task(text_task))
    model = nn.load(f"hf:{bert}", task).eval()
    ids = torch.tensor([transformers.AutoTokenizer.from_pretrained(bert)(SENTENCES[0])["input_ids"]])
    theirs = transformers.AutoModel.from_pretrained(bert).eval()(input_ids=ids).last_hidden_state.mean(1)
    torch.testing.assert_close(model.features(task.train[[0]]["x"]), theirs)


@pytest.mark.parametrize("options", ["", "?tune=probe", "?tune=lora&rank=2"])
def test_text_models_train_and_come_back(bert, text_task, tmp_path, options):
    name = f"hf:{bert}{options}"
    task = nn.prepare(name, make_task(text_task))
    model = nn.load(name, task, seed=1)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    trains = {n for n, p in model.named_parameters() if p.requires_grad}
    model = erm(model, task, steps=3, batch_size=4, learning_rate=1e-2).model.eval()
    assert {n for n, p in model.named_parameters() if not p.equal(before[n])} == trains
    if "lora" in options:
        # Per layer: query, key, value, output (16 x 16) and the two of the perceptron (16 x 32).
        added = 2 * (4 * 2 * (16 + 16) + 2 * 2 * (16 + 32))
        assert sum(p.numel() for n, p in model.named_parameters() if n in trains) == added + (16 + 1) * 3
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    fresh = nn.load(name, task, seed=2).eval()
    fresh.load_state_dict(load_file(tmp_path / "m.safetensors"), strict=True)
    x = task.train[[0, 1]]["x"]
    assert fresh(x).equal(model(x))


def test_what_does_not_fit_is_refused(bert, vision, text_task, image_task, vector_task, token_task, tmp_path):
    for name, task, message in (
        (f"hf:{bert}", make_task(text_task), "has raw text: prepare it"),
        (f"hf:{bert}", image_task(), "takes text; the task hand has images of 1x8x8"),
        (
            f"hf:{bert}",
            vector_task(),
            "takes images or text; the task hand has vectors of 6 features: use linear or mlp",
        ),
        (f"hf:{bert}", token_task(vocabulary=1000), "the task hand uses 1000"),
        (f"hf:{vision('vit')}", token_task(), "takes images; the task hand has sequences"),
        (f"hf:{vision('vit')}", image_task(2), "takes images of 3 channels"),
        (f"hf:{vision('vit')}?length=9", image_task(), "length=9 of hf:.* is for text"),
        (f"hf:{vision('vit')}?rank=9", image_task(), "rank=9 of hf:.* needs tune=lora"),
        (f"hf:{vision('vit')}?tune=none", image_task(), "must be one of full, probe, lora"),
        (f"hf:{tmp_path}", image_task(), "the configuration of hf:.* cannot be loaded"),
    ):
        with pytest.raises(InputError, match=message):
            nn.load(name, task)
    with pytest.raises(InputError, match=r"the tokenizer of hf:.* cannot be loaded"):
        nn.prepare(f"hf:{tmp_path}", make_task(text_task))


def test_pickled_weights_are_not_read(vision, image_task, tmp_path):
    source = vision("vit")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_bytes((source / file).read_bytes())
    torch.save(load_file(source / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"the weights of hf:.* cannot be loaded"):
        nn.load(f"hf:{tmp_path}", image_task())


def test_weights_that_are_missing_are_not_made_up(vision, image_task, tmp_path):
    source = vision("vit")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_bytes((source / file).read_bytes())
    weights = load_file(source / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors of its model, first 'layernorm.weight'"):
        nn.load(f"hf:{tmp_path}", image_task())


def test_the_image_is_resized_within_forward(vision, image_task):
    model = nn.load(f"hf:{vision('vit')}", image_task(1, 8))
    assert isinstance(model.encoder.preprocess, Preprocess)
    assert model(torch.rand(2, 1, 8, 8)).shape == model(torch.rand(2, 3, 50, 20)).shape == (2, 3)


def test_a_model_without_a_padding_token_is_padded_with_its_end_and_takes_lora(text_task, tmp_path):
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<end>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(SENTENCES, trainer)
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", model_max_length=16).save_pretrained(
        tmp_path
    )
    config = transformers.GPT2Config(
        vocab_size=made.get_vocab_size(), n_embd=16, n_layer=1, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    quiet_save(transformers.GPT2Model(config), tmp_path)
    name = f"hf:{tmp_path}?tune=lora&rank=2"
    task = nn.prepare(name, make_task(text_task))
    assert task.inputs == Tokens(made.get_vocab_size(), 16, padding=0)
    model = nn.load(name, task)
    # Attention in (16 -> 48) and out, perceptron in and out.
    added = 2 * (16 + 48) + 2 * (16 + 16) + 2 * 2 * (16 + 64)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == added + (16 + 1) * 3
    ids = made.encode(SENTENCES[0]).ids
    theirs = transformers.AutoModel.from_pretrained(tmp_path).eval()(input_ids=torch.tensor([ids]))
    torch.testing.assert_close(model.eval().features(task.train[[0]]["x"])[0], theirs.last_hidden_state[0].mean(0))


def test_of_an_encoder_and_decoder_the_encoder_is_taken(token_task, tmp_path):
    config = transformers.T5Config(vocab_size=30, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    quiet_save(transformers.T5Model(config), tmp_path)
    task = token_task(vocabulary=30)
    model = nn.load(f"hf:{tmp_path}", task).eval()
    x = task.train[[0, 1]]["x"]
    theirs = transformers.T5EncoderModel.from_pretrained(tmp_path).eval()(input_ids=x).last_hidden_state
    torch.testing.assert_close(model.features(x), theirs.mean(1))
    assert not any("decoder" in n for n in model.state_dict())
    save_file(model.state_dict(), tmp_path / "saved.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rescale_factor": 1 / 127.5}, "does not scale pixels to"),
        ({"size": {"shortest_edge": 16, "longest_edge": 32}}, "resizes images to"),
        ({"resample": 4}, "Pillow's filter 4"),
    ],
)
def test_an_image_processor_that_cannot_be_followed_is_refused(vision, image_task, tmp_path, change, message):
    import json

    source = vision("vit")
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((source / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**settings, **change}))
    with pytest.raises(InputError, match=message):
        nn.load(f"hf:{tmp_path}", image_task())
