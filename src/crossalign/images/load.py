"""Any picture in, one upright RGB image out: the door every image of crossalign comes through.

:func:`load_image` reads paths, bytes, open files, PIL images and arrays, applies the EXIF
orientation, converts the colours to sRGB, puts transparency on white, and turns every way an
image can be broken into an :class:`~crossalign.errors.ImageError` that names it.
"""

from __future__ import annotations

import functools
import io
import os
import re
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from crossalign.errors import ImageError
from crossalign.images.color import flat_rgb, to_uint8
from crossalign.images.endings import IMAGE_ENDINGS as IMAGE_ENDINGS
from crossalign.images.sniff import AGAIN, identify
from crossalign.images.source import ImageSource as ImageSource
from crossalign.images.source import SupportsArray as SupportsArray
from crossalign.images.source import content_digest as content_digest
from crossalign.images.source import is_one_image as is_one_image
from crossalign.images.source import source_name as source_name

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_MAX_PIXELS = 178_956_970
"""Pictures above this many pixels are refused before they are decoded (about 13,377 x 13,377)."""
# It is where Pillow itself stops, twice its PIL.Image.MAX_IMAGE_PIXELS: a lower number would refuse
# pictures that every other tool opens, a higher one would never be reached.


# The only decoders that see a user's file. EPS is left out because Pillow hands it to Ghostscript,
# which executes it; the others because nobody keeps photographs in them. TGA has no signature and
# accepts almost anything, so it comes last.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000"),
    *("ICO", "PPM", "QOI", "PCX", "TGA"),
)

_URL = re.compile(r"(https?|ftps?|s3|gs|hf|file):/|data:[\w/+.-]*[;,]", re.IGNORECASE)

_SNIFFED_BYTES = 1024
_MOST_READ = 256 * 2**20
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)


