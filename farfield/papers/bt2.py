"""Can a new embedding model be searched against the old gallery and lose nothing of its own? (Zhou et al., ICCV 2023)

About 4 minutes on two cores at the small preset. A network that knew half of the classes is replaced by one that knows
all: 100 of Omniglot's characters, and pairs of MNIST's digits, where the old network knew digits 0 to 4 and the new one
is a CNN. Compatible training (BCT), the same with a few dimensions more, and basis transformation (BT^2) meet the old
gallery; an independent network and both networks' vectors side by side are the references.

1. Embeddings have 32 dimensions and a = 8, a quarter as in the paper. Logits of the networks are scaled by 8 (the
   released code: by 1, which the weights must make up for); those of the pseudo-classifier are not, so the class term
   weighs more.
2. Validation rows are trained on too: nothing is selected. Tests are at most 1,500 rows, queries and gallery at once.
3. BCT is without label smoothing and with a cosine schedule, as BT^2 is (the released code: 0.1 and a constant rate).
4. Orthogonal matrices are made by Cayley's map, not the matrix exponential. Of BCT with dimensions more, the first ones
   are brought to length 1 before they meet the pseudo-classifier.
5. Pairs: 5 epochs. Characters are shifted by up to 2 pixels; targets are those of one view, as released
   (`targets=online` for each).
6. Full: the sheet's cheaper one, a ResNet at 32 pixels for ResNet-50 at 224. Its chain starts from VGG-11 for AlexNet;
   heads only on frozen encoders; each update adds a dimensions. Not here: the change of modality, and ImageNet.
"""

from farfield.study.claims import at_least, greater, within
from farfield.study.figures import lines
from farfield.study.study import Per, Preset, Study
from farfield.trials.replacement import VARIANTS, trial
from farfield.trials.replacement_figures import trade

OLD_PAIRS = tuple(10 * a + b for a in range(5) for b in range(5))
PAIRS = "digit-pairs"
SETTINGS = {
    "upgrade_models": Per(
        "task", {PAIRS: ("mlp?hidden=128&depth=2", "cnn?width=8")},
        otherwise=("mlp?hidden=128&depth=2", "mlp?hidden=256&depth=2"),
    ),
    "classes": Per("task", {"characters": 100}, otherwise=None),
    "old_classes": Per("task", {PAIRS: OLD_PAIRS}, otherwise=None),
    "dims": 32, "extra_dims": 8, "scale": 2.0, "logit_scale": 8.0, "alpha": 10.0, "label_smoothing": 0.0,
    "epochs": Per("task", {PAIRS: 5}, otherwise=25), "warmup_epochs": 0, "batch_size": 128, "learning_rate": 2e-3,
    "weight_decay": 0.0, "shift": Per("task", {"characters": 2}, otherwise=0), "targets": "cached", "test_rows": 1500,
    "device": "cpu",
}  # fmt: skip
RESNET, VIT = "resnet?width=64&depth=2", "hf:google/vit-base-patch16-224-in21k"
FULL = {
    "upgrade_models": Per(
        "update",
        {
            "architecture": (RESNET, VIT),
            "chain": tuple(
                f"{name}?tune=probe"
                for name in ("timm:vgg11_bn.tv_in1k", "timm:vgg13_bn.tv_in1k", "hf:microsoft/resnet-50", VIT)
            ),
        },
        otherwise=(RESNET, RESNET),
    ),
    "dims": 128, "extra_dims": 32, "logit_scale": 1.0, "label_smoothing": 0.1, "epochs": 100, "warmup_epochs": 5,
    "learning_rate": 1e-3, "weight_decay": 3.05e-5, "classes": None, "old_classes": None, "shift": 0,
    "test_rows": 10_000, "device": "cuda",
}  # fmt: skip
SMALL = (
    "Small networks, 32 dimensions and a thousand-odd training images here; ResNet-50 on CIFAR-100 and ImageNet there."
)
POINT = 0.01
NAMES = {"top1": "top-1", "map": "mAP"}
BT2 = {"variant": "bt2"}


def _chain(pair, says, reported):
    return greater(
        "bt2", than="bct", metric=f"chain/{pair}", along="variant", where={"update": "chain"}, says=says, reported=reported,
        scale="Only the full preset has a chain of updates.",
    )  # fmt: skip


