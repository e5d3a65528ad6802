"""The reliability diagram of a calibration, as an SVG drawing or a page around it."""

from __future__ import annotations

from html import escape
from pathlib import Path

from crossalign.alignment.calibration import Calibration
from crossalign.errors import LabelingError
from crossalign.utils.files import open_text, whole_file

_SIDE, _LEFT, _TOP = 360, 56, 44
_WIDTH, _HEIGHT = _LEFT + _SIDE + 24, _TOP + _SIDE + 56


def check_plot(path: Path) -> None:
    """Raise if a plot cannot be of a kind, before the work for it is done.

    Args:
        path: Where it shall be.

    Raises:
        LabelingError: If it ends neither in .svg nor in .html.
    """
    if path.suffix.lower() not in (".svg", ".html"):
        raise LabelingError(f"expected a plot that ends in .svg or .html; got {path.name!r}.")


def write_reliability(path: Path, calibration: Calibration) -> None:
    """Draw how often labels of some confidence are right.

    Args:
        path: ``.svg`` or ``.html``.
        calibration: The calibration.

    Raises:
        LabelingError: If the ending is another, or the file cannot be written.
    """
    check_plot(path)
    drawing = reliability_svg(calibration)
    if path.suffix.lower() == ".html":
        drawing = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Reliability'
            f"</title></head>\n<body>\n{drawing}\n<p>{escape(summary(calibration))}</p>\n"
            "</body></html>\n"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished, open_text(unfinished) as stream:
            stream.write(drawing)
    except OSError as error:
        raise LabelingError(f"cannot write {path}: {error.strerror or error}.") from error


def summary(calibration: Calibration) -> str:
    """Say in one line what a calibration found.

    Args:
        calibration: The calibration.

    Returns:
        Text.
    """
    return (
        f"{calibration.photos} photos, {calibration.accuracy:.3f} of them labelled right; "
        f"temperature {calibration.temperature:.4g}; log-loss {calibration.before.log_loss:.3f} -> "
        f"{calibration.after.log_loss:.3f}, calibration error {calibration.before.ece:.3f} -> "
        f"{calibration.after.ece:.3f} (from temperature 0.01; on photos left out)"
    )


def reliability_svg(calibration: Calibration) -> str:
    """Draw the diagram.

    Args:
        calibration: The calibration.

    Returns:
        An SVG element. Areas of the dots are proportional to numbers of photos.
    """
    most = max((one.photos for one in calibration.bins), default=1) or 1
    marks = []
    for one in calibration.bins:
        if one.photos:
            x, y = _x(one.confidence), _y(one.right)
            radius = max(3.0, 14.0 * (one.photos / most) ** 0.5)
            marks.append(
                f'<line x1="{x:.1f}" y1="{_y(one.confidence):.1f}" x2="{x:.1f}" y2="{y:.1f}" '
                f'stroke="#b35c00"/><circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
                f'fill="#0072b2" fill-opacity=".75"><title>{one.photos} photos, confidence '
                f"{one.confidence:.2f}, right {one.right:.2f}</title></circle>"
            )
    threshold = calibration.threshold
    if threshold is not None:
        x = _x(threshold.confidence)
        anchor = "end" if threshold.confidence > 0.5 else "start"
        shift = -4 if threshold.confidence > 0.5 else 4
        marks.append(
            f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_TOP + _SIDE}" stroke="#009e73" '
            f'stroke-dasharray="6 4"/><text x="{x + shift:.1f}" y="{_TOP + 14}" '
            f'text-anchor="{anchor}">precision {threshold.precision:.2f} from '
            f"{threshold.confidence:.2f}</text>"
        )
    ticks = "".join(
        f'<text x="{_x(value):.1f}" y="{_TOP + _SIDE + 18}" text-anchor="middle">{value:g}</text>'
        f'<text x="{_LEFT - 8}" y="{_y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        f'<line x1="{_LEFT}" x2="{_LEFT + _SIDE}" y1="{_y(value):.1f}" y2="{_y(value):.1f}" '
        'stroke="#ddd"/>'
        for value in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12" role="img">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="700">Reliability</text>'
        f'<text x="{_LEFT}" y="35">{calibration.photos} photos, calibration error '
        f"{calibration.before.ece:.3f} before, {calibration.after.ece:.3f} after</text>"
        f"{ticks}"
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#888"/>'
        f"{''.join(marks)}"
        f'<text x="{_LEFT + _SIDE / 2}" y="{_HEIGHT - 14}" text-anchor="middle">confidence</text>'
        f'<text transform="translate(14 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">'
        "share of right labels</text></svg>"
    )


def _x(share: float) -> float:
    return _LEFT + _SIDE * share


def _y(share: float) -> float:
    return _TOP + _SIDE * (1 - share)
