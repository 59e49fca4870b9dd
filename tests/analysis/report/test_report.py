"""The report, looked at in a browser: what people see, on a desk and on a telephone."""

import re

import pytest

from analysis.report.report import make_report

VIEWER = "document.querySelector('.frame-viewer')"
HEADLINE = "[...document.querySelectorAll('.headline div')].map(d => [...d.children].map(c => c.textContent))"
PLAYED = """new Promise(done => {
  const wait = setInterval(() => {
    if (!document.querySelector('.where').textContent.startsWith('frame 4')) return;
    clearInterval(wait);
    done();
  }, 20);
})"""


@pytest.fixture(params=[(400, False), (1200, True)], ids=["telephone", "desk, dark"])
def page(request, report, open_page):
    width, dark = request.param
    return open_page(width, 900, dark).open(report[0].as_uri())


def test_a_report_opens_anywhere_and_shows_all(page, report):
    assert report[1] == []
    assert page.requests == [report[0].as_uri()]
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
    images = page.run("Promise.all([...document.images].map(i => i.decode().then(() => [i.naturalWidth, i.alt])))")
    assert len(images) == 19
    assert all(width > 0 for width, _ in images)
    assert sum(bool(alt) for _, alt in images) == 18  # the map of probability is an overlay
    assert page.run("document.documentElement.lang + document.title") == "enRun full & whole"
    assert (
        page.run("[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) < i)")
        == []
    )
    assert page.run("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")
    assert page.complaints == []


def test_headline_and_files_are_those_of_the_run(page, full_run):
    headline = dict(page.run(HEADLINE))
    assert (headline["networks evaluated"], headline["best on validation"], headline["frames"]) == ("5", "0.700", "4")
    rows = (full_run / "defects.csv").read_text().count("\n") - 1
    assert headline["defects found"] == f"{rows:,}"
    assert re.fullmatch(r"0\.\d{3} \(0\.\d{3}\N{EN DASH}[01]\.\d{3}\)", headline["F1"])
    links = page.run("[...document.querySelectorAll('main > ul a')].map(a => a.getAttribute('href'))")
    assert {"defects.csv", "maps.h5", "library/kinds.csv"} <= set(links)
    assert all((full_run / link).exists() for link in links)


def test_what_scrolls_scrolls_in_its_own_box(page):
    assert page.run(
        "[...document.querySelectorAll('.table')].every(t => t.clientWidth <= innerWidth && t.tabIndex === 0)"
    )
    assert page.run("[...document.querySelectorAll('figure img')].every(i => i.width <= innerWidth)")


def test_frames_are_gone_through_with_slider_keys_and_button(page):
    def state():
        parts = ("where').textContent", "frame').src", "overlay').innerHTML")
        return [page.run(f"{VIEWER}.querySelector('.{part}") for part in parts]

    page.run(f"{VIEWER}.scrollIntoView()")
    first = state()
    assert first[0] == "frame 1 · 1 s"
    page.run(f"{VIEWER}.querySelector('.slider').focus()")
    page.key("ArrowRight")
    second = state()
    assert second[0] == "frame 2 · 2 s"
    assert second[1] != first[1]
    assert second[2] != first[2]
    page.run(f"{VIEWER}.querySelector('.stage').focus()")
    page.key("ArrowLeft")
    assert state() == first
    page.key("ArrowLeft")  # there is none before
    assert state() == first
    page.run(f"{VIEWER}.querySelector('.play').click()")
    page.run(PLAYED)
    page.run(f"{VIEWER}.querySelector('.play').click()")
    assert page.complaints == []


def test_boxes_switch_what_is_drawn(page):
    def lines(name):
        return page.run(f"{VIEWER}.querySelectorAll('.overlay .{name}:not(.ground)').length")

    def tick(text):
        page.run(f"[...{VIEWER}.querySelectorAll('label')].find(l => l.textContent.startsWith('{text}')).click()")

    page.run(f"(s => {{ s.value = 3; s.dispatchEvent(new Event('input')); }})({VIEWER}.querySelector('.slider'))")
    assert [lines(name) for name in ("mark", "trail", "truth")] == [4, 1, 0]  # three kinds and a hole
    tick("molybdenum")
    tick("tracks")
    tick("truth")
    assert [lines(name) for name in ("mark", "trail", "truth")] == [3, 0, 1]
    assert page.run(f"{VIEWER}.querySelector('.heat').hidden")
    tick("probability")
    assert page.run(f"{VIEWER}.querySelector('.heat').clientWidth === {VIEWER}.querySelector('.frame').clientWidth")


def test_touching_a_defect_tells_what_it_is(page, full_run):
    """The first of the table, where the picture shows it."""
    header, row = (line.split(",") for line in (full_run / "defects.csv").read_text().splitlines()[:2])
    first = dict(zip(header, row, strict=True))
    page.run(f"{VIEWER}.scrollIntoView()")
    left, top, width = page.run(
        f"(b => [b.x, b.y, b.width])({VIEWER}.querySelector('.overlay').getBoundingClientRect())"
    )
    scale = width / 208
    page.send("Emulation.setTouchEmulationEnabled", enabled=True)
    page.tap(left + (float(first["x_px"]) + 0.5) * scale, top + (float(first["y_px"]) + 0.5) * scale)
    said = page.run(f"new Promise(done => setTimeout(() => done({VIEWER}.querySelector('.readout').textContent), 500))")
    place = f"y {float(first['y_nm']):.2f} nm, x {float(first['x_nm']):.2f} nm"
    assert said == f"{first['kind']}, probability {float(first['probability']):.2f}, at {place}, track {first['track']}"


def test_what_cannot_be_shown_says_why_and_the_rest_is_there(full_run, tmp_path):
    folder = tmp_path / "run"
    folder.symlink_to(full_run)
    broken = tmp_path / "broken"
    broken.mkdir()
    for entry in full_run.iterdir():
        (broken / entry.name).symlink_to(entry)
    (broken / "scores.parquet").unlink()
    (broken / "scores.parquet").write_text("no table")
    (broken / "journal.sqlite").unlink()
    failed = make_report(broken, tmp_path / "report.html")
    assert [reason.split(":")[0] for reason in failed] == ["headline", "defect_maps"]
    text = (tmp_path / "report.html").read_text()
    assert text.count('class="failed"') == 2
    assert "This could not be shown: ArrowInvalid" in text
    assert text.count("<img ") == 19
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".unfinished")] == []
