"""Language modelling across domains: trained on one domain of M2D2, tested on the others of its split."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from farfield.errors import InputError, MissingExtra
from farfield.names import Name
from farfield.tasks.next_token import blocks, hub_tokenizer, next_token
from farfield.tasks.task import Classes, Table, Task

NAMES = ("m2d2/wikipedia", "m2d2/s2orc")
REPOSITORY = "machelreid/m2d2"
HUB = (REPOSITORY, "openai-community/gpt2")
OPTIONS = ("tokenizer", "block")
# The domain that is trained on, and those it is tested on: as they are named (and misspelt) in the repository.
DOMAINS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "wikipedia": (
        "Society_and_social_sciences",
        (
            "Culture_and_the_arts", "General_referece", "Health_and_fitness", "History_and_events", "Human_activites",
            "Mathematics_and_logic", "Natural_and_physical_sciences", "Philosophy_and_thinking",
            "Religion_and_belief_systems", "Technology_and_applied_sciences",
        ),
    ),
    "s2orc": (
        "math_l1",
        (
            "Art", "astro-ph_l1", "cond-mat_l1", "cs_l1", "econ_l1", "nlin_l1", "Philosophy", "physics_l1", "q-bio_l1",
            "stat_l1",
        ),
    ),
}  # fmt: skip
NOTE = "M2D2 (Reid et al., 2022) is CC BY-NC 4.0: not for commercial use."


def expand(name: Name) -> list[Name]:
    """Return the task itself."""
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the task: predict the next token of encyclopedia articles, or of papers.

    ``m2d2/wikipedia`` is trained on Society and social sciences (380 million tokens), ``m2d2/s2orc`` on mathematics (1.1
    billion); far are the ten other domains of each. ``x`` are blocks of tokens and ``y`` the token after each, (n, block). The
    splits are M2D2's own, so ``seed`` changes nothing.

    **Options of the name:** ``tokenizer``: a model of the hub or a folder, "openai-community/gpt2" by default; ``block``: tokens
    in a block, 1,024 by default.

    The archives come from the Hugging Face hub on first use (several GB). Raises MissingExtra without the packages of the
    extra hf, InputError where they cannot be had.

    Source: Reid et al., "M2D2", EMNLP 2022; the split of Sherborne et al., ICLR 2024, table 7.
    """
    name.check_options(OPTIONS)
    block = name.options.get("block", "1024")
    if not block.isdigit() or int(block) < 1:
        raise InputError(f"{name}: block is {block}; it must be a whole number above 0")
    trained, others = DOMAINS[name.path.partition("/")[2]]
    tokenizer = hub_tokenizer(name.options.get("tokenizer", HUB[1]))
    return task(str(name), _archive(trained), {other: _archive(other) for other in others}, tokenizer, int(block))


def task(name: str, trained: Path, others: Mapping[str, Path], tokenizer: Any, block: int) -> Task:
    """Return the task of archives at hand.

    **Arguments:** ``trained``: the archive with train.txt, valid.txt and test.txt of the training domain; ``others``: domain -> an
    archive with a test.txt; ``tokenizer``, ``block``: see `farfield.tasks.next_token`.
    """
    fitted = next_token(documents(trained, "train.txt"), tokenizer, block, validation=documents(trained, "valid.txt"))
    archives = {"iid": trained, **others}
    tests = {label: blocks(documents(path, "test.txt"), tokenizer, block) for label, path in archives.items()}
    digest = hashlib.sha256(str(block).encode())
    for archive in (trained, *others.values()):
        digest.update(f"{archive.name}\0{archive.stat().st_size}\0".encode())
    return Task(
        name,
        _with_domain(fitted.train),
        _with_domain(fitted.val),
        {label: _with_domain(table) for label, table in tests.items()},
        fitted.inputs,
        Classes(fitted.inputs.vocabulary),
        (trained.name.removesuffix(".tar.gz"),),
        notes=(NOTE,),
        fingerprint=digest.hexdigest(),
    )


def documents(archive: Path, part: str) -> Iterator[str]:
    """Yield the lines of one file of an archive that are not blank, each a document with its line end.

    Raises InputError where the archive cannot be read, or has no such file.
    """
    try:
        with tarfile.open(archive, "r:*") as opened:
            for member in opened:
                # Some archives hold the folder of the domain, some the files alone.
                if member.isfile() and Path(member.name).name == part:
                    file = opened.extractfile(member)
                    assert file is not None
                    for line in file:
                        text = line.decode("utf-8", errors="replace")
                        if text.strip():
                            yield text
                    return
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(f"the archive {archive} cannot be read: {error}") from error
    raise InputError(f"the archive {archive} has no file {part}")


def _with_domain(table: Table) -> Table:
    return table.replace(domain=torch.zeros(len(table), dtype=torch.long))


def _archive(domain: str) -> Path:
    """Return the archive of a domain, from the hub's cache or fetched into it."""
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError as error:
        raise MissingExtra("huggingface_hub", extra="hf", needed_by="the tasks m2d2/...") from error
    try:
        return Path(hf_hub_download(REPOSITORY, f"data/{domain}.tar.gz", repo_type="dataset"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the tasks m2d2/... need data/{domain}.tar.gz of {REPOSITORY} on the Hugging Face hub, which cannot be had here: "
            f"{str(error).splitlines()[0]}"
        ) from error
