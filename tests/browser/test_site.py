from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from pipeline import catalog
from pipeline.sources import SOURCES

PAGES = [
    "index.html",
    *(f"models/{name}.html" for name in catalog.load().models),
    *(f"sources/{name}.html" for name in SOURCES),
]

CONTRAST = """
const shade = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (at) => {
  for (; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!color.endsWith(", 0)")) return color;
  }
};
const low = [];
for (const each of document.querySelectorAll("main *, header *")) {
  if (each.closest("svg") || ![...each.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    continue;
  const [a, b] = [shade(getComputedStyle(each).color), shade(ground(each))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push([each.className || each.tagName, ratio.toFixed(2)].join(" "));
}
return [...new Set(low)];
"""

TOO_WIDE = """
return [...document.querySelectorAll(".scroll")]
  .filter((each) => each.scrollWidth > each.clientWidth && !each.closest(".lineage"))
  .map((each) => each.closest("section").getAttribute("aria-labelledby"));
"""


def near(browser):
    return {box.get_attribute("data-name") for box in browser.all(".box.near")}


def typed(browser, *keys):
    browser.driver.switch_to.active_element.send_keys(*keys)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_complaint_and_asks_for_nothing_else(browser, page):
    browser.open(page)
    site = browser.site.as_uri()

    assert browser.find("h1").text
    assert browser.complaints() == []
    assert set(browser.requests()) - {"data:,", "about:blank"} == {
        f"{site}/{name}" for name in (page, "style.css", "columns.js", "site.js")
    }


@pytest.mark.parametrize("page", PAGES)
def test_on_a_phone_only_the_lineage_goes_on_beside_the_screen(browser, page):
    browser.resize(390, 844)
    browser.open(page)

    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert browser.run(TOO_WIDE) == []


def ways(browser, kind):
    return {box.get_attribute("data-name") for box in browser.all(f".way .box.{kind}")}


def test_a_column_that_is_pointed_at_shows_its_way_on_the_picture(browser):
    browser.resize(1200, 900)
    browser.open("models/stg_commands.html")
    assert browser.all(".way") == []

    ActionChains(browser.driver).move_to_element(browser.find("#column-pin td")).perform()

    assert ways(browser, "near") == {
        *("raw_sync_events", "stg_sync_events", "stg_repeated_events", "stg_commands"),
        *("fct_command_statuses", "fct_command_readings"),
    }
    words = browser.find(".way .words").text
    assert words.startswith("raw_sync_events.ItemData.desired_state[2] → stg_sync_events.")
    ActionChains(browser.driver).move_to_element(browser.find("h1")).perform()
    assert browser.all(".way") == []


def test_a_column_that_is_tapped_keeps_its_way_until_it_is_closed(browser):
    browser.resize(390, 844)
    browser.open("models/dim_users.html")

    browser.find("#column-username td").click()
    ActionChains(browser.driver).move_to_element(browser.find("#column-user_id td")).perform()

    assert "raw_users.username → stg_user_versions.username" in browser.find(".way").text
    assert "met_daily_command_count_by_username" in ways(browser, "near")
    assert browser.run("return document.documentElement.scrollWidth") == 390
    typed(browser, Keys.ESCAPE)
    assert browser.all(".way") == []


def test_a_column_of_a_source_shows_what_is_made_of_its_members(browser):
    browser.open("sources/raw_sync_events.html")

    browser.find("#column-ItemData a").click()

    assert {"stg_commands", "fct_command_readings"} <= ways(browser, "near")
    assert "audit_dispositions" in ways(browser, "deciding")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "page", ["index.html", "models/stg_commands.html", "sources/raw_sync_events.html"]
)
def test_every_text_stands_out_from_its_ground(browser, page, scheme):
    browser.media(scheme)
    browser.open(page)

    assert browser.run(CONTRAST) == []


def test_dark_colours_come_with_the_systems(browser):
    browser.open("index.html")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.media("dark")

    assert light == "rgb(252, 252, 251)"
    assert browser.run(ground) == "rgb(21, 23, 27)"