study = Study(
    paper="bt2",
    question="Can a new embedding model be searched against the old gallery and lose nothing of its own?",
    trial=trial,
    # Variants outside: workers seldom wait for the same network.
    grid={"variant": VARIANTS, "task": ("characters", PAIRS), "update": ("pair",)},
    presets={
        "smoke": Preset(
            2,
            {"task": ("characters",)},
            {**SETTINGS, "classes": 10, "epochs": 2, "dims": 8, "extra_dims": 4, "test_rows": 60},
        ),
        "small": Preset(8, settings=SETTINGS),
        "full": Preset(
            3, {"task": ("hub/cifar100",), "update": ("pair", "architecture", "chain")}, {**SETTINGS, **FULL}
        ),
    },
    extras={"full": ("hf", "vision")},
    metrics={
        **{
            f"{pair}/{m}": f"{name} of {what}"
            for m, name in NAMES.items()
            for pair, what in {
                "old_old": "old queries on the old gallery",
                "new_old": "new queries on the old gallery",
                "new_new": "new queries on a new gallery",
                "star_star": "an independent new model",
            }.items()
        },
        "gain/map": "share of the gain in mAP had without re-embedding",
        "satisfied": "share of seeds that meet the paper's criterion",
        "error": "largest error of the rotations",
    },
    claims=[
        within(
            "star_over_chance",
            -POINT,
            POINT,
            where={"variant": "independent"},
            says="An independent new model's queries find nothing in the old gallery: top-1 is within a point of chance.",
            reported="new*/old top-1: CIFAR-100 0.8 %, ImageNet 0.1 % (chance: about 1 % and 0.1 %; repository)",
            scale=SMALL,
        ),
        *(
            at_least(
                f"over_old/{m}",
                0,
                where=BT2,
                says=f"BT^2's queries find more in the old gallery than the old model's ({name}).",
                reported=figures,
                scale=SMALL,
            )
            for (m, name), figures in zip(
                NAMES.items(), ("CIFAR-100 38.7 against 33.6; ImageNet 44.4 against 40.9", "CIFAR-100 27.7 against 24.4")
            )
        ),
        *(
            greater(
                "bt2",
                than="bct",
                metric=f"new_new/{m}",
                along="variant",
                says=f"On a gallery of its own BT^2 is at least as good as BCT ({name}).",
                reported=figures,
                scale=SMALL,
            )
            for (m, name), figures in zip(
                NAMES.items(), ("CIFAR-100 62.4 and 60.0; ImageNet 66.6 and 65.3", "50.5 and 47.3; ImageNet 54.6 and 54.0")
            )
        ),
        *(
            at_least(
                f"under_star/{m}",
                -POINT,
                where=BT2,
                says=f"On a gallery of its own BT^2 is at most a point worse than the independent model ({name}).",
                reported=figures,
                scale=SMALL,
            )
            for (m, name), figures in zip(NAMES.items(), ("CIFAR-100 62.4 and 62.7", "CIFAR-100 50.5 and 49.9"))
        ),
        *(
            greater(
                "bt2",
                than="bct",
                metric=f"new_old/{m}",
                along="variant",
                says=f"BT^2's queries find more in the old gallery than BCT's ({name}).",
                reported="top-1: CIFAR-100 38.7 against 25.0; ImageNet 44.4 against 44.3; no mAP of BCT at hand",
                scale=SMALL,
            )
            for m, name in NAMES.items()
        ),
        _chain("oldest", "After three updates its queries find more in the oldest gallery than BCT's.", "ViT on AlexNet: 57.9, 54.9"),
        _chain("own", "After three updates it is better on its own gallery than BCT.", "ViT: 75.6 against 73.9"),
        _chain("middle", "In the middle of the chain its queries find more in the gallery before.", "ResNet on VGG: 61.5, 48.9"),
    ],
    figures=[
        trade(
            "map",
            caption="mAP of new queries on the old gallery and on a new one, a point per seed. Grey lines: the old model alone "
            "(across the old gallery's axis) and an independent new model (across the other), means of seeds.",
        ),
        *(
            lines(
                "sweep",
                f"{pair}/map",
                labels=("extra dimensions a", f"mAP on the {which} gallery"),
                caption=f"BT^2's mAP on the {which} gallery by the number of extra dimensions; mean of seeds, 95 % intervals.",
                name=f"extra-dimensions-{which}",
            )
            for pair, which in {"new_old": "old", "new_new": "new"}.items()
        ),
    ],
)  # fmt: skip
