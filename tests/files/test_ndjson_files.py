from __future__ import annotations

import gzip
import zlib

import pytest
import raw_files

con, read, fault, write = raw_files.con, raw_files.read, raw_files.fault, raw_files.write


LINE = b'{"ItemKey": "k", "ItemData": "d"}\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param('"x"', "x", id="text"),
        pytest.param('""', "", id="empty text is a value"),
        pytest.param('"1e5"', "1e5", id="text like a number"),
        pytest.param('"7.0"', "7.0", id="text like a fraction"),
        pytest.param('"007"', "007", id="text with leading zeros"),
        pytest.param('"null"', "null", id="text null"),
        pytest.param('"2022-01-01"', "2022-01-01", id="text like a date"),
        pytest.param('"{x"', "{x", id="text like an object"),
        pytest.param('"[1]"', "[1]", id="text like an array"),
        pytest.param(r'"\u00e9\n\"\\"', 'é\n"\\', id="escapes"),
        pytest.param(r'"\ud83d\ude00"', "😀", id="escaped beyond u+ffff"),
        pytest.param("7", "7", id="integer"),
        pytest.param("-12", "-12", id="negative integer"),
        pytest.param("9007199254740993", "9007199254740993", id="integer above 2^53"),
        pytest.param("18446744073709551615", "18446744073709551615", id="integer above 2^63"),
        pytest.param("123456789012345678901", "123456789012345678901", id="longer integer"),
        pytest.param("7.0", "7", id="whole fraction"),
        pytest.param("-7.0", "-7", id="negative whole fraction"),
        pytest.param("1e5", "100000", id="whole exponent"),
        pytest.param("1E+2", "100", id="capital exponent"),
        pytest.param("72.50", "72.5", id="fraction"),
        pytest.param("0.0", "0", id="whole fraction of zero"),
        pytest.param("9.0", "9", id="whole fraction of nine"),
        pytest.param("1e-7", "1e-07", id="small fraction"),
        pytest.param("1e300", "1e+300", id="large exponent"),
        pytest.param("1e400", "1e400", id="beyond float64"),
        pytest.param("true", "true", id="true"),
        pytest.param("false", "false", id="false"),
        pytest.param("null", None, id="null"),
        pytest.param('{"a": 1}', None, id="object"),
        pytest.param("[1, 2]", None, id="array"),
    ],
)
def test_a_value_is_read_as_text(read, write, value, text):
    name = write("a.ndjson", f'{{"ItemKey": {value}, "ItemData": "d"}}\n'.encode())

    found = read(name)

    assert found.values == [(text, "d")]
    assert found.types == {"ItemKey": "string", "ItemData": "string"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(
            '{"a": [1, "b c", null], "d": {}}', '{"a":[1,"b c",null],"d":{}}', id="object"
        ),
        pytest.param("[1, 2]", "[1,2]", id="array"),
        pytest.param(r'"{\"a\": 1}"', '{"a": 1}', id="text that holds json"),
        pytest.param("7.0", "7", id="number"),
        pytest.param("null", None, id="null"),
        pytest.param('""', "", id="empty text"),
    ],
)
def test_item_data_that_is_nested_is_its_json_text(read, write, value, text):
    name = write("a.ndjson", f'{{"ItemKey": "k", "ItemData": {value}}}\n'.encode())

    assert read(name).values == [("k", text)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", [], id="0 bytes"),
        pytest.param(b"\n \n\r\n", [], id="blank lines alone"),
        pytest.param(LINE[:-1], [("k", "d")], id="no last line break"),
        pytest.param(LINE.replace(b"\n", b"\r\n") * 2, [("k", "d")] * 2, id="crlf"),
        pytest.param(b"\n" + LINE + b"\n \t\r\n" + LINE, [("k", "d")] * 2, id="blank lines"),
        pytest.param(b"  " + LINE, [("k", "d")], id="indented"),
        pytest.param(LINE + b'{"MapSid": "m"}\n', [("k", "d"), (None, None)], id="missing keys"),
        pytest.param(
            b'{}\n{"ItemKey": "k"}\n' + LINE,
            [("k", "d"), ("k", None), (None, None)],
            id="empty object",
        ),
        pytest.param(
            b'{"itemkey": "x", "ItemKey": "k", "itemdata": "y"}\n' + LINE,
            [("k", "d"), ("k", None)],
            id="case",
        ),
        pytest.param(
            b'{"ItemKey": "k", "ItemKey": "k", "ItemData": null}\n',
            [("k", None)],
            id="repeated key",
        ),
        pytest.param(
            b'{"ItemKey": "k", "": 1, "json": 2, "line": 3, "ItemData": 4}\n',
            [("k", "4")],
            id="extra",
        ),
        pytest.param(
            '{"ItemKey": "a\u2028b\u0085c", "ItemData": null}\n'.encode(),
            [("a\u2028b\u0085c", None)],
            id="unicode line breaks",
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.ndjson.gz", "A.JSONL.GZ"])
def test_a_file_of_this_form_is_read(read, write, name, content, expected, tmp_path):
    write(name, content) if not name.endswith("GZ") else (tmp_path / name).write_bytes(
        gzip.compress(content)
    )

    found = read(name)

    assert found.values == expected
    assert found.rows == len(expected)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'["ItemKey"]', id="an array"),
        pytest.param(b"5", id="a number"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"ItemKey"', id="a text"),
        pytest.param(b"ItemKey,ItemData", id="no json"),
        pytest.param(b"{ItemKey: 1}", id="a key without quotes"),
        pytest.param(b'{"ItemKey": "k"} {"ItemKey": "k"}', id="two objects"),
        pytest.param(b'{"ItemKey": "k"}{"ItemKey": "k"}', id="two objects without a blank"),
        pytest.param(b'{"ItemKey": "k"},', id="a comma after it"),
        pytest.param(b'{"ItemKey": "k', id="cut in a text"),
        pytest.param(b'{"ItemKey":', id="cut before a value"),
        pytest.param(b'{"ItemKey": "k\x00"}', id="a control character"),
        pytest.param(b'{"ItemKey": "\xff"}', id="no utf-8 in a used value"),
        pytest.param(b'{"Other": "\xff"}', id="no utf-8 in an unused value"),
        pytest.param(b'{"\xff": 1}', id="no utf-8 in a key"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte-order mark"),
        pytest.param(b"\x0c", id="a form feed alone"),
        pytest.param(b'\x0c{"ItemKey": "k"}', id="a form feed before it"),
        pytest.param(b'{"ItemKey": "k"\x00}', id="a control character outside of texts"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3000])
def test_a_line_that_is_no_object_is_named(fault, write, line, before):
    alone = write("a.ndjson", LINE * before + line)
    within = write("b.ndjson", b"\n" + LINE * before + line + b"\n" + LINE * 10)

    assert fault(alone).startswith(f"a.ndjson, line {before + 1}, ") or (
        before == 0 and "has no line with ItemKey and ItemData" in fault(alone)
    )
    assert fault(within).startswith(f"b.ndjson, line {before + 2}, ")


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b'"x": ' + b"[" * 2000 + b"]" * 2000, id="two thousand levels"),
        pytest.param(b'"x": ' + b"9" * 5000, id="an integer of five thousand digits"),
        pytest.param(b"", id="a comma before the end"),
    ],
)
def test_what_the_engine_takes_for_an_object_is_one(read, write, rest):
    assert read(write("a.ndjson", b'{"ItemKey": "k", "ItemData": 1, ' + rest + b"}\n")).values == [
        ("k", "1")
    ]


