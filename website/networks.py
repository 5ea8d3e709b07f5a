"""Figures of the network: its two streams, the layer-wise heads, bilinear pooling."""

from website.drawing import Drawing


def two_stream() -> Drawing:
    """The paper's network, with the shapes of configs/two_stream.yaml."""
    to = Drawing(
        720, 250, "The two-stream network: appearance and part maps are fused by bilinear pooling into one vector"
    )
    to.rectangle(14, 82, 70, 96)
    to.player(33, 98, "blue", "7")
    to.text(49, 196, "256 x 128", size=12, colour="soft")
    to.box(126, 34, 128, 62, ("appearance", "ResNet50", "16 x 8 x 2048"), colour="blue", size=12)
    to.box(126, 164, 128, 62, ("parts", "OpenPose BODY_25", "32 x 16 x 26"), colour="orange", size=12)
    to.arrow((84, 130), (104, 130), (104, 65), (124, 65))
    to.arrow((84, 130), (104, 130), (104, 195), (124, 195))
    to.box(290, 172, 84, 46, ("align", "16 x 8 x 26"), size=12)
    to.arrow((254, 195), (288, 195))
    to.box(400, 96, 124, 68, ("bilinear pooling", "at every place,", "mean over places"), colour="green", size=12)
    to.arrow((254, 65), (462, 65), (462, 94))
    to.arrow((374, 195), (462, 195), (462, 166))
    to.box(556, 106, 70, 48, ("L2", "length one"), size=12)
    to.arrow((524, 130), (554, 130))
    to.arrow((626, 130), (654, 130))
    for row in range(8):
        to.rectangle(
            656, 86 + 11 * row, 16, 11, fill=("green", "fill", "green", "green", "fill", "green", "fill", "fill")[row]
        )
    to.text(664, 196, "8192", size=12, colour="soft")
    to.text(664, 74, "embedding", size=12, bold=True)
    return to


def heads() -> Drawing:
    """Layer-wise heads: losses on hidden maps too."""
    to = Drawing(
        720,
        286,
        "Layer-wise heads: conv3, conv4 and conv5 each get a head with its own loss beside the final embedding",
    )
    to.rectangle(14, 196, 52, 76)
    to.player(25, 204, "blue", "7")
    for place, (name, shape) in enumerate(
        (("conv2", "64 x 32"), ("conv3", "32 x 16"), ("conv4", "16 x 8"), ("conv5", "16 x 8"))
    ):
        x = 96 + 118 * place
        to.box(x, 206, 84, 54, (name, shape), colour="blue", size=12)
        to.arrow((x - 30 if place else x - 28, 233), (x - 2, 233)) if place == 0 else to.arrow(
            (x - 34, 233), (x - 2, 233)
        )
        if place:
            to.arrow((x + 42, 206), (x + 42, 160))
            to.box(x - 10, 96, 104, 62, ("head", "average, Dense,", "ReLU, Dense, L2"), size=12)
            to.arrow((x + 42, 96), (x + 42, 54))
            to.box(x - 10, 24, 104, 28, ("loss",), colour="orange", size=12)
    to.box(578, 206, 118, 54, ("average, L2", "final embedding"), colour="green", size=12)
    to.arrow((534, 233), (576, 233))
    to.arrow((637, 206), (637, 54))
    to.box(578, 24, 118, 28, ("loss",), colour="orange", size=12)
    return to


def bilinear() -> Drawing:
    """Outer product of two vectors at a place, pooled, and its sketch."""
    to = Drawing(
        720,
        280,
        "Bilinear pooling: the outer product of the appearance and the part vector of a place, averaged over places",
    )
    appearance, parts, cell = (3, 1, 0, 2), (1, 0, 2), 26
    to.text(20, 24, "at each place", anchor="start", bold=True)
    for row, value in enumerate(appearance):
        _cell(to, 30, 70 + cell * row, cell, value, "blue")
    to.text(43, 200, "appearance a", size=12, colour="soft")
    for column, value in enumerate(parts):
        _cell(to, 100 + cell * column, 36, cell, value, "orange")
    to.text(190, 53, "parts p", size=12, anchor="start", colour="soft")
    for row, left in enumerate(appearance):
        for column, top in enumerate(parts):
            _cell(to, 100 + cell * column, 70 + cell * row, cell, left * top, "green")
    to.text(139, 200, "outer product", size=12, colour="soft")
    to.arrow((190, 122), (264, 122), words="mean")
    to.text(227, 140, "over places", size=12, colour="soft")
    to.text(346, 24, "mode: full", bold=True)
    for number, value in enumerate(left * top for left in appearance for top in parts):
        _cell(to, 268 + cell * (number % 6), 96 + cell * (number // 6), cell, value, "green")
    to.text(346, 176, "C1 x C2 numbers", size=12, colour="soft")
    to.arrow((426, 122), (516, 122), words="two hashes")
    to.text(471, 140, "add with sign", size=12, colour="soft")
    to.text(610, 24, "mode: compact", bold=True)
    for row, value in enumerate((5, -2, 0, 10, -1)):
        _cell(to, 597, 66 + cell * row, cell, value, "green")
    to.text(610, 220, "output_dim numbers", size=12, colour="soft")
    to.text(
        20,
        250,
        "An entry is large where a channel of looks and a channel of parts are large at the same places.",
        size=12,
        anchor="start",
        colour="soft",
    )
    to.text(
        20,
        270,
        "The sketch keeps inner products in expectation, at a length of one's choice.",
        size=12,
        anchor="start",
        colour="soft",
    )
    return to


def _cell(to: Drawing, x: float, y: float, size: float, value: int, colour: str) -> None:
    to.rectangle(x, y, size, size, stroke="line", fill="fill")
    if value:
        to.rectangle(x, y, size, size, stroke="line", fill=colour, fill_opacity=f"{min(abs(value), 6) / 10:.2f}")
    to.text(x + size / 2, y + size / 2 + 4, str(value).replace("-", "\u2212"), size=12)
