"""The HTML report in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless.report.page import page
from tests import chromium
from tests.report_walks import FILE, accepted, refused

pytestmark = pytest.mark.skipif(chromium.program() is None, reason=chromium.MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Page]:
    with chromium.Page() as made:
        yield made


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three programs."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page("count & <pass>", [refused(), accepted(), refused(10_001, "long")]))
    return path


@pytest.fixture
def shown(browser: chromium.Page, report: Path) -> Iterator[chromium.Page]:
    browser.open(report)
    yield browser
    assert browser.complaints == []
    assert browser.requests == [report.as_uri()]  # and nothing else, from anywhere


def said(browser: chromium.Page) -> str:
    return str(browser.value("document.getElementById('said').textContent"))


def known(browser: chromium.Page, name: str) -> str:
    """The row of a register or stack slot."""
    return str(browser.value(f"document.querySelector('#state tr[data-name=\"{name}\"]')?.innerText ?? ''"))


def texts(browser: chromium.Page, selector: str) -> list[str]:
    found = browser.value(f"[...document.querySelectorAll({selector!r})].map((each) => each.innerText)")
    assert isinstance(found, list)
    return found


def test_report_opens_at_the_refused_instruction(shown: chromium.Page) -> None:
    assert shown.value("document.title") == "count & <pass>"
    assert said(shown) == "step 9, instruction 6: r1 = *(u64 *)(r0 +0), line 14"
    assert "map_value_or_null(id=1,map=counts" in known(shown, "R0")
    assert "was 2" in known(shown, "R0")
    assert texts(shown, "#verdict") == ["refused"]
    assert texts(shown, "#statistics div") == ["instructions processed\n9"]
    assert texts(shown, "#code .refused .number") == ["6"]
    assert texts(shown, "#source .here .text") == ["statement(14);"]


def test_report_shows_the_reason_and_goes_where_it_points(shown: chromium.Page) -> None:
    (text,) = texts(shown, "#diagnostic")
    for part in ("R0 may be NULL", "R0 comes from bpf_map_lookup_elem", "What to do: check it before", "+ if (!value)"):
        assert part in text
    shown.click("#diagnostic li .jump")
    assert said(shown) == "step 8, instruction 5: call bpf_map_lookup_elem#1, line 13"
    shown.press("b")
    assert "instruction 6" in said(shown)


def test_report_lights_up_the_failing_path(shown: chromium.Page) -> None:
    assert texts(shown, "#code .path .number") == ["0", "1", "2", "3", "4", "5", "6"]
    assert texts(shown, "#source .path .number") == ["10", "11", "12", "13", "14"]
    assert len(texts(shown, "#steps .path")) == 9
    assert texts(shown, "#code .unreached .number") == ["7"]


def test_report_runs_nothing_that_a_program_says(shown: chromium.Page) -> None:
    assert any("</script><img src=x" in line for line in texts(shown, "#source .text"))
    assert shown.value("document.querySelectorAll('img').length") == 0
    assert shown.value("document.title") == "count & <pass>"
    # Even markup that got into the page by a mistake would not run.
    shown.value("document.body.insertAdjacentHTML('beforeend', '<i onclick=\"document.title=1\" id=bad></i>')")
    shown.value("document.getElementById('bad').click()")
    assert shown.value("document.title") == "count & <pass>"
    assert any("Content Security Policy" in each for each in shown.complaints)
    shown.complaints.clear()


def test_report_steps_by_keys(shown: chromium.Page) -> None:
    shown.press("Home")
    assert said(shown).startswith("step 1, instruction 0")
    assert known(shown, "R6") == ""
    shown.press("j")
    assert said(shown).startswith("step 2, instruction 1") and "ctx()" in known(shown, "R6")
    assert shown.value("document.querySelector('#state .changed').dataset.name") == "R6"
    shown.press("ArrowDown")
    shown.press("j")
    shown.press("j")
    assert said(shown).startswith("step 5, instruction 4")
    shown.press("v")
    assert said(shown).startswith("step 7, instruction 4")
    shown.press("V")
    shown.press("k")
    shown.press("ArrowUp")
    assert said(shown).startswith("step 3, instruction 2")
    shown.press("e")
    assert said(shown).startswith("step 9")


def test_report_jumps_between_a_register_and_its_uses(shown: chromium.Page) -> None:
    shown.click("#state tr[data-name=R0] .jump")  # set
    assert said(shown).startswith("step 8, instruction 5: call")
    shown.press("e")
    shown.click("#state tr[data-name='fp-8'] .jump")
    assert said(shown).startswith("step 2, instruction 1:")
    shown.press("Home")
    shown.press("n")
    shown.click("#state tr[data-name=R1] .jump")  # nothing set it before: its use, the call's argument
    assert said(shown).startswith("step 8, instruction 5: call")


def test_report_follows_branches(shown: chromium.Page) -> None:
    shown.click("#code-4")
    assert said(shown).startswith("step 7, instruction 4")
    shown.press("g")
    assert said(shown).startswith("step 6, instruction 3")
    assert texts(shown, "#place .jump") == ["from 4", "visit 2 of 2"]


def test_report_source_line_selects_its_instructions(shown: chromium.Page) -> None:
    shown.click("#source-12")  # line 12, behind the file's name
    assert texts(shown, "#source .here .number") == ["12"]
    assert texts(shown, "#code .kin .number") == ["2", "3", "4"]
    assert said(shown).startswith("step 3, instruction 2")
    shown.click("#source-20")
    assert said(shown) == "line 20" and texts(shown, "#code .kin") == []
    assert texts(shown, "#source .file") == [FILE]


def test_report_failing_path_keys_pass_over_other_paths(browser: chromium.Page, tmp_path: Path) -> None:
    from stingless.frozen import replace

    path = tmp_path / "report.html"
    path.write_text(page("x", [replace(accepted(), accepted=False, verdict="no", path=[0, 1, 4])]))
    browser.open(path)
    assert said(browser).startswith("step 5, instruction 3")
    assert "R0\t0" in known(browser, "R0")
    browser.press("p")
    assert said(browser).startswith("step 2, instruction 1")
    browser.press("n")
    assert said(browser).startswith("step 5")
    browser.press("k")
    assert said(browser).startswith("step 4") and "R0\t1" in known(browser, "R0")


def test_report_search(shown: chromium.Page) -> None:
    shown.press("Home")
    shown.press("/")
    assert shown.value("document.activeElement.id") == "words"
    shown.type("lookup")
    shown.press("Enter")
    assert said(shown).startswith("step 8") and texts(shown, "#found") == ["1 of 1"]
    shown.press("Escape")
    assert shown.value("document.activeElement.id") == "steps"
    shown.press("k")
    assert said(shown).startswith("step 7")


def test_report_several_programs(shown: chromium.Page) -> None:
    assert len(texts(shown, "#programs option")) == 3
    shown.press("]")
    assert texts(shown, "#verdict") == ["accepted"]
    assert shown.value("document.getElementById('diagnostic').hidden") is True
    assert said(shown) == "step 1, instruction 0: r0 = 0"
    shown.press("n")  # there is no failing path
    assert said(shown).startswith("step 1")
    shown.press("[")
    assert texts(shown, "#verdict") == ["refused"]


def test_report_help_theme_and_roles(shown: chromium.Page) -> None:
    shown.press("?")
    assert shown.value("document.getElementById('help').open") is True
    shown.press("j")  # the dialog has the keys
    assert said(shown).startswith("step 9")
    shown.press("Escape")
    assert shown.value("document.getElementById('help').open") is False
    ground = "getComputedStyle(document.body).backgroundColor"
    before = shown.value(ground)
    shown.press("t")
    assert shown.value(ground) != before
    assert shown.value("document.querySelectorAll('[role=listbox][tabindex=\"0\"]').length") == 3
    active = shown.value("document.getElementById('steps').getAttribute('aria-activedescendant')")
    assert shown.value(f"document.getElementById('{active}').getAttribute('aria-selected')") == "true"
    shown.press("Tab")
    shown.press("Tab")
    assert shown.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_report_arrows_in_source_and_bytecode(shown: chromium.Page) -> None:
    shown.value("document.getElementById('code').focus()")
    shown.press("ArrowUp")
    assert said(shown).startswith("step 8, instruction 5")
    shown.value("document.getElementById('source').focus()")
    shown.press("ArrowUp")
    assert said(shown).endswith("line 12")


def test_report_of_ten_thousand_steps_is_usable(shown: chromium.Page) -> None:
    opened = shown.value("(() => { const t = performance.now(); view.open(2); return performance.now() - t; })()")
    assert "instruction 6" in said(shown) and "10001" in texts(shown, "#steps-head")[0]
    assert shown.value("document.querySelectorAll('.row').length") < 400
    moved = "(() => { const t = performance.now(); for (let i = 0; i < 50; i++) view.move(-1); "
    step = shown.value(f"{moved} return (performance.now() - t) / 50; }})()")
    assert said(shown).startswith("step 9951")
    shown.press("Home")
    assert said(shown).startswith("step 1,") and "fp0" in known(shown, "R10")
    assert opened < 5000 and step < 500  # a fraction of that on a machine with nothing else to do
