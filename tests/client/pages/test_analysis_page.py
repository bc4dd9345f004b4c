"""A book's page: whole in one file, readable without seeing it, in two languages, and with nobody's name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from tests.client.analysis.books import LAST, account, read
from tests.client.pages.documents import Element, table
from tests.client.pages.documents import read as parsed

from tallystick.client import BookAnalysis, analyse
from tallystick.client.analysis.faults import Fault
from tallystick.client.pages.analysis_texts import FAULTS, TEXTS
from tallystick.client.pages.shares import ShareBars, percent
from tallystick.credit.languages import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
_FIELD = re.compile(r"\{(\w*)\}")


@cache
def book() -> BookAnalysis:
    """A book that has something for every figure, and one row that is bad."""
    histories = ("N" * 16, "N1N" + "N" * 13, "N12N1" + "N" * 11, "N123B", "NNNC", "1234567", "NN#A1", "N" * 12 + "1234")
    accounts = [
        account(
            f"secret-{number}",
            codes,
            last=LAST - (number % 2 if "C" in codes else 0),
            opened_date="2024-06-03",
            id_number="C01X00T47",
            balance=1_000_000,
            overdue_amount=[0 if code in "N#AC" else 100_000 * number for code in codes],
            asset_quality="2",
            collection_stage="reminder",
            currency="CNY" if number % 3 else "USD",
            special_transactions='[{"type": "extension", "date": "2024-08-05"}]' if number < 3 else "",
        )
        for number, codes in enumerate(histories, 1)
    ]
    bad = account("secret-bad", "X", opened_date="2024-06-03", id_number="C01X00T47", balance=1, overdue_amount=0)
    with TemporaryDirectory() as folder:
        return read(Path(folder), *accounts, bad)


@cache
def html(language: Language) -> str:
    return book().to_html(language)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    return found


def parts(root: Element) -> list[Element]:
    return [each for each in root.all("div") if "part" in each.attributes.get("class", "").split()]


# --- One file, for everybody ---


def test_every_chart_has_a_title_words_and_a_table(language: Language) -> None:
    root = parsed(html(language))
    charts = root.all("svg")
    assert len(charts) == len([each for each in parts(root) if each.all("svg")]) == 17
    for part in (each for each in parts(root) if each.all("svg")):
        (chart,), (heading,), (figures,) = part.all("svg"), part.all("h3"), part.all("table")
        title, description = chart.all("title")[0], chart.all("desc")[0]
        assert title.text == heading.text
        assert re.search(r"\d", description.text)
        labelled = (chart.attributes["aria-labelledby"], chart.attributes["aria-describedby"])
        assert labelled == (title.attributes["id"], description.attributes["id"])
        assert heading.text in figures.all("caption")[0].text
        assert figures.all("tbody")[0].all("tr")
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))


def test_shares_in_charts_are_in_their_tables(language: Language) -> None:
    checked = set()
    for part in (each for each in parts(parsed(html(language))) if each.all("svg")):
        (chart,) = part.all("svg")
        name = chart.attributes["aria-labelledby"].removesuffix("-title")
        if name.startswith(("roll", "classes", "bands", "late-months", "streaks", "stages", "cures")):
            drawn = {text.text for text in chart.all("text") if text.text.endswith("%")}
            assert drawn <= {word for cell in part.all("td") for word in cell.text.split()}
            checked.add(name)
    assert checked == {
        "roll",
        "roll-cny",
        "roll-usd",
        "classes",
        "bands-cny",
        "bands-usd",
        "late-months",
        "streaks",
        "stages",
        "cures",
    }


def test_it_refers_to_nothing_outside_itself(language: Language) -> None:
    text = html(language)
    root = parsed(text)
    assert not re.search(r"//|@import|<\?|javascript:", text)
    assert not root.all("script", "link", "img", "iframe", "object", "a", "form", "image")
    ids = {each.attributes.get("id") for each in root.all()}
    for each in root.all():
        assert not [name for name in each.attributes if name.startswith("on") or name in ("src", "xlink:href")]
        if "href" in each.attributes:
            assert each.attributes["href"][1:] in ids
    policy = [each.attributes["content"] for each in root.all("meta") if each.attributes.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_charts_take_the_colours_of_the_page(language: Language) -> None:
    text = html(language)
    (style,) = parsed(text).all("style")
    named = set(re.findall(r"var\((--[a-z]+)\)", text))
    for scheme in (style.text, style.text[style.text.index("prefers-color-scheme: dark") :]):
        assert named <= set(re.findall(r"(--[a-z]+):", scheme)) | {"--mark"}
    assert not re.findall(r"#[0-9a-fA-F]{6}", text.replace(style.raw(), ""))


def test_it_names_no_borrower_and_no_account(language: Language) -> None:
    assert "C01X00T47" not in html(language)
    assert "secret" not in html(language)


def test_a_file_s_name_is_text(language: Language, tmp_path: Path) -> None:
    name = "<script>alert(1)&{{ 7 }}.csv"
    found = read(tmp_path, account("1", "N"))
    (tmp_path / "book.csv").rename(tmp_path / name)
    root = parsed(analyse(tmp_path / name).to_html(language))
    assert name in root.all("h1")[0].text
    assert not root.all("script")
    assert found.accounts == 1


# --- Two languages ---


def test_both_languages_have_every_text() -> None:
    for key, (english, chinese) in TEXTS.items():
        assert english, key
        assert chinese, key
        assert sorted(_FIELD.findall(english)) == sorted(_FIELD.findall(chinese)), key
        assert re.search("[\u4e00-\u9fff]", chinese), key
    assert set(FAULTS) == set(Fault)


def test_a_page_in_chinese_has_no_english_words() -> None:
    root = parsed(html("zh"))
    assert root.all("html")[0].attributes["lang"] == "zh-CN"
    (main,) = root.all("main")
    names = {"as_of", "of", "disposition", "collection_stage", "Q1", "Q2", "Q3", "Q4", "CNY", "USD", "TWD", "UTC"}
    assert {each for each in re.findall(r"[A-Za-z_]{2,}\d?", main.text) if each not in names} == set()
    assert not re.search("[\u4e00-\u9fff]", html("en"))


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match='language: must be "en" or "zh"'):
        book().to_html("de")  # type: ignore[arg-type]


# --- Its figures ---


def test_shares_stand_with_numerators_and_denominators() -> None:
    root = parsed(html("en"))
    newest, share = table(root, "Overdue by month:")[1], book().by_month[-1].share
    assert newest[:3] == ["2025-09", f"{share.live}", f"{percent(share.overdue / share.live)} {share.overdue}"]
    coverage = table(root, "Months that are known")
    rate = book().coverage[-1].rate
    assert coverage[1][1] == f"{percent(rate.part / rate.whole)} {rate.part} / {rate.whole}"
    rolls = table(root, "By number of accounts")
    assert rolls[1][0] == "0"
    assert rolls[1][12] == f"{sum(book().rolls.cells[0]):,}"


def test_bad_rows_are_counted_and_named() -> None:
    root = parsed(html("en"))
    assert table(root, "What is wrong")[1:] == [["disposition", Fault.DISPOSITION.description, "1"]]
    named = table(root, "The first rows that cannot be read")[1:]
    assert named == [[str(book().reading.first[0].row), "disposition", Fault.DISPOSITION.description]]


def test_the_thresholds_of_the_classes_are_named_as_a_reading(language: Language) -> None:
    told = parsed(html(language)).all("main")[0].text
    for each in ("90", "270", "360", "10" if language == "en" else "第十至十三条"):
        assert each in told
    assert ("as they are commonly read" if language == "en" else "通常理解") in told


def test_small_and_large_shares_are_not_rounded_away() -> None:
    assert [percent(each) for each in (0, 0.0001, 0.5, 0.9999, 1)] == ["0.0%", "<0.1%", "50.0%", ">99.9%", "100.0%"]


def test_letters_that_no_font_here_has_stand_in_the_chart(recwarn: pytest.WarningsRecorder) -> None:
    chart = ShareBars(name="x", title="t", bars=[("\u7ed3\u6e05 & <b>", 0.5, "50.0%")])
    assert "\u7ed3\u6e05 &amp; &lt;b&gt;" in chart.svg()
    assert not recwarn.list