def test_a_byte_order_mark_is_called_so(fault, write):
    what = fault(write("a.ndjson", b"\xef\xbb\xbf" + LINE))

    assert what == "a.ndjson, line 1, begins with a byte-order mark, which is not JSON."


def test_bytes_that_are_no_utf8_are_called_so(fault, write):
    name = write("a.ndjson", LINE + b'{"ItemKey": "\xff"}\n')

    assert fault(name) == "a.ndjson, line 2, holds bytes that are not UTF-8."


def test_a_line_break_within_an_object_is_a_fault(fault, write):
    assert "line 2" in fault(write("a.ndjson", LINE + b'{"ItemKey":\n "k"}\n'))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b'{"uid": 1}\n{"uid": 2}\n', "it is something else's file", id="other source"),
        pytest.param(
            b'{"itemkey": 1, "ItemData": 2}\n',
            "but with itemkey and ItemData: case counts",
            id="lower case",
        ),
        pytest.param(b"{}\n", "it is something else's file", id="empty objects"),
        pytest.param(b'{"ItemKey": 1}\n', "it is something else's file", id="one key of two"),
        pytest.param(b'{"ItemKey": 1}\n{"ItemData": 1}\n', "it is something", id="never both"),
    ],
)
def test_a_file_of_which_no_line_has_the_keys_is_the_wrong_file(fault, write, content, told):
    what = fault(write("a.ndjson", content))

    assert what.startswith("a.ndjson has no line with ItemKey and ItemData")
    assert told in what