def load_image(source: ImageSource, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Read one picture from almost anything, upright and in RGB.

    Pixels of ordinary 8-bit RGB and grey pictures equal ``PIL.Image.open(path).convert("RGB")``
    exactly. An embedded ICC profile is converted to sRGB, unless it is sRGB in all but name (then
    the pixels stay as they are). As in a browser, a profile that is broken or belongs to another
    kind of pixels is ignored, and so is broken EXIF data. Transparency is put on white, after the
    colours are converted. Of an animation or a multi-page file, the first picture is taken.

    What is handed in is never altered or closed. An open file is read from its current position
    to its end. A PIL image is taken at the frame it shows.

    Args:
        source: A path, the bytes of an image file, a file opened for reading bytes, a PIL image, or
            an array (or an object with ``__array__``, such as a PyTorch tensor) of shape (H, W),
            (H, W, 1), (H, W, 3: RGB) or (H, W, 4: RGBA) and dtype uint8 (0 to 255), uint16 (0 to
            65535), bool, or float16, float32 or float64 in [0, 1]. URLs are never fetched.
        max_pixels: Refuse pictures with more pixels than this, before decoding them. Beyond the
            default, ``PIL.Image.MAX_IMAGE_PIXELS`` has to be raised too.

    Returns:
        A new PIL image of mode ``RGB``, fully loaded, with an empty ``info``.

    Raises:
        ImageError: If the source is missing, unreadable, empty, cut short, corrupt, too large, of
            the wrong type or not an image. The message names it and says what to do.

    Example:
        >>> import numpy as np
        >>> image = load_image(np.zeros((2, 3), dtype=np.uint8))
        >>> image.mode, image.size
        ('RGB', (3, 2))
        >>> load_image(b"<html>404</html>")
        Traceback (most recent call last):
        ...
        crossalign.errors.ImageError: <bytes>: expected an image, got an HTML page; \
the download probably gave an error page: fetch the image itself
    """
    with _named(source):
        if max_pixels < 1:
            raise ImageError(f"expected max_pixels of at least 1, got {max_pixels}")
        if isinstance(source, Image.Image):
            _check_size(source.size, max_pixels)
            with _decoding(remedy="hand it in before its file is closed, or pass the path"):
                return _upright_rgb(source, max_pixels)
        with _opened(source) as stream:
            if stream is not None:
                return _from_stream(stream, max_pixels)[0]
        if hasattr(source, "__array__"):
            return _from_array(source, max_pixels)
        raise ImageError(
            "expected a path, bytes, an open file, a PIL image or an array, got "
            f"{type(source).__name__}; for nested lists pass np.asarray(...)"
        )


def load_reduced(
    data: bytes, name: str, least_side: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[Image.Image, tuple[int, int]]:
    """Read an image file's bytes; a large JPEG at a half, a quarter or an eighth of its size.

    JPEG's blocks can be decoded at these sizes directly ("draft" decoding), several times faster
    and in a fraction of the memory. Everything else is as :func:`load_image` does it.

    Args:
        data: The bytes of the file.
        name: What errors call it.
        least_side: The short side stays at least this long, in pixels.
        max_pixels: Refuse pictures with more pixels than this, counted at full size.

    Returns:
        The picture, perhaps reduced, and its full upright width and height.

    Raises:
        ImageError: As :func:`load_image`.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (1600, 1000)).save(file, "JPEG")
        >>> image, size = load_reduced(file.getvalue(), "photo.jpg", least_side=400)
        >>> image.size, size
        ((800, 500), (1600, 1000))
    """
    with _named(name):
        return _from_stream(io.BytesIO(data), max_pixels, least_side)


def read_file(source: Any) -> bytes | None:
    """Read the bytes of an image file without looking into them.

    Args:
        source: Anything :func:`load_image` takes.

    Returns:
        The bytes of a path, of bytes or of an open file; None for pictures that are in memory, and
        for files beyond 256 MB, which are most likely no pictures at all.

    Raises:
        ImageError: If they cannot be read.
    """
    with _named(source), _opened(source) as stream, _decoding():
        if stream is None:
            return None
        if not isinstance(stream, io.BytesIO) and os.fstat(stream.fileno()).st_size > _MOST_READ:
            return None
        return stream.read()


def stored_pixels(source: Any) -> int:
    """Count the pixels that an image says it holds, without decoding it.

    Args:
        source: A path, the bytes of an image file, a PIL image or an array.

    Returns:
        Width times height; 0 where it does not say, so that :func:`load_image` will.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (40, 30)).save(file, "PNG")
        >>> stored_pixels(file.getvalue()), stored_pixels(b"<html>")
        (1200, 0)
    """
    try:
        if isinstance(source, Image.Image):
            return int(source.width * source.height)
        if hasattr(source, "__array__"):
            return int(source.shape[0] * source.shape[1])
        if callable(getattr(source, "read", None)):
            return 0  # looking would move it on
        with _opened(source) as stream:
            image = Image.open(stream or io.BytesIO(), formats=_formats())
            return int(image.width * image.height)
    except Exception:  # decoders raise nearly anything; here it means that they do not know
        return 0


@contextmanager
def _named(source: object) -> Iterator[None]:
    """Put the name of a source, known only at the door, in front of what went wrong inside."""
    try:
        yield
    except ImageError as error:
        # The cause stays the exception that Pillow or the system gave.
        raise ImageError(f"{_printable(source_name(source))}: {error}") from error.__cause__


# ------------------------------------------------------------------ opening and its many failures


@contextmanager
def _opened(source: Any) -> Iterator[IO[bytes] | None]:
    """What a source holds as the bytes of a file; None for pictures that are in memory."""
    if isinstance(source, str | os.PathLike):
        with _open_path(os.fsdecode(source)) as stream:
            yield stream
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif not isinstance(source, Image.Image) and callable(getattr(source, "read", None)):
        yield _rest_of(source)
    else:
        yield None


def _open_path(text: str) -> IO[bytes]:
    if not text:
        raise ImageError("expected a path, got an empty string; pass the path of an image file")
    path = Path(text)
    try:
        # stat comes first, because opening a FIFO would wait for its writer for ever
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the path
        raise ImageError(_why_unopened(text, error)) from error
    if stat.S_ISDIR(kind):
        raise ImageError("expected an image file, got a directory; pass the files inside it")
    raise ImageError("expected a regular file, got a FIFO, socket or device; pass its bytes")


def _why_unopened(text: str, error: OSError | ValueError) -> str:
    if _URL.match(text):
        return "expected a local file, got a URL; nothing is fetched: download it and pass the path"
    if isinstance(error, FileNotFoundError):
        if Path(text).is_symlink():
            return "the symbolic link points to a file that does not exist; mend the link"
        return "no such file; check the path"
    if isinstance(error, PermissionError):
        return "permission denied; check the rights of the file and of its folders"
    reason = error.strerror if isinstance(error, OSError) else error
    return f"the path cannot be opened ({reason}); pass the path of an image file"


def _rest_of(file: Any) -> io.BytesIO:
    # Image.open would rewind the caller's file; a copy of the rest leaves all but its position
    # alone, and serves pipes and network streams, which cannot seek, just as well.
    try:
        data = file.read()
    except Exception as error:
        raise ImageError(
            f"the file object cannot be read ({_reason(error)}); open it with mode 'rb'"
        ) from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ImageError(
            f"expected a file object that gives bytes, got {type(data).__name__}; "
            "open it with mode 'rb'"
        )
    return io.BytesIO(data)


def _from_stream(
    stream: IO[bytes], max_pixels: int, least_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """The upright picture, and its full size, which is its own unless it was decoded reduced."""
    with _decoding():
        head = stream.read(_SNIFFED_BYTES)
        stream.seek(0)
    if not head:
        raise ImageError("expected an image, got no bytes at all (empty); " + AGAIN)
    with _decoding(head):
        try:
            image = Image.open(stream, formats=_formats())
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            guard = Image.MAX_IMAGE_PIXELS or max_pixels
            limit = guard if isinstance(error, Warning) else 2 * guard
            raise ImageError(_too_large(_header_size(stream), min(limit, max_pixels))) from error
        _check_size(image.size, max_pixels)
        width, height = image.size
        if least_side is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (least_side, least_side))  # the smallest of its sizes above that
        stored = image.size
        upright = _upright_rgb(image, max_pixels, own=True)
        if stored == (width, height):
            return upright, upright.size
        turned = _orientation(image) in _QUARTER_TURNS
        return upright, (height, width) if turned else (width, height)


@functools.cache
def _formats() -> tuple[str, ...]:
    # Image.open raises KeyError for a format that this build of Pillow lacks (AVIF, for one)
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def _decoding(head: bytes = b"", remedy: str = AGAIN) -> Iterator[None]:
    """Turn whatever Pillow raises into an ImageError; ``head`` is the start of the file."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        what, remedy = identify(head)
        raise ImageError(f"expected an image, got {what}; {remedy}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS if you trust it.") from error
    except Exception as error:  # decoders raise nearly anything, from struct.error to MemoryError
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        what = "is cut short (truncated)" if cut else "is corrupt or cannot be read"
        raise ImageError(f"the image {what}: {_reason(error)}; {remedy}") from error


