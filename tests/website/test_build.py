"""The site's parts before Zensical, and after it."""

from types import SimpleNamespace

import pytest

from website import api, build, docstrings, shipped
from website.paths import ROOT


def test_pages_from_elsewhere_are_included_as_they_stand():
    made = build.made_pages()
    assert made["changelog.md"].startswith("# Changelog")
    assert made["contributing.md"].startswith("# Contributing")
    assert made["measured.md"].startswith("# What was measured")


def test_a_figure_becomes_part_of_its_page():
    text = build.with_figures("before\n\n![x](../figures/mining.svg)\n\n![y](look.png)\n")
    assert '<div class="figure-frame"><svg ' in text
    assert "mining.svg" not in text
    assert "![y](look.png)" in text


def test_the_script_of_others_is_replaced_by_ours(tmp_path):
    (tmp_path / "api").mkdir()
    for name in ("index.html", "api/a.html"):
        (tmp_path / name).write_text(f'<script src="{build.SHIM}"></script>')
    build.bring_home(tmp_path)
    assert (tmp_path / "index.html").read_text() == '<script src="assets/file_worker.js"></script>'
    assert (tmp_path / "api" / "a.html").read_text() == '<script src="../assets/file_worker.js"></script>'


def test_names_in_running_text_are_not_broken_at_hyphens():
    block = "<pre><span></span><code>kreid-train a --out b\n</code></pre>"
    long = f"<code>{'a-' * 20}</code>"
    page = f"{block}{long}<code>ten</code> kreid-x"
    assert build.with_whole_names(page) == page
    assert build.with_whole_names("<p><code>kreid-train a --out b-c</code> --x</p>") == (
        '<p><code><span class="whole">kreid-train</span> a <span class="whole">--out</span> '
        '<span class="whole">b-c</span></code> --x</p>'
    )


def test_staging_lays_everything_out(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "STAGED", tmp_path / "pages")
    build.stage()
    staged = tmp_path / "pages"
    assert "<svg" in (staged / "concepts.md").read_text(encoding="utf-8")
    assert (staged / "reference" / "configuration.md").is_file()
    assert (staged / "assets" / "file_worker.js").is_file()
    assert '[data-md-color-scheme="slate"] .figure { --ink:' in (staged / "assets" / "style.css").read_text()


@pytest.mark.parametrize(
    "package, some",
    [
        ("kreid", {"load_config", "train", "rank", "Embeddings"}),
        ("kreid.losses", {"TripletLoss", "LOSSES", "build_losses"}),
        ("kreid.layers", {"CompactBilinearPooling", "IMAGENET_MEAN"}),
        ("kreid.models", {"build_backbone"}),
        ("kreid.ranking.files", {"write", "read", "score"}),
        ("kreid.serving", {"export.export", "embed_remotely"}),
    ],
)
def test_public_names_are_read_from_faces(package, some):
    names = api.public_names(package)
    assert some <= set(names)
    assert not any(name.startswith("_") for name in names)
    assert len(names) == len(set(names))


def test_faces_name_what_python_finds():
    """The faces that load no TensorFlow, as Python sees them."""
    import kreid.config
    import kreid.ranking

    assert api.public_names("kreid.config") == kreid.config.__all__
    assert api.public_names("kreid.ranking") == kreid.ranking.__all__
    submodules = {"config", "data", "layers", "losses", "models", "ranking", "report", "weights"}
    assert set(api.public_names("kreid")) == set(kreid.__all__) - submodules


def test_sections_of_docstrings_become_known_ones():
    text = "One.\n\nInput shape:\n    `(N, D)`,\n    two lines.\n\nExample:\n    >>> 1\n\nReference:\n    Who."
    assert docstrings.as_known(text) == (
        "One.\n\n**Input shape:** `(N, D)`,\ntwo lines.\n\nExamples:\n    >>> 1\n\n**Reference:** Who."
    )


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A site whose builder is not run: the command lines that it would have been given."""
    site, ran = tmp_path / "site", []
    site.mkdir()
    (site / "index.html").write_text("<p>")
    monkeypatch.setattr(build, "SITE", site)
    monkeypatch.setattr(build, "stage", lambda: ran.append("staged"))
    monkeypatch.setattr(
        build.subprocess, "run", lambda command, **_: ran.append(command) or SimpleNamespace(returncode=0)
    )
    return SimpleNamespace(site=site, ran=ran)


def test_the_site_is_built_strictly_and_anew(built, capsys):
    build.main()
    staged, command = built.ran
    assert staged == "staged"
    assert {"--strict", "--clean"} <= set(command)
    assert capsys.readouterr().out == f"{built.site / 'index.html'}\n"


def test_a_fault_ends_the_build(built, capsys):
    (built.site / "index.html").write_text('<a href="lost.html">')
    with pytest.raises(SystemExit) as left:
        build.main()
    assert left.value.code == 1
    assert capsys.readouterr().err == "error: index.html: leads to lost.html, which is not there\n"


def test_a_builder_that_refuses_ends_the_build(built, monkeypatch):
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=3))
    with pytest.raises(SystemExit) as left:
        build.main()
    assert left.value.code == 3


def test_continuous_integration_builds_the_site():
    assert "make docs\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "\t$(BIN)/python -m website.build\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_an_example_without_prompts_is_a_block_of_code():
    text = "One.\n\nExample:\n    x = 1\n    print(x)\n\nReference:\n    Who."
    assert docstrings.as_known(text) == (
        "One.\n\n**Example:**\n\n```python\nx = 1\nprint(x)\n```\n\n**Reference:** Who."
    )


def test_shipped_configurations_are_shown_whole():
    page = shipped.page()
    assert "## configs/spaces/layerwise.yaml" in page
    assert "# Cost: 49.75 M parameters" in page
    assert "| [`osnet`](#configsosnetyaml) | 2.19 M | 0.98 | 512 | 61.6 / 51.2 | 55.5 / 45.1 |" in page
    assert "| [`two_stream`](#configstwo_streamyaml) | 49.75 M | 23.46 | 8192 | 63.7 / 52.8 | 55.0 / 42.4 |" in page
    assert "| [`demo`](#configsdemoyaml) | 0.56 M | 0.03 | 1024 | – | – |" in page
