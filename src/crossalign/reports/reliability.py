"""The reliability diagram of a calibration, as an SVG drawing or a page around it."""

from __future__ import annotations

from pathlib import Path

from crossalign.alignment.calibration import Calibration
from crossalign.errors import LabelingError
from crossalign.reports.charts import Panel, panels_svg
from crossalign.reports.html import render
from crossalign.utils.files import failing_as, write_text


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
        drawing = render(
            "reliability.html", title="Reliability", drawing=drawing, note=summary(calibration)
        )
    with failing_as(LabelingError, f"cannot write {path}: "):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, drawing)


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
    before, after = calibration.before.ece, calibration.after.ece
    panel = Panel(
        f"{calibration.photos} photos, calibration error {before:.3f} before, {after:.3f} after",
        tuple((one.confidence, one.right, one.photos) for one in calibration.bins),
    )
    mark = None
    if (one := calibration.threshold) is not None:
        mark = one.confidence, f"precision {one.precision:.2f} from {one.confidence:.2f}"
    x, y = "confidence", "share of right labels"
    return panels_svg([panel], title="Reliability", x=x, y=y, large=True, mark=mark)
