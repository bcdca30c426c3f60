"""Paths and globs, as people and shells write them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
import raw_files

from pipeline import files
from pipeline.errors import InputError

con, read, fault = raw_files.con, raw_files.read, raw_files.fault


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("b.csv", "a.csv", "c.ndjson", "sub/d.csv", "x.txt"):
        (tmp_path / name).touch()


def found(*patterns):
    return [str(path) for path in files.find(patterns)]


def test_a_glob_is_sorted():
    assert found("*.csv") == ["a.csv", "b.csv"]


def test_a_glob_finds_no_folders():
    assert found("[as]*") == ["a.csv"]


def test_a_folder_named_like_a_file_is_not_left_out_silently(fault, tmp_path):
    (tmp_path / "z.csv").mkdir()

    assert fault("z.csv") == "z.csv is a folder."
    assert fault("*.csv") == "z.csv is a folder."


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(b"x\xff.csv", "x\\xff.csv has a name", id="no utf-8"),
        pytest.param(b"x\\[1].csv", "x\\[1].csv has a name", id="backslash and bracket"),
    ],
)
def test_a_name_that_the_engine_can_not_be_told_is_a_fault(fault, name, shown):
    Path(os.fsdecode(name)).touch()

    assert fault("x*.csv").startswith(shown)


def test_a_glob_of_two_stars_goes_into_folders():
    assert found("**/*.csv") == ["a.csv", "b.csv", "sub/d.csv"]


def test_a_file_named_twice_counts_once(tmp_path):
    assert found("b.csv", "*.csv", "./sub/../a.csv", str(tmp_path / "b.csv")) == [
        "b.csv",
        "a.csv",
    ]


def test_a_link_to_a_file_is_that_file(tmp_path):
    (tmp_path / "link.csv").symlink_to("a.csv")

    assert found("a.csv", "link.csv") == ["a.csv"]


def test_a_file_with_the_letters_of_a_glob_is_found_as_it_stands(tmp_path):
    (tmp_path / "[ab].csv").touch()

    assert found("[ab].csv") == ["[ab].csv"]


@pytest.mark.parametrize(
    "ending", ["parquet", "ndjson", "jsonl.gz", "json", "json.gz", "csv.gz", "CSV"]
)
def test_the_kind_is_told_by_the_ending(tmp_path, ending):
    (tmp_path / f"k.{ending}").touch()

    assert found("k.*") == [f"k.{ending}"]


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        pytest.param("none.csv", "none.csv does not exist.", id="missing"),
        pytest.param("*.parquet", "*.parquet matches no file.", id="glob of nothing"),
        pytest.param("su*", "su* matches no file.", id="glob of folders alone"),
        pytest.param("no/*.csv", "no/*.csv matches no file.", id="glob in no folder"),
        pytest.param("a.csv/*", "a.csv/* matches no file.", id="glob in a file"),
        pytest.param("sub", "sub is a folder.", id="folder"),
        pytest.param("x.txt", "x.txt is of an unknown kind.", id="unknown kind"),
        pytest.param("*", "x.txt is of an unknown kind.", id="unknown kind in a glob"),
    ],
)
def test_what_can_not_be_read_is_named(fault, pattern, what):
    assert fault("a.csv", pattern) == what


def test_a_compressed_parquet_is_of_an_unknown_kind(fault, tmp_path):
    (tmp_path / "a.parquet.gz").touch()

    assert fault("a.parquet.gz") == "a.parquet.gz is of an unknown kind."


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("[sS]ite[[]1]/*.csv", ["site[1]/ev.csv"]),
        ("site[1]/*.csv", ["site[1]/ev.csv"]),
        ("site?/*.csv", ["site1/ev.csv"]),
        ("*/e[v].csv", ["site1/ev.csv", "site[1]/ev.csv"]),
        ("./site1/../site1/*.csv", ["site1/../site1/ev.csv"]),
        (".hid*/*.csv", [".hidden/ev.csv"]),
        ("*/../a.csv", [".hidden/../a.csv"]),
        ("**", ["a.csv", "b.csv"]),
    ],
)
def test_a_glob_matches_as_in_a_shell_and_a_folder_that_exists_as_it_stands(pattern, matched):
    for name in ("site1", "site[1]", ".hidden"):
        Path(name).mkdir()
        (Path(name) / "ev.csv").touch()
    Path("x.txt").unlink()
    if pattern.startswith("*/.."):
        matched = ["site1/../a.csv"]
    if pattern == "**":
        matched = ["a.csv", "b.csv", "c.ndjson", "site1/ev.csv", "site[1]/ev.csv", "sub/d.csv"]

    assert found(pattern) == matched


def test_recorded_a_pattern_names_the_same_files_even_when_some_are_gone(tmp_path, monkeypatch):
    for name in ("site1", "site[1]"):
        (tmp_path / name).mkdir()
        for file in ("ev1.csv", "ev[1].csv"):
            (tmp_path / name / file).touch()
    here = tmp_path / "site[1]"
    monkeypatch.chdir(here)
    one, many, above = map(files.absolute, ("ev[1].csv", "ev*.csv", "../site[1]/*.csv"))
    monkeypatch.chdir("/")

    assert found(one) == [f"{here}/ev[1].csv"]
    assert found(many) == found(above) == [f"{here}/ev1.csv", f"{here}/ev[1].csv"]
    (here / "ev[1].csv").unlink()
    assert found(many) == [f"{here}/ev1.csv"]
    with pytest.raises(InputError) as caught:
        files.find([one])
    assert caught.value.what == f"{here}/ev[1].csv does not exist."


def test_links_that_lead_back_are_entered_once(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "sub" / name).symlink_to("..")
    (tmp_path / "self").symlink_to("self")

    assert found("**/*.csv") == ["a.csv", "b.csv", "sub/d.csv"]


def bind(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


@pytest.mark.parametrize("pattern", ["p.csv", "*.csv", "**/*.csv"])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        pytest.param(os.mkfifo, "a pipe", id="pipe"),
        pytest.param(lambda path: Path(path).symlink_to("/dev/null"), "a device", id="device"),
        pytest.param(bind, "a socket", id="socket"),
    ],
)
def test_no_pipe_or_device_is_opened(fault, pattern, make, what):
    make("p.csv")

    assert fault(pattern) == f"p.csv is {what}, not a file."


@pytest.mark.parametrize(
    ("pattern", "what", "step"),
    [
        ("s3://bucket/a/*.parquet", "is an address; only files", "`aws s3 cp`"),
        ("gs://bucket/a.parquet", "is an address; only files", "`gcloud storage cp`"),
        ("https://example.com/a.csv?sig=1", "is an address; only files", "`curl -O`"),
        ("abfss://x@y/a.csv", "is an address; only files", "Copy it to this machine"),
        ("~/a.csv", "does not exist: the shell did not replace the ~", "$HOME"),
        ("a" * 300 + ".csv", "is too long a name for a file.", "Check the path"),
        ("a" * 300 + "/*.csv", "is too long a name for a file.", "Check the path"),
        ("a\0.csv", "is not a path: embedded null", "The last build"),
    ],
)
def test_what_is_no_path_here_is_told_with_the_next_step(pattern, what, step):
    with pytest.raises(InputError) as caught:
        files.find([pattern])

    assert what in caught.value.what
    assert step in caught.value.next_step


def test_a_link_to_nothing_is_a_fault(fault, tmp_path):
    (tmp_path / "n.csv").symlink_to("nothing")

    assert fault("n.csv") == "n.csv does not exist."
    assert fault("*.csv") == "n.csv does not exist."


@contextlib.contextmanager
def in_a_folder_of_nobody():
    """Act as a user without access to a folder; root may read every folder."""
    us = os.geteuid()
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, 65534 if us == 0 else us, -1)
    os.seteuid(65534 if us == 0 else us)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir("/")
        os.seteuid(us)
        shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
@pytest.mark.parametrize("pattern", ["*/*.csv", "**/*.csv", "sub/*.csv"])
def test_a_folder_that_can_not_be_looked_into_is_named(pattern, mode):
    with in_a_folder_of_nobody():
        Path("sub").mkdir()
        Path("sub/d.csv").touch()
        Path("sub").chmod(mode)

        with pytest.raises(InputError) as caught:
            files.find([pattern])

        Path("sub").chmod(0o700)
    assert caught.value.what.startswith("sub")
    assert "Permission denied" in caught.value.what


def test_a_file_in_a_folder_that_can_not_be_listed_is_found_by_its_name():
    with in_a_folder_of_nobody():
        Path("sub").mkdir(mode=0o300)
        Path("sub/d.csv").touch()

        assert found("sub/d.csv", "[s]ub/d.csv") == ["sub/d.csv"]
        Path("sub").chmod(0o700)
