"""The feed in two real browser windows at once, and without scripts."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.compose import Stack


@contextmanager
def _window(width: int, *, has_scripts: bool = True) -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    if not has_scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    # A window is never narrower than 500 pixels, whatever it was asked for.
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.implicitly_wait(10)  # an element may not have arrived yet when the page's first words are shown
    try:
        yield driver
    finally:
        driver.quit()


def _sign_in(driver: WebDriver, stack: Stack, name: str) -> None:
    driver.get(stack.address + "/login")
    driver.find_element(By.ID, "name").send_keys(name)
    driver.find_element(By.CSS_SELECTOR, "form.login button").click()
    _wait_for(driver, name)


def _wait_for(driver: WebDriver, text: str) -> None:
    def is_shown(_: WebDriver) -> bool:
        return text in driver.find_element(By.TAG_NAME, "body").text

    # The old page may go away between finding its body and reading it. The driver has several errors for that,
    # an "unknown error" among them; who never shows the text fails by the time limit.
    WebDriverWait(driver, 10, ignored_exceptions=[WebDriverException]).until(is_shown, f"{text!r} is not shown")


def _post(driver: WebDriver, text: str) -> None:
    driver.find_element(By.ID, "text").send_keys(text)
    driver.find_element(By.CSS_SELECTOR, "#compose button").click()


@pytest.mark.timeout(120)
def test_entry_appears_in_another_window_without_reloading(stack: Stack) -> None:
    with _window(1280) as one, _window(390) as two:
        _sign_in(one, stack, "Window One")
        _sign_in(two, stack, "Window Two")
        text = f"from one to two {uuid.uuid4()}"
        _post(one, text)
        _wait_for(two, text)
        answer = f"and back {uuid.uuid4()}"
        _post(two, answer)
        _wait_for(one, answer)
        for driver, width in ((one, 1280), (two, 390)):
            assert driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
            assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []


@pytest.mark.timeout(120)
def test_page_works_without_scripts(stack: Stack) -> None:
    with _window(390, has_scripts=False) as driver:
        _sign_in(driver, stack, "No Scripts")
        text = f"plain form {uuid.uuid4()}"
        _post(driver, text)
        _wait_for(driver, text)
