from __future__ import annotations

import csv
import glob
import gzip
import io
import os
import random
import re
from contextlib import suppress

import duckdb
import pytest
import raw_files

from pipeline import files
from pipeline.errors import InputError
from pipeline.files.csv import _OPTIONS
from pipeline.files.ranges import _Ranges, names
from pipeline.sources import SOURCES

con, read, fault, write = raw_files.con, raw_files.read, raw_files.fault, raw_files.write


HEADER = b"ItemKey,ItemData,Extra\n"


@pytest.fixture(params=["whole", "in ranges"])
def ranges(request, monkeypatch):
    """Read plain files as they are, and then as if a few bytes made them large."""
    if request.param == "in ranges":
        monkeypatch.setattr("pipeline.files.streams.CHUNK", 8)
        monkeypatch.setattr("pipeline.files.csv_survey.RANGE", 1)


@pytest.fixture
def small_ranges(monkeypatch):
    """Read plain files in ranges of 200 bytes and more, up to the end of a piece of 64."""
    monkeypatch.setattr("pipeline.files.streams.CHUNK", 64)
    monkeypatch.setattr("pipeline.files.csv_survey.RANGE", 200)


@pytest.fixture
def large(small_ranges, con, write, tmp_path):
    """A file of 1,523 bytes, looked through but not read yet."""
    path = tmp_path / write("a.csv", HEADER + b"k,1,\n" * 300)
    return files.read(
        con, SOURCES["raw_sync_events"], [path], ["ItemKey", "ItemData"], scratch=tmp_path
    )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(b"k,d,e\n", ("k", "d"), id="plain"),
        pytest.param(b"k,d,e", ("k", "d"), id="without a last line break"),
        pytest.param(b"k,d,e\r\n", ("k", "d"), id="lf and then crlf"),
        pytest.param(b",,\n", (None, None), id="an empty field is null"),
        pytest.param(b'"","",""\n', (None, None), id="a quoted empty field is null too"),
        pytest.param(b"NULL,nan,\\N\n", ("NULL", "nan"), id="words for nothing are text"),
        pytest.param(b"\\N,-,\n", ("\\N", "-"), id="a backslash is text"),
        pytest.param(b"1e5,007,\n", ("1e5", "007"), id="no type is guessed"),
        pytest.param(b" k , d ,\n", (" k ", " d "), id="blanks are kept"),
        pytest.param(b'k,"{""a"": ""b,c""}",\n', ("k", '{"a": "b,c"}'), id="escaped quotes"),
        pytest.param(b'k,"""",""\n', ("k", '"'), id="a quote alone"),
        pytest.param(b'k,"a\nb",\n', ("k", "a\nb"), id="a quoted line feed"),
        pytest.param(b'k,"a\r\nb\rc",\n', ("k", "a\r\nb\rc"), id="quoted carriage returns"),
        pytest.param("ü,“{}”,\n".encode(), ("ü", "“{}”"), id="beyond ascii"),
        pytest.param(b"#k,d,\n", ("#k", "d"), id="no comments"),
        pytest.param(b"k;d,1,\n", ("k;d", "1"), id="the delimiter is always a comma"),
        pytest.param(b"ItemKey,ItemData,Extra\n", ("ItemKey", "ItemData"), id="like the header"),
    ],
)
@pytest.mark.usefixtures("ranges")
def test_a_record_is_read_as_text(read, write, record, expected):
    before = b"before,,\n" * 3
    found = read(write("a.csv", HEADER + before + record))

    assert found.values == sorted([("before", None)] * 3 + [expected], key=str)
    assert found.rows == 4
    assert found.types == {"ItemKey": "string", "ItemData": "string"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"ItemKey,ItemData\r\nk,d\r\nk,d\r\n", id="crlf"),
        pytest.param(b"ItemKey,ItemData\r\nk,d\nk,d\r\n", id="both line breaks"),
        pytest.param(b"\xef\xbb\xbfItemKey,ItemData\nk,d\nk,d\n", id="byte-order mark"),
        pytest.param(b'\xef\xbb\xbf"ItemKey",ItemData\nk,d\nk,d\n', id="mark and quoted name"),
        pytest.param(b"ItemKey,ItemData\n\nk,d\n\n\nk,d\n\n", id="blank lines"),
        pytest.param(b"ItemKey,ItemData\r\n\r\nk,d\r\nk,d\r\n\r\n", id="blank crlf lines"),
        pytest.param(b"ItemData,ItemKey\nd,k\nd,k\n", id="another order"),
        pytest.param(b"itemkey,itemdata,ItemData,ItemKey\nx,y,d,k\nx,y,d,k\n", id="case, before"),
        pytest.param(b"ItemData,ItemKey,ITEMKEY,itemdata\nd,k,x,y\nd,k,x,y\n", id="case, after"),
        pytest.param(b"x,ItemKey,,x,,ItemData\n1,k,,,,d\n1,k,,,,d\n", id="double and empty names"),
        pytest.param(b"c1,ItemKey,c0,ItemData\n1,k,2,d\n1,k,2,d\n", id="names like our own"),
        pytest.param(b"filename,select,ItemKey,ItemData\n,,k,d\n,,k,d\n", id="reserved names"),
        pytest.param(b'"a\nb",ItemKey,ItemData\n1,k,d\n1,k,d\n', id="a name of two lines"),
        pytest.param(b'"a\r\nb",ItemKey,ItemData\n1,k,d\n1,k,d\n', id="crlf in a name"),
        pytest.param(b'"a\nb",ItemKey,ItemData\r\n1,k,d\r\n1,k,d\r\n', id="lf in a name"),
        pytest.param(b'x,ItemKey,ItemData\n"\r\n",k,d\n1,k,d\n', id="crlf in a value"),
        pytest.param(b'x,ItemKey,ItemData\r\n"\n",k,d\r\n1,k,d\r\n', id="lf in a value"),
        pytest.param(b"ItemKey,ItemData\r\nk,d\r\nk,d", id="crlf, not at the end"),
    ],
)
@pytest.mark.usefixtures("ranges")
def test_a_file_of_this_form_is_read(read, write, content):
    found = read(write("a.csv", content))

    assert found.values == [("k", "d")] * 2
    assert found.rows == 2