def test_users_are_known_by_their_uid(read, fault, write):
    sound = write("a.ndjson", b'{"username": "x"}\n{"uid": null}\n')
    lower = write("b.ndjson", b'{"UID": 1}\n')

    assert read(sound, columns=("uid",), source="raw_users").rows == 2
    assert "but with UID: case counts" in fault(lower, columns=("uid",), source="raw_users")


def test_each_file_must_have_the_keys_of_the_source(fault, write):
    write("a.ndjson", LINE)
    write("b.ndjson", b'{"uid": 1}\n')

    assert fault("a.ndjson", "b.ndjson").startswith("b.ndjson has no line with")


def test_a_key_far_into_the_file_makes_it_the_right_one(read, write):
    found = read(write("a.ndjson", b'{"x": 1}\n' * 50_000 + LINE))

    assert found.rows == 50_001


NAN = [b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"-inf"]


@pytest.mark.parametrize("value", NAN)
def test_nan_and_infinity_are_null(read, write, value):
    name = write("a.ndjson", b'{"ItemKey": %b, "ItemData": %b}\n' % (value, value))
    texts = write("b.ndjson", b'{"ItemKey": "%b", "ItemData": "%b"}\n' % (value, value))

    assert read(name).values == [(None, None)]
    assert read(texts).values == [(value.decode(), value.decode())]


def test_nan_within_item_data_is_null_there(read, write):
    data = b'{"a": NaN, "b": [-Infinity, "say NaN: \\" NaN"], "NaN": 1}'
    text = b'"{\\"a\\": NaN}"'
    name = write(
        "a.ndjson", b"".join(b'{"ItemKey": "k", "ItemData": %b}\n' % d for d in (data, text))
    )

    assert read(name).values == [
        ("k", '{"a": NaN}'),
        ("k", '{"a":null,"b":[null,"say NaN: \\" NaN"],"NaN":1}'),
    ]


@pytest.mark.parametrize("ending", ["ndjson", "ndjson.gz"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (rb'{"Identity": "hub \ud83d", "ItemKey": "k", "ItemData": 1.50}', ("k", "1.5")),
        (rb'{"ItemKey": "\ud83d", "ItemData": "x"}', (None, "x")),
        (rb'{"ItemKey": "k", "ItemData": "\udc00"}', ("k", None)),
        (rb'{"ItemKey": "k", "ItemData": {"a": ["\ud83d", 1], "b": 2}}', ("k", None)),
        (rb'{"ItemKey": "k", "ItemData": {"\uD83D": 1}, "x": 2}', ("k", None)),
        (rb'{"\ud83d": {"a": [1, 2]}, "ItemKey": "k", "ItemData": "d"}', ("k", "d")),
        (rb'{"ItemKey": "k", "ItemData": "\ud83d\ude00"}', ("k", "\U0001f600")),
        (rb'{"ItemKey": "k", "ItemData": "\\ud83d"}', ("k", r"\ud83d")),
        (rb'{"ItemKey": "k", "ItemData": "{\"a\": \"\\ud83d\"}"}', ("k", r'{"a": "\ud83d"}')),
    ],
)
def test_half_a_character_is_a_value_that_does_not_fit(read, write, line, expected, ending):
    name = write(f"a.{ending}", LINE + line + b"\n" + LINE)

    found = read(name)

    assert found.rows == 3
    assert sorted(found.values, key=str) == sorted([("k", "d"), ("k", "d"), expected], key=str)


