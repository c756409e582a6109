import gzip
import hashlib
import lzma
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from farfield.errors import InputError
from farfield.tasks import fetch

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server():
    """A web server with the file good.bin, the file half.bin (which it breaks off), and a count of what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            name = self.path.rpartition("/")[2]
            if name not in ("good.bin", "half.bin"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if name == "good.bin" else CONTENT[: len(CONTENT) // 2])

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", asked
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def empty_places(monkeypatch, tmp_path):
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # No proxy of the machine stands between this test and its own server.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def make_card(home: str, file: str = "good.bin", checksum: str = hashlib.sha256(CONTENT).hexdigest()) -> fetch.Card:
    return fetch.Card("some-data", "a test", {file: checksum}, licence="MIT", citation="", home=home)


def files_below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_download_goes_to_the_cache_once(server, tmp_path, kind):
    home, asked = server
    checksum = hashlib.new(kind, CONTENT).hexdigest()
    card = make_card(home, checksum=checksum if kind == "sha256" else f"md5:{checksum}")
    folder = fetch.provide(card)
    assert folder.is_relative_to(tmp_path / "cache")
    assert files_below(tmp_path) == [folder / "good.bin"]
    assert (folder / "good.bin").read_bytes() == CONTENT
    assert fetch.provide(card) == folder
    assert asked == ["/good.bin"]


def test_the_users_folder_comes_before_cache_and_download(server, tmp_path):
    home, asked = server
    card = make_card(home)
    fetch.provide(card)
    (tmp_path / "data" / "some-data").mkdir(parents=True)
    (tmp_path / "data" / "some-data" / "good.bin.xz").write_bytes(lzma.compress(CONTENT))
    folder = fetch.provide(card)
    assert folder == tmp_path / "data" / "some-data"
    assert fetch.read(folder, "good.bin") == CONTENT
    assert len(asked) == 1


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError, match=r"downloading .*good.bin failed: .*hash"):
        fetch.provide(make_card(server[0], checksum="0" * 64))
    assert files_below(tmp_path) == []


def test_a_broken_download_leaves_nothing(server, tmp_path):
    with pytest.raises(InputError, match="some-data"):
        fetch.provide(make_card(server[0], file="half.bin"))
    assert files_below(tmp_path) == []


def test_a_missing_file_at_home_is_named(server, tmp_path):
    with pytest.raises(InputError, match=r"downloading .*gone.bin failed: 404"):
        fetch.provide(make_card(server[0], file="gone.bin"))
    assert files_below(tmp_path) == []


def test_without_a_connection_the_three_places_are_named(tmp_path):
    # Port 9 (discard) of this machine takes no connection.
    with pytest.raises(InputError) as error:
        fetch.provide(make_card("http://127.0.0.1:9/"))
    for part in (tmp_path / "data" / "some-data", tmp_path / "cache", "http://127.0.0.1:9/", "put good.bin into"):
        assert str(part) in str(error.value)


def test_without_a_home_nothing_is_downloaded(monkeypatch):
    monkeypatch.delenv("FARFIELD_DATA")
    with pytest.raises(InputError, match=r"which is not set.*no public home.*put a.parquet"):
        fetch.provide(fetch.Card("x", "y", {"a.parquet": ""}, licence="", citation=""))


def test_a_folder_that_lacks_a_file_does_not_count(tmp_path):
    card = fetch.Card("two", "two files", {"a": "", "b": ""}, licence="", citation="")
    folder = tmp_path / "data" / "two"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    assert fetch.find(card) is None
    (folder / "b").write_bytes(b"2")
    assert fetch.find(card) == folder


def test_a_damaged_xz_file_is_named(tmp_path):
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(CONTENT)[:-20])
    with pytest.raises(InputError, match=r"a\.txt\.xz is not a whole xz file"):
        fetch.read(tmp_path, "a.txt")


def test_a_gzip_file_serves_as_the_plain_one_and_a_damaged_one_is_named(server, tmp_path):
    home, asked = server
    folder = tmp_path / "data" / "some-data"
    folder.mkdir(parents=True)
    (folder / "good.bin.gz").write_bytes(gzip.compress(CONTENT))
    assert fetch.provide(make_card(home)) == folder and not asked
    assert fetch.read(folder, "good.bin") == CONTENT
    (folder / "good.bin.gz").write_bytes(gzip.compress(CONTENT)[:-20])
    with pytest.raises(InputError, match=r"good\.bin\.gz is not a whole gzip file"):
        fetch.read(folder, "good.bin")


def test_every_card_is_complete():
    for card in fetch.cards().values():
        assert card.title and card.licence and card.citation and card.files
        assert not card.home or (card.home.startswith("https://") and card.home.endswith("/"))
        for checksum in card.files.values():
            kind, _, digest = checksum.rpartition(":")
            assert kind in ("", "md5")
            assert len(bytes.fromhex(digest)) == (16 if kind else 32)
        if "CC BY-SA" in card.licence:
            assert fetch.notices(card.name) == (card.notice,)
    assert not any("python" in file for file in fetch.card("cifar10").files)