def test_a_header_alone_is_a_source_without_rows(read, write):
    assert read(write("a.csv", b"ItemKey,ItemData\n")).rows == 0
    assert read(write("b.csv", b"ItemKey,ItemData")).values == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "a.csv is empty", id="0 bytes"),
        pytest.param(b"\nItemKey,ItemData\n", "line 1", id="a blank header"),
        pytest.param(b"ItemKey,itemdata\nk,d\n", "a.csv has no column ItemData", id="lower case"),
        pytest.param(b"ItemKey,ItemData\nk,d\nk\n", "line 3, has 1 fields", id="too few"),
        pytest.param(b"ItemKey,ItemData\nk,d,e\nk,d\n", "line 2, has 3 fields", id="too many"),
        pytest.param(b"ItemKey,ItemData\nk,d,\n", "line 2, has 3 fields", id="a comma too many"),
        pytest.param(b"ItemKey,ItemData\n  \n", "line 2, has 1 fields", id="a line of blanks"),
        pytest.param(b'ItemKey,ItemData\n"a\nb",d\nk\n', "line 4, has 1", id="after two lines"),
        pytest.param(b'ItemKey,ItemData\nk,"d\nk,d\n', "line 2, has a quote", id="open quote"),
        pytest.param(b'ItemKey,ItemData\nk,"d', "line 2, has a quote", id="cut in a quote"),
        pytest.param(b'ItemKey,ItemData\nk,d\nk,"', "line 3, has a quote", id="cut at a quote"),
        pytest.param(b'ItemKey,ItemData\nk,"d\nk,"d"\n', "line 2, has a quote", id="then closed"),
        pytest.param(b'ItemKey,ItemData\nk,"d"x\n', "line 2, has a quote", id="text after quote"),
        pytest.param(b'ItemKey,ItemData\nk, "d"\n', "line 2, has a quote", id="blank, quote"),
        pytest.param(b'ItemKey,ItemData\n"k" ,d\n', "line 2, has a quote", id="quote, blank"),
        pytest.param(b'ItemKey,ItemData\nk,5" d\n', "line 2, has a quote", id="inner quote"),
        pytest.param(b'ItemKey,ItemData\n""\nk,d\n', "line 2, has 1 fields", id="quotes alone"),
        pytest.param(b'ItemKey,ItemData\n""x,d\n', "line 2, has a quote", id="text after empty"),
        pytest.param(b'ItemKey,ItemData\nk, ""\n', "line 2, has a quote", id="blank, empty quotes"),
        pytest.param(b'ItemKey,ItemData\nk,"" \n', "line 2, has a quote", id="empty quotes, blank"),
        pytest.param(b'ItemKey,ItemData\nk,5""d\n', "line 2, has a quote", id="two inner quotes"),
        pytest.param(b'ItemKey,ItemData\nk,"d"\r', "line 2, holds a carr", id="cr at the end"),
        pytest.param(b"ItemKey,ItemData\nk,d\rk,d\r", "line 2, holds a carr", id="lone cr"),
        pytest.param(b"ItemKey,ItemData\nk,d\nk,\xff\n", "line 3, holds bytes", id="no utf-8"),
        pytest.param(b"ItemKey,ItemData,E\xff\nk,d,\n", "line 1, holds bytes", id="header utf-8"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.usefixtures("ranges")
def test_a_fault_is_named_with_its_line(fault, write, name, content, what):
    assert what.replace("a.csv", name) in fault(write(name, content))


def test_no_utf8_in_a_column_that_nothing_reads_is_a_fault_too(fault, write):
    name = write("a.csv", HEADER + b"k,d,\xff\n")

    assert fault(name) == "a.csv, line 2, holds bytes that are not UTF-8."


def test_the_line_of_a_fault_is_right_far_into_a_file(fault, write):
    good = b'k,"' + b"\n".join([b"x" * 50] * 3) + b'",\n'
    name = write("a.csv", HEADER + good * 10_000 + b"k\n" + good * 10_000)

    assert fault(name) == "a.csv, line 30002, has 1 fields, the header has 3."


def test_a_record_without_an_end_does_not_fill_the_memory(fault, write, monkeypatch):
    monkeypatch.setattr("pipeline.files.csv_survey.LONGEST", 2**20)
    name = write("a.csv", HEADER + b'k,"d,\n' + b"x,y,z\n" * 400_000)

    assert "line 2, has a record without an end" in fault(name)


@pytest.mark.parametrize("size", [700_000, 1_500_000, 5_000_000])
def test_a_long_value_is_read_whole(read, write, size):
    name = write("a.csv", HEADER + b'k,"' + b'""' * size + b'",\n' + b"k,d,\n")

    assert sorted(len(data) for _, data in read(name).values) == [1, size]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [32 * 2**20, 300_000])
