#!/usr/bin/python3
"""The playground in a real browser: python3 tests/platform/playground.py, from the top folder.

Builds build/playground.html with make, opens it in headless Chromium as a file, and uses it as a
visitor does. The hash that the page shows must be the one that its command line prints. What it
saves must load in the library, with the same outputs. Each check prints a line only where it fails;
the last line counts them. Screenshots go to build/playground/. Needs what make playground needs,
and Debian's chromium, chromium-driver and python3-selenium; without them it is skipped, which with
CI=true is a failure. FPS=30 demands more frames in a second than the usual bound."""

import os
import re
import shutil
import struct
import subprocess
import sys
import time

PAGE = "build/playground.html"
FOLDER = os.path.abspath("build/playground")
LEAST_FPS = float(os.environ.get("FPS", "12"))  # a slow machine has no graphics processor

passed = failed = 0


def skip(what):
    print(f"playground: skipped: needs {what}")
    sys.exit(1 if os.environ.get("CI") == "true" else 0)


for tool in ("clang", "wasm-ld", "chromium", "chromedriver"):
    if not shutil.which(tool):
        skip("clang lld wasi-libc libclang-rt-14-dev-wasm32 chromium chromium-driver")
try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select
except ImportError:
    skip("python3-selenium")


def check(good, what, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"playground: {what}: FAILED {detail}")
    return good


# ---- The page -----------------------------------------------------------------------------------


def open_browser():
    options = Options()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.execute_cdp_cmd("Page.setDownloadBehavior",
                            {"behavior": "allow", "downloadPath": FOLDER})
    return browser