def test_a_broken_line_beside_half_a_character_is_named(fault, write):
    name = write("a.ndjson", LINE + rb'{"ItemKey": "\ud83d"}' + b"\n{]\n")

    assert fault(name) == "a.ndjson, line 3, is not a JSON object on a line of its own."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[{}]\n", "line 1, is an array: write one object a line"),
        (b"{'ItemKey': 'k'}\n" + LINE, "line 1, is not JSON: its quotes are single ones"),
        (LINE.decode().encode("utf-16"), "a.ndjson is UTF-16, not NDJSON."),
        (b"PAR1....", "a.ndjson is Parquet, not NDJSON."),
        (gzip.compress(LINE, mtime=0), "a.ndjson is gzip, not NDJSON."),
        (b"PK\x03\x04", "a.ndjson is a zip archive, not NDJSON."),
        (b"\x28\xb5\x2f\xfd...", "a.ndjson is zstd, not NDJSON."),
    ],
)
def test_what_is_no_ndjson_is_told_by_what_it_is(fault, write, content, told):
    assert told in fault(write("a.ndjson", content))


def test_a_long_line_is_read_whole(read, write):
    size = 40_000_000
    name = write("a.ndjson", LINE + b'{"ItemKey": "' + b"x" * size + b'", "ItemData": 1}\n')

    assert sorted(len(key) for key, _ in read(name).values) == [1, size]


def test_a_line_without_an_end_does_not_fill_the_memory(fault, write, monkeypatch):
    monkeypatch.setattr("pipeline.files.ndjson_survey.LONGEST", 2**20)
    name = write("a.ndjson", LINE + b'{"ItemKey": "' + b"x" * 2**22)

    assert fault(name).startswith("a.ndjson has a line of more than")


class TestGzip:
    content = LINE * 20_000

    def test_several_members_are_read_as_one(self, read, tmp_path):
        (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(LINE[:9]) + gzip.compress(LINE[9:]))

        assert read("a.ndjson.gz").values == [("k", "d")]

    @pytest.mark.parametrize("end", [0, 5, 60, -60, -9, -8, -4, -1])
    def test_a_cut_file_is_a_fault(self, fault, tmp_path, end):
        (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(self.content)[:end])

        assert fault("a.ndjson.gz").startswith("a.ndjson.gz is cut off or damaged")

    @pytest.mark.parametrize("place", [-1, -6, 50])
    def test_a_damaged_file_is_a_fault(self, fault, tmp_path, place):
        damaged = bytearray(gzip.compress(self.content))
        damaged[place] ^= 0xFF
        (tmp_path / "a.ndjson.gz").write_bytes(damaged)

        assert fault("a.ndjson.gz").startswith("a.ndjson.gz is cut off or damaged")

    def test_what_gunzip_takes_is_read(self, read, tmp_path):
        packed = gzip.compress(self.content)
        head, body = packed[:10], packed[10:]
        check = (zlib.crc32(head[:3] + b"\x02" + head[4:]) & 0xFFFF).to_bytes(2, "little")
        odd = {
            "text": head[:3] + b"\x01" + head[4:] + body,
            "extra": head[:3] + b"\x04" + head[4:] + b"\x02\x00ab" + body,
            "name": head[:3] + b"\x08" + head[4:] + b"name\0" + body,
            "comment": head[:3] + b"\x10" + head[4:] + b"from the gateway\0" + body,
            "checksum": head[:3] + b"\x02" + head[4:] + check + body,
            "zeros": packed + bytes(2**21),
        }
        odd["several"] = odd["name"] + bytes(3) + odd["comment"]
        for name, content in odd.items():
            (tmp_path / f"{name}.ndjson.gz").write_bytes(content)

            assert read(f"{name}.ndjson.gz").rows == 20_000 * (1 + (name == "several")), name

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (LINE, "is not compressed, although its name ends in .gz."),
            (gzip.compress(gzip.compress(LINE, mtime=0), mtime=0), "is gzip twice."),
            (b"PK\x03\x04", "is a zip archive, not gzip."),
            (gzip.compress(LINE, mtime=0) + b"\0\0x", "is cut off or damaged"),
        ],
    )
    def test_what_is_no_gzip_is_told_by_what_it_is(self, fault, tmp_path, content, told):
        (tmp_path / "a.ndjson.gz").write_bytes(content)

        assert fault("a.ndjson.gz").startswith(f"a.ndjson.gz {told}")
