"""The checksums of the data cards are those of the real files."""

import hashlib

import pytest

from farfield.tasks import fetch

FOLDERS = sorted(fetch.cards())


@pytest.mark.parametrize("name", [pytest.param(f, marks=pytest.mark.needs_data(f)) for f in FOLDERS])
def test_the_files_have_the_checksums_of_their_card(name):
    folder = fetch.path(name)
    for file, checksum in fetch.card(name).files.items():
        kind, _, digest = checksum.rpartition(":")
        assert hashlib.new(kind or "sha256", fetch.read(folder, file)).hexdigest() == digest