class Page:
    def __init__(self, browser):
        self.browser = browser

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def element(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def epoch(self):
        return int(self.text("epoch").replace(",", ""))

    def wait(self, script, seconds=20):
        """Waits until a script is true; returns whether it was in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run("return " + script):
                return True
            time.sleep(0.02)
        return False

    def size(self, width, height, phone=False):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})

    def load(self, settings=""):
        """Opens the page anew."""
        self.browser.get("about:blank")
        self.browser.get(f"file://{os.path.abspath(PAGE)}#{settings}")
        return self.wait("state !== null && frame !== null && frame.shown")

    def visit(self, settings):
        """Follows a link on the page."""
        before = self.run("return run")
        self.run("location.hash = arguments[0]", settings)
        return self.wait(f"run > {before} && frame && frame.run === run && frame.shown")

    def is_playing(self):
        return self.element("play").get_attribute("aria-label") == "Pause"

    def train(self, epochs):
        """Presses play, and waits until the page pauses by itself at this epoch."""
        self.element("play").click()
        return self.wait(f"!playing && done.epoch === {epochs} && frame.epoch === {epochs} && "
                         f"frame.shown === true")

    def screenshot(self, name):
        self.browser.save_screenshot(f"{FOLDER}/{name}.png")


def hash_of(command, table=None):
    """What the command line of the page prints."""
    if table:
        command = command.replace(os.path.basename(table), table)
    output = subprocess.run(command, shell=True, capture_output=True, text=True).stdout
    found = re.search(r"^hash +([0-9a-f]{16})$", output, re.MULTILINE)
    return found.group(1) if found else output


def check_hash(page, what, epochs, table=None):
    if not check(page.train(epochs), f"{what}: trains", page.text("alert")):
        return
    command = page.text("command")
    shown, native = page.text("hash"), hash_of(command, table)
    check(shown == native and f"epochs={epochs}" in command, f"{what}: hash", f"{shown}, {native}")


# ---- The checks ---------------------------------------------------------------------------------

# Every data set, activation, optimizer and loss, and what else a link can say.
LINKS = [
    "data=circles,classes=4,batch=7,epochs=9",
    "data=xor,activation=relu,layers=4,epochs=12",
    "data=spirals,classes=3,layers=16-16,activation=silu,epochs=20",
    "data=blobs,classes=5,optimizer=rmsprop,activation=softplus,epochs=8",
    "data=moons,optimizer=sgd,rate=0.1,decay=0.001,activation=elu,test=0,epochs=10",
    "data=checkers,layers=32-32-16,dropout=0.2,activation=leaky_relu,epochs=6",
    "data=plane,layers=none,optimizer=sgd,epochs=5",
    "data=saddle,loss=mae,activation=tanh,noise=0.1,epochs=10",
    "data=hills,loss=huber,optimizer=momentum,activation=sigmoid,epochs=7",
    "data=ripple,layers=24-24,decay=0.01,seed=77,sample=5,epochs=10",
    "data=moons,loss=mse,points=1000,noise=0.2,batch=256,activation=linear,epochs=30",
]


def check_start(page):
    native = hash_of("build/playground_native ''")
    check(page.text("hash") == native, "defaults: hash at the start", page.text("hash"))
    before = page.run("return [shownFrames, performance.now()]")
    page.element("play").click()
    time.sleep(2)
    after = page.run("return [shownFrames, performance.now()]")
    fps = 1000 * (after[0] - before[0]) / (after[1] - before[1])
    check(page.is_playing(), "play: is playing")
    page.element("play").click()
    check(page.wait("!playing && frame.epoch === done.epoch && frame.shown"), "pause")
    time.sleep(0.2)
    check(page.epoch() > 10, "play: epochs", page.epoch())
    check(page.text("hash") == hash_of(page.text("command")), "play, pause: hash")
    check(page.run("return frame.loss < losses[0].loss / 2"), "play: the loss falls")
    check(fps >= LEAST_FPS, "frames in a second", f"{fps:.0f}, at least {LEAST_FPS:.0f}")
    page.screenshot("1280x800")
    return fps


def check_links(page):
    Select(page.element("speed")).select_by_value("0")
    for link in LINKS:
        epochs = int(re.search(r"epochs=(\d+)", link).group(1))
        check(page.visit(link), f"{link}: starts", page.text("alert"))
        check_hash(page, link, epochs)
    page.run("location.hash = 'data=moons,rate=1000000'")
    check(page.wait("!at('alert').hidden") and "not possible" in page.text("alert"),
          "a wrong link: alert", page.text("alert"))


def check_tables(page):
    """A table chosen, and one dropped."""
    iris, tents = "examples/data/iris2.csv", "examples/data/tents.csv"
    page.load("layers=12,epochs=15")
    page.element("file").send_keys(os.path.abspath(iris))
    check(page.wait("frame && frame.run === run && settings.data === 'csv'"), "a table: starts")
    check_hash(page, "a table", 15, iris)
    with open(tents, encoding="utf-8") as file:
        text = file.read()
    page.run("""
        const transfer = new DataTransfer();
        transfer.items.add(new File([arguments[0]], 'tents.csv', {type: 'text/csv'}));
        document.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
        """, text)
    check(page.wait("table && table.name === 'tents.csv' && frame && frame.run === run"),
          "a dropped table: starts")
    check(page.run("return state.shape.classes") == 4, "a dropped table: classes")
    check_hash(page, "a dropped table", 15, tents)
    Select(page.browser.find_element(By.CSS_SELECTOR, "[data-view=x]")).select_by_value("3")
    check(page.wait("state.view.across === 2"), "a dropped table: the plane's input")
    check(page.text("hash") == hash_of(page.text("command"), tents), "the plane: same weights")


def saved(name):
    """Waits for a file of the page."""
    path = f"{FOLDER}/{name}"
    end = time.monotonic() + 10
    while time.monotonic() < end and not os.path.exists(path):
        time.sleep(0.05)
    return path


def check_saved(page, link):
    """The saved files compute what the plane shows, to the last bit."""
    epochs = int(re.search(r"epochs=(\d+)", link).group(1))
    page.visit(link)
    page.train(epochs)
    names = ("model.safetensors", "model.c", "model.onnx")
    for kind, name in enumerate(names):
        if os.path.exists(f"{FOLDER}/{name}"):
            os.remove(f"{FOLDER}/{name}")
        page.browser.find_element(By.CSS_SELECTOR, f"[data-save='{kind}']").click()
    files = [saved(name) for name in names]
    if not check(all(map(os.path.exists, files)), f"{link}: saves", os.listdir(FOLDER)):
        return
    side, view, plane = page.run("return [frame.side, state.view, Array.from(frame.plane)]")
    (left, right), (bottom, top) = view["x"], view["y"]
    x = b"".join(struct.pack("=ff", left + (right - left) * (column + 0.5) / side,
                             top - (top - bottom) * (row + 0.5) / side)
                 for row in range(side) for column in range(side))
    program = f"{FOLDER}/outputs"
    subprocess.run(["cc", "-O1", "-DNN_NO_SIMD", "-DNN_STATIC", f'-DMODEL_C="{files[1]}"',
                    "-o", program, "tests/platform/playground.c", "-lm"], check=True)
    result = subprocess.run([program, files[0]], input=x, capture_output=True)
    same = result.stdout == struct.pack(f"={len(plane)}f", *plane)
    check(result.returncode == 0 and same, f"{link}: outputs of the saved files",
          f"exit code {result.returncode}, {len(result.stdout)} bytes")
    check(os.path.getsize(files[2]) > 200, f"{link}: ONNX")


def check_keyboard(page):
    page.load()
    body = page.browser.find_element(By.TAG_NAME, "body")
    body.send_keys(" ")
    check(page.wait("playing"), "keyboard: space plays")
    body.send_keys(" ")
    check(page.wait("!playing"), "keyboard: space pauses")
    body.send_keys("r")
    check(page.wait("frame && frame.run === run && frame.epoch === 0"), "keyboard: R resets")
    body.send_keys("s")
    check(page.wait("done.epoch === 1"), "keyboard: S is one epoch")
    reached = []
    for _ in range(70):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        reached.append(page.run("const e = document.activeElement;"
                                "return e.id || e.dataset.setting || e.getAttribute('aria-label')"))
    for name in ("play", "step", "reset", "speed", "set-spirals", "file", "noise", "test", "more",
                 "fewer", "activation", "optimizer", "rate", "seed", "shown", "link",
                 "Add a unit, hidden layer 2"):
        check(name in reached, "keyboard: tab reaches", name)
    page.element("more").send_keys(Keys.ENTER)
    check(page.wait("settings.layers === '8-8-8'"), "keyboard: one more layer")
    page.element("set-spirals").send_keys(Keys.ARROW_RIGHT)
    check(page.wait("settings.data === 'blobs'"), "keyboard: another data set")
    page.browser.find_element(By.CSS_SELECTOR, "[data-setting=noise]").send_keys(Keys.ARROW_RIGHT)
    check(page.wait("settings.noise === '0.03'"), "keyboard: more noise")
    check(page.wait("frame && frame.run === run"), "keyboard: starts again")
    nameless = page.run("""
        return Array.from(document.querySelectorAll('button, input, select, canvas[role]'))
            .filter((e) => !(e.getAttribute('aria-label') || (e.labels && e.labels.length) ||
                e.textContent.trim())).map((e) => e.outerHTML)""")
    check(not nameless, "every control has a name", nameless)


def check_sizes(page):
    page.load("data=blobs,classes=4,layers=12-12-8,epochs=40")
    page.train(40)
    for width, height in ((360, 740), (390, 844), (768, 1024), (1440, 900)):
        page.size(width, height, width < 500)
        time.sleep(0.3)
        wide = page.run("return document.documentElement.scrollWidth")
        check(wide <= width, f"{width} pixels: no horizontal scrolling", wide)
        page.screenshot(f"{width}x{height}")
    page.size(1280, 800)


def check_preferences(page):
    """Less motion: two pictures in a second. The dark colours."""
    media = [{"name": "prefers-reduced-motion", "value": "reduce"},
             {"name": "prefers-color-scheme", "value": "dark"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    page.load("data=ripple,layers=12-8")
    page.element("play").click()
    page.wait("playing && frame.epoch > 0")
    before = page.run("return shownFrames")
    time.sleep(1)
    drawn = page.run("return shownFrames") - before
    check(1 <= drawn <= 3, "less motion: pictures in a second", drawn)
    page.element("play").click()
    page.wait("!playing && frame.epoch === done.epoch && frame.shown")
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    check(ground == "rgb(14, 17, 21)", "dark", ground)
    page.screenshot("dark")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    built = subprocess.run(["make", "playground"], capture_output=True, text=True)
    if not check(built.returncode == 0, "make playground", built.stdout + built.stderr):
        return 1
    begin = time.monotonic()
    browser = open_browser()
    try:
        page = Page(browser)
        page.size(1280, 800)
        check(page.load(), "loads")
        fps = check_start(page)
        check_links(page)
        check_saved(page, "data=spirals,layers=12-12,epochs=60")
        check_saved(page, "data=blobs,classes=4,epochs=20")
        check_saved(page, "data=ripple,activation=tanh,epochs=20")
        check_tables(page)
        check_keyboard(page)
        check_sizes(page)
        check_preferences(page)
        errors = browser.get_log("browser")
        check(not errors, "no messages in the console", errors)
    finally:
        browser.quit()
    print(f"playground: {passed} passed, {failed} failed, {fps:.0f} frames a second, "
          f"{time.monotonic() - begin:.0f} s")
    return failed != 0


sys.exit(main())
