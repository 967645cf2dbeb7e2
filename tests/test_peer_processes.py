"""A host and a guest as real processes on this machine, and what is told to a user who makes a mistake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from loop.__main__ import main
from net.discovery import FoundHost, chosen_host, find_hosts
from net.schema import NetError
from net.transport import TcpListener
from tests.peer_show import digests, pictures, psnr_db
from tests.shows import ROOT

PROBE = ("--world", "probe", "--probe-block-ms", "60", "--headless")
PATIENCE_S = 60.0


@pytest.fixture
def start():
    """Start a show that writes digests; all are ended at the end of the test."""
    started = []

    def start_show(digest_file, *options):
        command = [sys.executable, "-m", "tests.peer_show", str(digest_file), *PROBE, *options]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        started.append(process)
        return process

    yield start_show
    for process in started:
        process.terminate()
        process.communicate()


def port_of(host):
    """The port that a host says it listens on."""
    for line in host.stderr:
        if found := re.search(r"hosting on 127\.0\.0\.1:(\d+), for this machine only", line):
            return found[1]
    raise AssertionError("the host ended before it listened")


@pytest.mark.slow
def test_a_guest_that_joins_in_the_middle_shows_the_same_pixels(start, tmp_path):
    host = start(tmp_path / "host", "--host", "0", "--seconds", "60", "--seed", "1")
    port = port_of(host)
    script = tmp_path / "script.jsonl"
    script.write_text('{"at_s": 0.5, "prompt": "blue rain"}\n')
    guest = start(tmp_path / "guest", "--join", f"127.0.0.1:{port}", "--seconds", "3", "--script", str(script))
    assert guest.wait(PATIENCE_S) == 0
    deadline_s = time.monotonic() + 5
    ours, theirs = {}, digests(tmp_path / "guest")
    while not (common := set(ours) & set(theirs)) and time.monotonic() < deadline_s:
        ours = digests(tmp_path / "host")
    assert len(theirs) > 20
    assert len(common) > 20
    assert [number for number in common if ours[number] != theirs[number]] == []


@pytest.mark.slow
def test_a_guest_by_video_needs_no_world_and_shows_nearly_the_same_pixels(start, tmp_path):
    host = start(tmp_path / "host.rgb", "--host", "0", "--seconds", "60", "--seed", "1")
    joining = ("--join", f"127.0.0.1:{port_of(host)}", "--follow", "video", "--seconds", "2")
    guest = start(tmp_path / "guest.rgb", *joining)
    assert guest.wait(PATIENCE_S) == 0
    host.terminate()
    host.wait(PATIENCE_S)
    ours, theirs = pictures(tmp_path / "host.rgb"), pictures(tmp_path / "guest.rgb")
    ratios = [psnr_db(ours[number], pixels) for number, pixels in theirs.items() if number in ours]
    assert len(ratios) > 15
    assert min(ratios) > 30


def test_the_process_of_a_guest_by_video_imports_no_torch():
    told = "import sys, loop.worker.process, loop.worker.video_output, av; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.slow
def test_who_does_not_know_the_key_is_told_so_and_ends_with_status_2(start, tmp_path):
    key = tmp_path / "key"
    key.write_text("a long secret\n")
    port = port_of(start(tmp_path / "host", "--host", "0", "--seconds", "60", "--key", str(key)))
    guest = start(tmp_path / "guest", "--join", f"127.0.0.1:{port}", "--seconds", "5")
    said = guest.communicate(timeout=PATIENCE_S)[1]
    assert guest.returncode == 2
    assert "the host asks for a key: give --key FILE" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_told_in_one_line(capsys):
    listener = TcpListener(("127.0.0.1", 0))
    assert main(["--headless", "--host", str(listener.port), "--world", "probe", "--seed", "1"]) == 2
    listener.close()
    assert f"cannot listen on 127.0.0.1:{listener.port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--join", "nowhere"], "expected ADDRESS:PORT"),
        (["--host", "70000"], "expected [ADDRESS:]PORT"),
        (["--host", "7474", "--join", "127.0.0.1:7474"], "not allowed with"),
        (["--join", "127.0.0.1:7474", "--role", "king"], "invalid choice"),
        (["--join", "127.0.0.1:7474", "--name", ""], "1 to 40 characters"),
        (["--host", "7474", "--key", "missing.txt"], "the name of a file that exists"),
        (["--role", "viewer"], "--role is for a guest"),
        (["--follow", "video"], "--follow is for a guest"),
        (["--join", "127.0.0.1:7474", "--follow", "sound"], "invalid choice"),
        (["--join", "127.0.0.1:7474", "--quantise", "bar"], "--quantise is the host's to decide"),
        (["--join", "127.0.0.1:7474", "--resume"], "the host saves the show"),
        (["--join", "127.0.0.1:7474", "--prompt", "x"], "--prompt is the host's to decide"),
        (["--key", os.devnull], "--key"),
    ],
)
def test_a_mistake_in_the_options_is_told_in_one_line(options, said, capsys):
    assert main(["--headless", "--world", "probe", *options]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_key_that_is_too_short_is_refused(tmp_path, capsys):
    key = tmp_path / "key"
    key.write_text("short\n")
    assert main(["--headless", "--world", "probe", "--seed", "1", "--host", "0", "--key", str(key)]) == 2
    assert "expected 8 or more in the first line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "no host of the world 'small' was found: give its place, --join ADDR:PORT"),
        ([FoundHost("Hilda", "tale", ("10.0.0.1", 1))], "Hilda plays 'tale': open the same world with --world"),
    ],
)
def test_where_no_host_of_this_world_is_found_it_is_said_what_to_do(found, said):
    with pytest.raises(NetError, match=re.escape(said)):
        chosen_host(found, "small")


def test_the_first_host_of_this_world_is_chosen():
    hosts = [FoundHost(name, world, ("10.0.0.1", 1)) for name, world in (("A", "tale"), ("B", "small"), ("C", "small"))]
    assert chosen_host(hosts, "small").name == "B"


def test_without_zeroconf_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(NetError, match=r"pip install 'neverblink\[discover\]'"):
        find_hosts()
