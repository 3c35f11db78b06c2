"""Text in the SEPA character set."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opsconsole.treasury.gateways.sepa import TABLE, has_letters, is_identifier, transliterate
from tests.gateways.orders import real_orders

SEPA = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("JILL BARTLETT & COMPANY LTD", "JILL BARTLETT + COMPANY LTD"),
        ("51% STUDIOS [LONDON] LTD", "51. STUDIOS (LONDON) LTD"),
        ("ERDF_CENTRAL GOVT/NDPB_CURRENT", "ERDF-CENTRAL GOVT/NDPB-CURRENT"),
        ("Société Générale, Île-de-France", "Societe Generale, Ile-de-France"),
        ("Müller & Söhne Straße", "Muller + Sohne Strasse"),
        ("Łódź Þórður Ærø Œuvre Đặng", "Lodz Thordur Aero Oeuvre Dang"),
        ("İstanbul ılgaz Şükrü", "Istanbul ilgaz Sukru"),
        ("Serigne Ñaŋ Ɓooɗ Ɛkow Ɔsei", "Serigne Nan Bood Ekow Osei"),
        ("Ελληνική Εταιρεία Ψυχή", "Elliniki Etaireia Psychi"),
        ("България Щастие Цар", "Balgariya Shtastie Tsar"),
        ("Београд Љубљана Ђорђе", "Beograd Ljubljana Djordje"),
        ("Київ Їжак", "Kiyiv Yizhak"),
        ("№ 5 – “quoted” ‘it’s’ «oui» 10 €", "No 5 - 'quoted' 'it's' 'oui' 10 E"),
        ("½ ﬁn ² ™ …", "1/2 fin 2 TM ..."),
        ("tab\tnew\nline\u00a0hard  two ", "tab new line hard two"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("株式会社 Tōkyō", ".... Tokyo"),
        ("مؤسسة", "....."),
        ("e\u0301te\u0301", "ete"),
        ("", ""),
    ],
)
def test_written_in_sepa_characters(text: str, written: str) -> None:
    assert transliterate(text) == written


@given(st.text())
@example("ŉ")
@example("\ud800")
@example("İ")
@example("℀")
def test_any_text_becomes_sepa_text_and_stays_it(text: str) -> None:
    written = transliterate(text)
    assert set(written) <= SEPA
    assert written == " ".join(written.split())
    assert transliterate(written) == written


@given(st.text(alphabet=sorted(SEPA - {" "})))
def test_sepa_text_is_left_alone(text: str) -> None:
    assert transliterate(text) == text


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_nothing_visible_is_left_out(text: str) -> None:
    assert len(transliterate(text).replace(" ", "")) >= sum(unicodedata.category(char) != "Sk" for char in text) * bool(
        text
    ) - sum(transliterate(char) == "" for char in text)


def test_every_character_there_is() -> None:
    for code in range(0x32400):  # beyond lie tags, variation selectors and private use
        assert set(transliterate.__wrapped__(chr(code))) <= SEPA


def test_the_table_says_sepa_and_is_needed() -> None:
    for char, written in TABLE.items():
        assert set(written) <= SEPA
        assert char not in SEPA
        assert len(char) == 1


def test_real_payees_keep_their_letters() -> None:
    for order in real_orders(40):
        before = [char for char in order.creditor_name if char.isalnum()]
        assert [char for char in transliterate(order.creditor_name) if char.isalnum()] == before


@pytest.mark.parametrize("text", ["GLA-000001", "a", "x" * 35, "a/b", "INV 2026/17"])
def test_identifiers(text: str) -> None:
    assert is_identifier(text)


@pytest.mark.parametrize("text", ["", "x" * 36, "/a", "a/", "a//b", " a", "a ", "é", "a_b", "a\n", "a&b"])
def test_no_identifiers(text: str) -> None:
    assert not is_identifier(text)


def test_letters_left() -> None:
    assert has_letters("A.")
    assert has_letters("51. STUDIOS")
    assert not has_letters("..... ...")
    assert not has_letters("")