def test_a_column_is_found_by_keyboard_alone(browser):
    browser.open("models/dim_users.html")
    typed(browser, "/")
    typed(browser, "desired raw")
    typed(browser, Keys.ARROW_DOWN)
    chosen = browser.find('#found [aria-selected="true"]')
    model = chosen.find_element("css selector", ".where").text

    assert chosen == browser.all("#found li")[1]
    assert "_raw_command_desired_state" in chosen.text
    assert "sensitive" in chosen.text
    typed(browser, Keys.ENTER)
    assert browser.at == f"models/{model}.html#column-_raw_command_desired_state"
    assert browser.find("tr:target").is_displayed()


def test_the_nearest_name_comes_first(browser):
    browser.open("index.html")
    typed(browser, "/")
    typed(browser, "desired state")

    names = [found.text for found in browser.all("#found li .name")]
    assert names[0] == "desired_state"
    assert "Command.desired_state" in names


def test_escape_closes_the_search(browser):
    browser.open("index.html")
    typed(browser, "/")
    typed(browser, "pin", Keys.ESCAPE)

    assert not browser.find("#found").is_displayed()
    assert browser.find("#search").get_attribute("aria-expanded") == "false"


def test_what_is_called_by_no_name_is_told(browser):
    browser.open("index.html")
    typed(browser, "/")
    typed(browser, "no such thing")

    assert browser.find("#found").text == "Nothing is called so."


def test_a_description_is_never_taken_for_markup(browser):
    browser.open("index.html")
    browser.run("COLUMNS[0].description = COLUMNS[0].name = '<img src=x onerror=alert(1)> zzz'")
    typed(browser, "/")
    typed(browser, "zzz")

    assert "<img src=x" in browser.find("#found li").text
    assert browser.all("#found img") == []


def test_a_click_shows_what_is_up_and_downstream(browser):
    browser.open("index.html")
    browser.box("fct_command_statuses").click()

    loaded = catalog.load()
    around = loaded.needs("fct_command_statuses") | loaded.needed_by("fct_command_statuses")
    assert near(browser) == around | {"fct_command_statuses", "raw_sync_events"}
    assert loaded.models["fct_command_statuses"].grain in browser.find("figcaption").text


def test_another_click_opens_the_page(browser):
    browser.open("index.html")
    browser.box("dim_users").click()
    assert browser.at == "index.html"
    browser.box("dim_users").click()

    assert browser.at == "models/dim_users.html"


def test_the_lineage_works_by_keyboard(browser):
    browser.open("index.html")
    box = browser.box("stg_users")
    box.send_keys(Keys.ENTER)
    assert "dim_users" in near(browser)
    box.send_keys(Keys.ESCAPE)
    assert near(browser) == set()
    box.send_keys(Keys.ENTER)
    box.send_keys(Keys.ENTER)

    assert browser.at == "models/stg_users.html"


def test_on_a_phone_the_pages_own_model_is_in_sight(browser):
    browser.resize(390, 844)
    browser.open("models/fct_command_readings.html")
    left = browser.run("return document.querySelector('.current').getBoundingClientRect().left")

    assert 0 < left < 300


def test_sql_is_shown_for_one_engine_at_a_time(browser):
    browser.open("models/dim_users.html")
    browser.find("label[for=sql-bigquery]").click()

    shown = [block.is_displayed() for block in browser.all(".sql")]
    assert shown == [False, True]
    assert "`project`.`dataset`" in browser.find(".sql:nth-of-type(2) code").text


def test_in_print_the_controls_are_gone_and_the_tables_are_whole(browser):
    browser.open("models/fct_command_readings.html")
    browser.media(media="print")

    assert not browser.find(".top").is_displayed()
    overflow = browser.run("return getComputedStyle(document.querySelector('.scroll')).overflowX")
    assert overflow == "visible"


def test_a_dark_screen_prints_dark_on_white(browser):
    browser.media("dark", media="print")
    browser.open("index.html")

    color = browser.run("return getComputedStyle(document.body).color")
    assert color == "rgb(35, 38, 45)"


def test_without_javascript_a_box_leads_to_its_page_and_no_search_is_offered(without_javascript):
    browser = without_javascript
    browser.open("index.html")

    assert not browser.find("#search").is_displayed()
    browser.box("stg_commands").click()
    assert browser.at == "models/stg_commands.html"
