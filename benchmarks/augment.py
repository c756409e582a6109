"""How many images a second the random field augmentations make on one core, and what a training step costs with them.

    python benchmarks/augment.py [--rounds 15] [--json]

The ways, on batches of float32 images in [0, 1]:

- **affine**: `farfield.augment.RandomFieldAffine` with rotation, scale, shear and translation (five fields an image).
- **colour**: `farfield.augment.RandomFieldColor` with hue, saturation and brightness (three fields).
- **both**: one after the other. The target: at least 5,000 images of 3x32x32 a second.
- **global**: both with one number for an image in place of each field: the usual augmentation, as the price of the fields.
- **plain**: the same affine fields as a script has them: white noise, its transform, the filter, back, and ``grid_sample``.
- **view**: `farfield.augment.ContrastiveView` with all of SimCLR's stages, without fields.

One thread. All ways take turns within a round, in a changing order; figures are medians over rounds. Growth: images a second at larger
sides and batches. Peak memory, for two cases, is that of a fresh process for each way, over that before the first batch. A second table has the time of a
training step of the method random-fields over that of erm, with the same model, at its default settings.
"""

import argparse
import statistics
import time

import torch
from _shared import growth, peak, tell
from torch.nn.functional import grid_sample

from farfield import methods, nn, tasks
from farfield.augment import ContrastiveView, RandomFieldAffine, RandomFieldColor

AFFINE = {"rotation": 0.25, "scale": 0.15, "shear": 0.15, "translation": 0.075}
COLOR = {"hue": 0.05, "saturation": 0.15, "brightness": 0.15}
CASES = [(3, 32, 64), (3, 32, 256), (3, 32, 1024), (1, 28, 256), (3, 96, 64), (3, 224, 16)]  # channels, side, batch
MODELS = ("cnn", "mlp", "resnet")
MEMORY = ((3, 32, 256), (3, 224, 16))
WAYS = ("affine", "colour", "both", "global", "plain", "view")


class Plain:
    """The affine fields written out."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, images):
        n, _, height, width = images.shape
        ky, kx = torch.fft.fftfreq(height, 1 / height), torch.fft.rfftfreq(width, 1 / width)
        k = (ky[:, None] ** 2 + kx**2).sqrt()
        k[0, 0] = 1
        amplitude = k**-2.0
        amplitude[0, 0] = 0
        noise = torch.randn(n, 5, height, width, generator=self.generator)
        fields = torch.fft.irfft2(torch.fft.rfft2(noise) * amplitude, s=(height, width))
        fields = fields / fields.std((2, 3), correction=0, keepdim=True)
        theta, s, kappa, tx, ty = (fields * torch.tensor([0.25, 0.15, 0.15, 0.075, 0.075]).view(5, 1, 1)).unbind(1)
        y, x = torch.meshgrid(
            (torch.arange(height) * 2 + 1) / height - 1, (torch.arange(width) * 2 + 1) / width - 1, indexing="ij"
        )
        x, y = s.exp() * (x + kappa * y), s.exp() * y
        grid = torch.stack([theta.cos() * x - theta.sin() * y + tx, theta.sin() * x + theta.cos() * y + ty], -1)
        return grid_sample(images, grid, align_corners=False)


def make(way):
    if way == "plain":
        return Plain()
    if way == "view":
        return ContrastiveView(flip=0.5, jitter=1.0, grayscale=0.2, blur=0.5)
    settings = {"kernel": "constant"} if way == "global" else {}
    stages = [RandomFieldAffine(**AFFINE, **settings), RandomFieldColor(**COLOR, **settings)]
    return torch.nn.Sequential(*(stages[:1] if way == "affine" else stages[1:] if way == "colour" else stages))


def images(channels, side, batch):
    return torch.rand(batch, channels, side, side, generator=torch.Generator().manual_seed(0))


def measure(channels, side, batch, rounds):
    case = channels, side, batch
    x, made = images(channels, side, batch), {way: make(way) for way in WAYS}
    seconds = {way: [] for way in WAYS}
    for round_ in range(-1, rounds):
        # A new order each round, so that no way always runs after the same other one; the first warms up.
        for way in WAYS[round_ % len(WAYS) :] + WAYS[: round_ % len(WAYS)]:
            start = time.perf_counter()
            made[way](x)
            if round_ >= 0:
                seconds[way].append(time.perf_counter() - start)
    return {
        "images": [channels, side, side],
        "batch": batch,
        "per_second": {way: batch / statistics.median(s) for way, s in seconds.items()},
        "fastest_per_second": {way: batch / min(s) for way, s in seconds.items()},
        "plain_over_affine": [p / a for p, a in zip(seconds["plain"], seconds["affine"])],
        "peak_mib": {way: peak(__file__, way, *case) for way in WAYS} if case in MEMORY else {},
    }


def measure_method(model, rounds, steps=10):
    task = tasks.load("mnist/rotation")
    ratios, milliseconds = [], []
    for round_ in range(rounds):
        seconds = {}
        for name in ("erm", "random-fields")[:: 1 if round_ % 2 else -1]:
            network = nn.load(model, task, seed=0)
            seconds[name] = methods.load(name)(network, task, steps=steps).history.seconds / steps
        ratios.append(seconds["random-fields"] / seconds["erm"])
        milliseconds.append(1e3 * seconds["erm"])
    return {"model": model, "erm_ms": statistics.median(milliseconds), "random_fields_over_erm": ratios}


def print_peak(way, channels, side, batch):
    x, made = images(int(channels), int(side), int(batch)), make(way)
    made(x[:2])
    print(growth(lambda: [made(x) for _ in range(3)]))


def show(rows, machine):
    print(f"{machine['processor']}, {machine['cores']} cores, one thread, torch {machine['packages']['torch']}.")
    print(f"Thousands of images a second (medians), {' / '.join(WAYS)}; MiB above what the images take.\n")
    print("| images | thousands a second | plain / affine, time | MiB |")
    print("|---|---|---|---|")
    for r in rows:
        if "model" not in r:
            sides, speeds = "x".join(map(str, r["images"])), (f"{v / 1e3:.2f}" for v in r["per_second"].values())
            ratio, memory = statistics.median(r["plain_over_affine"]), [f"{v:.0f}" for v in r["peak_mib"].values()]
            print(f"| {sides}, batch {r['batch']} | {' / '.join(speeds)} | {ratio:.2f} | {' / '.join(memory) or '-'} |")
    print("\n| model, MNIST 28x28, batch 64 | erm, ms a step | random-fields / erm |")
    print("|---|---|---|")
    for r in rows:
        if "model" in r:
            v = r["random_fields_over_erm"]
            print(f"| {r['model']} | {r['erm_ms']:.2f} | {statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f}) |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peak:
        print_peak(*arguments.peak)
        return
    rows = [measure(*case, arguments.rounds) for case in CASES]
    rows += [measure_method(model, arguments.rounds) for model in MODELS]
    tell(rows, show, as_json=arguments.json)


if __name__ == "__main__":
    main()
