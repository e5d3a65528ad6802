"""Where to look: boxes for an image.

A *crop* is a square local view of an image, the "localized visual prompt" of the WCA paper (Li et
al., ICML 2024, arXiv 2406.02915). A :class:`CropSpec` says how many crops to take, how large and
where; :func:`boxes` turns it into pixel boxes that depend on the seed and the image's content
alone. :mod:`crossalign.images.transforms` cuts them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from crossalign.errors import CropError
from crossalign.images.layouts import LAYOUTS
from crossalign.images.layouts import Boxes as Boxes
from crossalign.images.transforms import Centre as Centre
from crossalign.images.transforms import Fit as Fit
from crossalign.images.transforms import Pixels as Pixels
from crossalign.images.transforms import Resample as Resample
from crossalign.images.transforms import check_size, pair
from crossalign.images.transforms import cut as cut
from crossalign.images.transforms import shown as shown
from crossalign.images.transforms import visible as visible
from crossalign.images.transforms import whole as whole
from crossalign.utils.validation import one_of, whole_number

Kind: TypeAlias = Literal["random", "grid", "even", "refined", "nested"]
PAPER_SIDE = (0.5, 0.9)
"""Range of the crop side, as a share of the short side, that the paper and its settings state."""

PUBLISHED_SIDE = (0.1, 0.9)
"""Range that the published code really uses: its setting never reaches the crop function."""

MAX_COUNT = 10_000
MIN_SIDE = 1e-9


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How crops are taken from an image.

    Args:
        count: Number of crops N, 1 to 10000. The paper uses 60.
        side: Smallest and largest side of a crop as a share of the image's short side, each in
            (0, 1]. Random crops draw it uniformly from this range.
        seed: 0 to 2**64 - 1. All but a grid depend on it.
        kind: ``"random"`` draws side and place of each crop; ``"even"`` spreads them evenly, by a
            scrambled Sobol sequence; ``"refined"`` draws and drops what nearly repeats a crop (IoU
            above 0.85), of at most three candidates a crop, as BiFTA does (arXiv 2601.20419);
            ``"nested"`` draws small ones and takes each in three sizes, up to the largest;
            ``"grid"`` lays crops of three sizes on even lattices.

    Raises:
        CropError: If a value is out of its range.

    Example:
        >>> spec = CropSpec(count=2, seed=7)
        >>> boxes(spec, (640, 480), digest=b"content").tolist()
        [[25, 102, 333, 410], [69, 73, 312, 316]]
    """

    count: int = 60
    side: tuple[float, float] = PAPER_SIDE
    seed: int = 0
    kind: Kind = "random"

    def __post_init__(self) -> None:
        count = whole_number("count", self.count, 1, MAX_COUNT, error=CropError)
        seed = whole_number("seed", self.seed, 0, 2**64 - 1, error=CropError)
        low, high = pair(self.side)
        if not MIN_SIDE <= low <= high <= 1.0:
            raise CropError(
                "expected side as (smallest, largest), shares of the short side with 0 < smallest "
                f"<= largest <= 1; got {self.side!r}. The paper's range is {PAPER_SIDE}."
            )
        one_of("kind of crops", self.kind, get_args(Kind), error=CropError)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "side", (low, high))

    @classmethod
    def paper(cls, count: int = 60, seed: int = 0) -> CropSpec:
        """Random crops as the paper states them: side 0.5 to 0.9 of the short side."""
        return cls(count=count, side=PAPER_SIDE, seed=seed)

    @classmethod
    def published(cls, count: int = 60, seed: int = 0) -> CropSpec:
        """Random crops as the published code makes them: side 0.1 to 0.9 of the short side."""
        return cls(count=count, side=PUBLISHED_SIDE, seed=seed)


def boxes(spec: CropSpec, size: tuple[int, int], digest: bytes = b"") -> Boxes:
    """Lay out the crops of one image.

    Boxes depend on the seed, the image's size and its content alone, never on order, batch, machine
    or library version: the draws are raw words of a counter-based generator (Philox) keyed by seed
    and digest. Of all kinds but a grid, the first n boxes of a larger count equal those of a count
    of n; see :func:`is_prefix`.

    Args:
        spec: What to take.
        size: Width and height of the upright image in pixels, each at least 1.
        digest: Content of the image, from :func:`crossalign.images.content_digest`; a grid
            takes no notice of it.

    Returns:
        Shape (N, 4), ``(left, top, right, bottom)`` in pixels: squares inside the image, with a
        side of at least one pixel.

    Raises:
        CropError: If the size is not two positive numbers.
    """
    width, height = check_size(size)
    if not isinstance(digest, bytes):
        raise CropError(f"expected digest as bytes; got {type(digest).__name__}.")
    return LAYOUTS[spec.kind](spec.count, spec.side, width, height, spec.seed, digest)


def is_prefix(spec: CropSpec) -> bool:
    """Whether a smaller count of such crops takes the first of them.

    Args:
        spec: What to take.

    Returns:
        True for all kinds but a grid, which lies anew for each count.

    Example:
        >>> is_prefix(CropSpec(kind="even")), is_prefix(CropSpec(kind="grid"))
        (True, False)
    """
    return spec.kind != "grid"


def layout(spec: CropSpec) -> str:
    """Name a layout of crops: in two specifications of one layout, a number is the same box.

    Args:
        spec: What to take.

    Returns:
        One line; without the count where a smaller count takes the first crops of a larger one.

    Example:
        >>> layout(CropSpec(count=30)) == layout(CropSpec(count=60))
        True
        >>> layout(CropSpec(count=30, kind="grid")) == layout(CropSpec(count=60, kind="grid"))
        False
    """
    low, high = spec.side
    count = "" if is_prefix(spec) else f" count={spec.count}"
    seed = "" if spec.kind == "grid" else f" seed={spec.seed}"
    return f"{spec.kind}{count}{seed} side={low!r}:{high!r}"


def published_boxes(
    count: int, size: tuple[int, int], *, numpy_seed: int, torch_seed: int
) -> Boxes:
    """Draw the very boxes that the published code draws after seeding NumPy and PyTorch.

    That code takes the side from NumPy's global generator and the place, top before left, from
    PyTorch's. Both are Mersenne Twisters seeded alike, so this needs no PyTorch.

    Args:
        count: Number of crops.
        size: Width and height of the image in pixels.
        numpy_seed: As given to ``numpy.random.seed``.
        torch_seed: As given to ``torch.manual_seed``.

    Returns:
        Shape (N, 4), ``(left, top, right, bottom)`` in pixels.

    Raises:
        CropError: If count, size or a seed is out of range.
    """
    width, height = check_size(size)
    count = whole_number("count", count, 1, MAX_COUNT, error=CropError)
    low, high = PUBLISHED_SIDE
    numpy_seed = whole_number("numpy_seed", numpy_seed, 0, 2**32 - 1, error=CropError)
    torch_seed = whole_number("torch_seed", torch_seed, 0, 2**32 - 1, error=CropError)
    sides = np.random.RandomState(numpy_seed)
    twister = np.random.MT19937()
    twister._legacy_seeding(torch_seed)
    rows = []
    for _ in range(count):
        side = int(sides.uniform(low, high) * min(width, height))
        if side == 0:
            raise CropError(
                f"the published code cannot crop an image of {width} x {height} pixels: a side "
                "came out as 0. Use boxes(CropSpec.published(), ...) for very small images."
            )
        top = int(twister.random_raw()) % (height - side + 1)
        left = int(twister.random_raw()) % (width - side + 1)
        rows.append((left, top, left + side, top + side))
    return np.array(rows, dtype=np.int64)