def test_quoted_line_breaks_survive_reading_in_pieces(read, write, monkeypatch, line_end, size):
    # a parallel reader with such small pieces takes a line within a value for a record
    monkeypatch.setitem(_OPTIONS, "buffer_size", 100_000)
    monkeypatch.setitem(_OPTIONS, "max_line_size", 100_000)
    monkeypatch.setattr("pipeline.files.streams.CHUNK", 100_000)
    monkeypatch.setattr("pipeline.files.csv_survey.RANGE", size)
    rng = random.Random(7)
    lines = ['\n,"x",\n', '",\n1,2,3\n"', '\r\n"\r\n', '""', "\n1,2,3\n"]
    expected = [(f"k{i}", rng.choice(lines) * rng.randrange(99) + f'"{i}') for i in range(9_000)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerows([("ItemKey", "Extra", "ItemData"), *((key, ",", d) for key, d in expected)])

    found = read(write("a.csv", text.getvalue().encode()))

    assert found.rows == len(expected)
    assert found.values == sorted(expected, key=str)


@pytest.mark.parametrize("name", ["a [1]*?.csv", "it's 100% ü.csv", "a.csv"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.usefixtures("small_ranges")
def test_a_large_file_is_read_in_ranges_of_whole_records(con, read, write, name, mark):
    content = mark + HEADER + b'k,"1\n2",\n' * 99 + b"k,3,"

    found = read(glob.escape(write(name, content)))

    assert found.values == [("k", "1\n2")] * 99 + [("k", "3")]
    views = con.raw_sql("SELECT sql FROM duckdb_views() WHERE temporary AND NOT internal")
    bounds = re.findall(r"range://(\d+)-(\d+)-0a/", views.fetchall()[0][0])
    starts, ends = [[int(bound) for bound in side] for side in zip(*bounds, strict=True)]
    assert (starts[0], ends[-1]) == (len(mark + HEADER), len(content))
    assert starts[1:] == ends[:-1]
    assert {content[:end][-2:] for end in ends[:-1]} == {b",\n"}
    sizes = [end - start for start, end in zip(starts, ends, strict=True)]
    assert all(200 <= size < 200 + 2 * 64 for size in sizes[:-1])


@pytest.mark.usefixtures("small_ranges")
def test_files_in_ranges_and_whole_are_read_together(read, write):
    for name in ("a.csv", "b.csv", "c.csv.gz"):
        write(name, HEADER + name.encode() + b",1,\n" * 99)
    write("d.csv", HEADER + b"d,1,\n")

    found = read("*.csv*")

    assert found.rows == len(found.values) == 298


@pytest.mark.parametrize("end", [0, 700, 1000])
def test_a_file_in_ranges_that_is_cut_meanwhile_is_named(con, large, end):
    os.truncate(large.paths[0], end)

    # fewer rows or an error: either leads to the question whether the file changed
    with suppress(duckdb.Error):
        assert con.to_pyarrow(large.table).num_rows < large.rows
    with pytest.raises(InputError, match=f"a.csv changed while it was read.* now {end:,}"):
        files.require_unchanged(large)


def test_a_file_in_ranges_that_has_gone_meanwhile_is_named(con, large):
    large.paths[0].unlink()

    with pytest.raises(duckdb.Error) as caught:
        con.to_pyarrow(large.table)
    with pytest.raises(InputError, match=r"a\.csv can't be read: No such file"):
        files.mended(caught.value, [large])


def test_a_range_ends_where_it_ends_however_much_is_asked_for(con, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"0123456789")
    (name,) = names(con, tmp_path / "a.csv", [(2, 5)], b"\n")

    file = _Ranges().open(name)

    assert (file.read(3), file.read(100), file.read(100)) == (b"hea", b"der\n234", b"")
    assert (file.seek(8), file.read(1), file.tell()) == (8, b"3", 9)


class TestGzip:
    content = HEADER + b"k,d,e\n" * 20_000

    def test_several_members_are_read_as_one(self, read, tmp_path):
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(HEADER) + gzip.compress(b"k,d,\n"))

        assert read("a.csv.gz").values == [("k", "d")]

    @pytest.mark.parametrize("end", [0, 5, 60, -9, -8, -4, -1])
    def test_a_cut_file_is_a_fault(self, fault, tmp_path, end):
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(self.content)[:end])

        assert fault("a.csv.gz").startswith("a.csv.gz is cut off or damaged")

    @pytest.mark.parametrize("place", [-1, -6, 50])
    def test_a_damaged_file_is_a_fault(self, fault, tmp_path, place):
        damaged = bytearray(gzip.compress(self.content))
        damaged[place] ^= 0xFF
        (tmp_path / "a.csv.gz").write_bytes(damaged)

        assert fault("a.csv.gz").startswith("a.csv.gz is cut off or damaged")

    def test_what_is_no_gzip_is_told_by_what_it_is(self, fault, tmp_path):
        (tmp_path / "a.csv.gz").write_bytes(self.content)
        (tmp_path / "b.csv.gz").write_bytes(gzip.compress(gzip.compress(self.content)))
        (tmp_path / "c.csv").write_bytes(gzip.compress(self.content))

        assert fault("a.csv.gz").startswith("a.csv.gz is not compressed, although")
        assert fault("b.csv.gz") == "b.csv.gz is gzip twice."
        assert fault("c.csv") == "c.csv is gzip, not CSV."

    def test_zeros_after_the_end_and_a_comment_are_no_fault(self, read, tmp_path):
        packed = gzip.compress(self.content)
        odd = packed[:3] + b"\x10" + packed[4:10] + b"from the gateway\0" + packed[10:]
        (tmp_path / "a.csv.gz").write_bytes(odd + bytes(512))

        assert read("a.csv.gz").rows == 20_000


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"ItemKey;ItemData", "has semicolons between its fields"),
        (b"ItemKey\tItemData", "has tabs between its fields"),
        (b"ITEMKEY,ITEMDATA", "has no column ItemKey, but 'ITEMKEY': case and blanks count."),
        (b"ItemKey, ItemData", "has no column ItemData, but ' ItemData': case and blanks count."),
        ("ItemKey,ItemData".encode("utf-16"), "is UTF-16, not CSV."),
    ],
)
def test_a_header_of_another_form_is_called_so(fault, write, header, told):
    assert told in fault(write("a.csv", header + b"\n1,2\n"))
