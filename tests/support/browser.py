"""A real browser for tests: headless Chromium, driven over its DevTools pipe; nothing but the standard library.

Reference: https://chromedevtools.github.io/devtools-protocol/, messages of JSON ended by a zero byte, in through file
descriptor 3 and out through 4.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
)
_PATIENCE = 60.0  # seconds
# Moves two pipes to the descriptors 3 and 4, whatever theirs are, and becomes the browser.
_LAUNCH = """
import fcntl, os, sys
inward, outward = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(inward, 3), os.dup2(outward, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One tab. What it asks for, says and fails at is kept in `requests`, `messages` and `dialogs`."""

    def __init__(self, write, read):
        self._write, self._read, self._rest, self._number, self._session = write, read, b"", 0, None
        self.requests, self.messages, self.dialogs, self._loaded = [], [], [], False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send one command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def open(self, path, width=1280, height=900, dark=False, scale=1):
        """Show a file in a window of so many pixels, and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear(), self.messages.clear(), self.dialogs.clear()
        self._loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri() if hasattr(path, "resolve") else path)
        while not self._loaded:
            self._note(self._next())
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")

    def run(self, script):
        """Evaluate an expression and return its value; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def settle(self):
        """Let the page draw three times: what a scrolling, a click or a closing sets off is done by then."""
        self.run(
            "new Promise(done => { const look = n => n ? requestAnimationFrame(() => look(n - 1)) : done(); look(3); })"
        )

    def until(self, condition):
        """Wait for an expression to be true, ten seconds at most."""
        came = self.run(
            "new Promise(done => { const end = performance.now() + 10000; const look = () => {"
            f"const came = Boolean({condition});"
            "came || performance.now() > end ? done(came) : requestAnimationFrame(look); }; look(); })"
        )
        assert came, f"not within ten seconds: {condition}"

    def press(self, key, text=""):
        """Press one key, such as "ArrowDown", "Enter" or "n"."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else text)
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        code = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key.upper()[0]))}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text):
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """Scroll to the first element that fits and click its middle, by a real pointer."""
        box = self.run(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
            "node.scrollIntoView({ block: 'center' }); const box = node.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        at = {"x": box[0], "y": box[1]}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
        self.call("Input.dispatchMouseEvent", type="mousePressed", button="left", clickCount=1, **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", clickCount=1, **at)

    def screenshot(self, path=None):
        """Return the window as PNG, and write it if a path is given."""
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        if path:
            path.write_bytes(png)
        return png

    def _next(self):
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(until - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        method, about = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"][:200])
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(f"{about['type']}: {[one.get('value') for one in about['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.messages.append(about["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Log.entryAdded":
            self.messages.append(f"{about['entry']['level']}: {about['entry']['text']}")
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(about["message"])
        elif method == "Page.loadEventFired":
            self._loaded = True


@contextmanager
def open_browser(folder):
    """Start Chromium with an empty profile in `folder` and give a `Page`.

    Where there is none the test is skipped, but under continuous integration, which sets `CI`, it fails: there nobody
    reads what was skipped.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing = f"no browser: none of {', '.join(NAMES)} is installed; on Debian, as root: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    inward, write = os.pipe()
    read, outward = os.pipe()
    launch = [sys.executable, "-c", _LAUNCH, str(inward), str(outward)]
    process = subprocess.Popen(
        [*launch, program, *FLAGS, f"--user-data-dir={folder}"],
        pass_fds=(inward, outward),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(inward), os.close(outward)
    try:
        yield Page(write, read)
    finally:
        os.close(write), os.close(read)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