def _header_size(stream: IO[bytes]) -> tuple[int, int] | None:
    """Width and height of a file that Image.open refused as a bomb, still without decoding it."""
    stream.seek(0)
    prefix = stream.read(16)
    for factory, accept in (Image.OPEN[name] for name in _formats()):
        if accept is None or accept(prefix) is True:
            stream.seek(0)
            try:
                return factory(stream, "").size
            except Exception:  # noqa: S112 - another format's file: try the next decoder
                continue
    return None


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"expected at least 1 x 1 pixels, got {width} x {height} (zero-sized)")
    if width * height > max_pixels:
        raise ImageError(_too_large(size, max_pixels))


def _too_large(size: tuple[int, int] | None, limit: int) -> str:
    got = f"{size[0]} x {size[1]} = {size[0] * size[1]}" if size else "more"
    return (
        f"expected at most {limit} pixels, got {got}; shrink the image or, if you trust it, raise "
        f"max_pixels (and PIL.Image.MAX_IMAGE_PIXELS, now {Image.MAX_IMAGE_PIXELS}: Pillow warns "
        "above it and refuses above twice that)"
    )


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _printable(name: str) -> str:
    if len(name) > 300:  # a data URL or a text passed by mistake
        name = f"{name[:140]}...{name[-140:]}"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return "".join(escaped) or "''"


# ------------------------------------------------------------------- upright pixels, and arrays


def _upright_rgb(image: Image.Image, max_pixels: int, *, own: bool = False) -> Image.Image:
    """Make any picture upright and RGB; if it is nobody else's (``own``), perhaps it itself."""
    image.load()
    _check_size(image.size, max_pixels)  # again: an ICO may hold a picture larger than it declares
    rgb = flat_rgb(image, own=own)
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info = {}  # else a second load_image would turn it and convert its colours once more
    return rgb


def _orientation(image: Image.Image) -> Any:
    # Asked after load(): some formats keep EXIF at the end, and Pillow turns TIFFs by itself.
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF says nothing about the pixels
        return None


def _from_array(source: Any, max_pixels: int) -> Image.Image:
    try:
        array = np.asarray(source)
    except Exception as error:  # a tensor on a GPU or one that needs gradients, for example
        raise ImageError(
            f"cannot be turned into a NumPy array ({_reason(error)}); "
            "for a PyTorch tensor pass tensor.detach().cpu()"
        ) from error
    shape = array.shape
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(
            "expected an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"got {shape}{_shape_hint(shape)}"
        )
    _check_size((shape[1], shape[0]), max_pixels)
    if array.ndim == 3 and shape[2] == 1:
        array = array[:, :, 0]
    return _upright_rgb(Image.fromarray(to_uint8(array)), max_pixels)


def _shape_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; it looks channels-first: use np.moveaxis(array, 0, -1)"
    if len(shape) == 4:
        return "; it looks like a batch: pass one image at a time"
    return "; reshape it"
