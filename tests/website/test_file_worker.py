"""What stands in for a worker where a page is opened as a file: messages go both ways, later and as copies."""

import shutil

import pytest
from browser import open_browser

from website.paths import ROOT

ECHO = "self.onmessage = (event) => { event.data.push('there'); self.postMessage(event.data); };"
ASK = """
new Promise((done) => {
  const worker = new Worker("echo.js"), sent = ["here"], answers = [];
  worker.onmessage = (event) => {
    answers.push(event.data);
    if (answers.length < 2) return worker.postMessage(["again"]);
    worker.terminate();
    done([answers, sent, document.querySelectorAll("iframe").length]);
  };
  worker.postMessage(sent);
})
"""


@pytest.mark.slow
def test_messages_go_both_ways(tmp_path):
    shutil.copy(ROOT / "website" / "assets" / "file_worker.js", tmp_path)
    (tmp_path / "echo.js").write_text(ECHO)
    (tmp_path / "index.html").write_text('<script src="file_worker.js"></script><body></body>')
    (tmp_path / "profile").mkdir()
    with open_browser(tmp_path / "profile") as page:
        page.open(tmp_path / "index.html")
        answers, sent, frames = page.run(ASK)
        assert answers == [["here", "there"], ["again", "there"]]
        assert sent == ["here"]
        assert frames == 0
        assert page.messages == []
