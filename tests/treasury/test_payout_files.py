"""Payout files: every line stands for itself, and a file that is not one says so."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.core.lines import MAX_LINE, BadLine, FileRefused
from opsconsole.treasury.payouts.files import GoodLine, PayoutFile, read_payouts
from tests.treasury.conftest import HEADER, line, text


def read(content: bytes | str) -> list[GoodLine | BadLine]:
    return list(read_payouts(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def ids(lines: list[GoodLine | BadLine]) -> list[str]:
    return [one.facts.external_id if isinstance(one, GoodLine) else str(one) for one in lines]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_reads_any_line_break_and_a_byte_order_mark(break_: str, mark: str) -> None:
    content = mark + text(line(1), line(2)).replace("\n", break_)
    assert ids(read(content)) == ["X-1", "X-2"]
    assert ids(read(content.rstrip())) == ["X-1", "X-2"]


def test_numbers_lines_as_an_editor_does() -> None:
    lines = read(text(line(1), "", line(2), "   ", line(3)))
    assert [one.number for one in lines] == [2, 4, 6]


def test_takes_the_columns_in_any_order() -> None:
    names = HEADER.split(",")
    values = line(1).split(",")
    turned = ",".join(reversed(names)) + "\n" + ",".join(reversed(values)) + "\n"
    assert ids(read(turned)) == ["X-1"]


def test_takes_quotes_and_commas() -> None:
    [one] = read(text(line(1, beneficiary_name='"Smith, ""Bob"" & Sons"')))
    assert isinstance(one, GoodLine)
    assert one.facts.beneficiary_name == 'Smith, "Bob" & Sons'


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line(9, amount="0"), "line 3: amount is not positive"),
        (line(9, amount="0", iban="x"), "line 3: iban is not an IBAN; amount is not positive"),
        (line(9) + ",more", "line 3: has 9 columns; the header names 8"),
        ("only,three,columns", "line 3: has 3 columns; the header names 8"),
        (
            line(9, remittance='"open'),
            "line 3: has a quote that is not closed on the line, or stands in the wrong place",
        ),
        (
            line(9, remittance='"a"b'),
            "line 3: has a quote that is not closed on the line, or stands in the wrong place",
        ),
        (line(9, remittance="x" * MAX_LINE), f"line 3: is longer than {MAX_LINE} characters"),
        (line(9, remittance="x" * 10 * MAX_LINE), f"line 3: is longer than {MAX_LINE} characters"),
        (line(9, remittance="a\x00b"), "line 3: remittance holds a control character"),
    ],
)
def test_a_bad_line_spoils_no_other(bad: str, said: str) -> None:
    assert ids(read(text(line(1), bad, line(2)))) == ["X-1", said, "X-2"]


def test_broken_bytes_spoil_their_line_only() -> None:
    content = text(line(1), line(9, beneficiary_name="Zo??"), line(2)).encode().replace(b"??", b"\xeb")
    assert ids(read(content)) == ["X-1", "line 3: beneficiary_name holds bytes that are not UTF-8", "X-2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n", "must name the columns"),
        (line(1).encode(), "must name the columns"),
        (text(line(1)).replace(",", ";").encode(), "must name the columns"),
        (text(line(1)).encode("utf-16"), "must name the columns"),
        (HEADER.replace("bic,", "").encode(), "missing: bic"),
        (HEADER.encode() + b",notes\n", "unknown: 'notes'"),
        (HEADER.encode() + b",iban\n", "must name the columns"),
        (b"x" * 5 * MAX_LINE, "must name the columns"),
        (b'"', "must name the columns"),
        (b"PK\x03\x04 a zip file", "must name the columns"),
    ],
)
def test_refuses_what_is_no_payout_file(content: bytes, said: str) -> None:
    with pytest.raises(FileRefused, match=said) as refused:
        read(content)
    assert refused.value.fields["line"] == 1


class TestOnDisk:
    def test_knows_gzip_by_its_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "payouts.csv"
        path.write_bytes(gzip.compress(text(line(1), line(2)).encode()))
        file = PayoutFile(path)
        assert ids(list(file)) == ["X-1", "X-2"]
        assert file.position == file.size == path.stat().st_size

    def test_says_where_a_cut_file_breaks_off(self, tmp_path: Path) -> None:
        path = tmp_path / "payouts.csv.gz"
        whole = gzip.compress(text(*(line(number) for number in range(2000))).encode(), compresslevel=0)
        path.write_bytes(whole[: len(whole) // 2])
        numbers: list[int] = []
        with pytest.raises(FileRefused, match="breaks off after line") as refused:
            numbers.extend(one.number for one in PayoutFile(path))
        assert numbers == list(range(2, refused.value.fields["line"]))
        assert len(numbers) > 800

    def test_says_what_is_wrong_with_damaged_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "payouts.csv.gz"
        whole = bytearray(gzip.compress(text(*(line(number) for number in range(2000))).encode()))
        whole[-5] ^= 0xFF  # its checksum
        path.write_bytes(whole)
        with pytest.raises(FileRefused, match="breaks off"):
            list(PayoutFile(path))
        path.write_bytes(b"\x1f\x8bnonsense")
        with pytest.raises(FileRefused, match="breaks off after line 0"):
            list(PayoutFile(path))

    def test_says_that_there_is_no_file(self, tmp_path: Path) -> None:
        for path, said in ((tmp_path / "none.csv", "No such file"), (tmp_path, "directory")):
            with pytest.raises(FileRefused, match=said):
                list(PayoutFile(path))

    def test_reads_in_constant_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "payouts.csv.gz"
        with gzip.open(path, "wt") as file:
            file.write(HEADER + "\n")
            file.writelines(line(number) + "\n" for number in range(20_000))
            for _ in range(200):
                file.write("x" * 100_000)  # one line of twenty megabytes
            file.write("\n")
        tracemalloc.start()
        count = sum(1 for _ in PayoutFile(path))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 20_001
        assert peak < 2_000_000


@given(st.binary(max_size=2000))
def test_survives_any_bytes(content: bytes) -> None:
    try:
        list(read_payouts(io.BytesIO(HEADER.encode() + b"\n" + content)))
    except FileRefused:
        pytest.fail("a file with its header is read to its end")


@given(st.binary(max_size=200))
def test_survives_any_header(content: bytes) -> None:
    with suppress(FileRefused):
        list(read_payouts(io.BytesIO(content)))
