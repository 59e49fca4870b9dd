"""A headless Chromium, driven through its DevTools protocol over a pipe: nothing listens anywhere."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)


def find():
    """The path of the browser, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextlib.contextmanager
def browser(program, folder):
    """A browser whose profile is in `folder`, as a function that opens pages; it is gone afterwards."""
    pipes = [os.pipe(), os.pipe()]
    ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (pipes[0][0], pipes[1][1])]  # it reads from 3, writes to 4
    environment = {**os.environ, "HOME": str(folder)}
    moved = ["bash", "-c", f'exec "$0" "$@" 3<&{ends[0]} 4>&{ends[1]}']
    command = [*moved, program, *OPTIONS, f"--user-data-dir={folder}"]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(
            command, pass_fds=ends, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    for fd in (*ends, pipes[0][0], pipes[1][1]):
        os.close(fd)
    wire = Wire(pipes[1][0], pipes[0][1])
    try:
        yield lambda width=1200, height=900, dark=False: Page(wire, width, height, dark)
        wire.send("Browser.close")
        process.wait(PATIENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for fd in (pipes[1][0], pipes[0][1]):
            os.close(fd)


class Wire:
    """Messages to the browser and from it."""

    def __init__(self, incoming, outgoing):
        self._incoming, self._outgoing = incoming, outgoing
        self._rest, self._count = b"", 0
        self.events = []

    def send(self, method, session=None, **parameters):
        """Send a command and wait for its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        rest = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._outgoing, rest) :]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def receive(self, deadline):
        """The next message; those that are not answers are kept in `events`."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._incoming], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            got = os.read(self._incoming, 1 << 20)
            assert got, "the browser is gone"
            self._rest += got
        line, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(line)
        if "id" not in message:
            self.events.append(message)
        return message


class Page:
    """A page that is shown; what it complained about is in `complaints`, what it asked for in `requests`."""

    def __init__(self, wire, width, height, dark):
        self._wire = wire
        target = wire.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = wire.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.send(f"{domain}.enable")
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **shape)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def send(self, method, **parameters):
        return self._wire.send(method, self._session, **parameters)

    def open(self, url):
        """Go to an address; returns when all is loaded."""
        self.send("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE_S
        while not self._seen("Page.loadEventFired"):
            self._wire.receive(deadline)
        return self

    def run(self, script):
        """The value of a piece of JavaScript."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def key(self, name, text=""):
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=name, code=name, **({"text": text} if text else {}))

    def tap(self, x, y):
        """Touch a place of the window and let go."""
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def picture(self, path, *, whole=True):
        """Save what the page looks like."""
        content = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(content))

    @property
    def complaints(self):
        """Errors, warnings and exceptions of the page and of the browser about it."""
        said = [event["exceptionDetails"] for event in self._seen("Runtime.exceptionThrown")]
        serious = ("error", "warning", "assert")
        said += [event for event in self._seen("Runtime.consoleAPICalled") if event["type"] in serious]
        return said + [event["entry"] for event in self._seen("Log.entryAdded")]

    @property
    def requests(self):
        """Addresses that the page asked for, without the files that are in it."""
        urls = [event["request"]["url"] for event in self._seen("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]

    def _seen(self, name):
        events = [e for e in self._wire.events if e.get("sessionId") == self._session and e["method"] == name]
        return [event["params"] for event in events]
