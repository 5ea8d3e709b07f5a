"""Lines on standard error: printed by whatever shows progress, and dropped where nobody reads them."""

import io
import sys

import pytest

from tfrecords_tools.console.lines import printable, printed_by, say


def test_the_display_that_began_last_prints_a_line(capsys):
    seen = []
    with printed_by(lambda text: seen.append(("outer", text))):
        with printed_by(lambda text: seen.append(("inner", text))):
            say("one")
        say("two")
    say("three")
    assert seen == [("inner", "one"), ("outer", "two")]
    assert capsys.readouterr().err == "three\n"


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.mark.parametrize(
    "stream",
    [
        None,
        Broken(BrokenPipeError(32, "Broken pipe")),
        Broken(OSError(28, "No space left on device")),
        Broken(ValueError("I/O operation on closed file.")),
        Broken(RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")),
    ],
    ids=lambda stream: type(getattr(stream, "error", None)).__name__,
)
def test_a_line_that_nobody_reads_is_dropped(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    say("nobody reads it")
    assert capsys.readouterr().out == ""  # nor does it go anywhere else


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "\\xe9\\udcff [b]"), ("utf-8", "é\\udcff [b]")])
def test_what_a_stream_cannot_encode_is_escaped(encoding, shown):
    assert printable("é\udcff [b]", io.TextIOWrapper(io.BytesIO(), encoding)) == shown
