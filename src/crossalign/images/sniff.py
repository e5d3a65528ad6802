"""What files are that were given as images and are none: names and remedies for messages."""

from __future__ import annotations

import codecs

_CONVERT = "convert it to JPEG or PNG first"
_UNPACK = "unpack it and pass the images inside"
_FRAMES = "extract the frames you need as images"
AGAIN = "copy or download it again"
_HEIC = tuple(b"ftyp" + brand for brand in (b"hei", b"hev", b"mif1", b"msf1"))
_OURS = (b"\x89PNG", b"\xff\xd8", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"RIFF")
# What the files are that Pillow rejects: offset, signatures, name, remedy. The first match wins.
_SIGNATURES: tuple[tuple[int, bytes | tuple[bytes, ...], str, str], ...] = (
    (0, b"%PDF", "a PDF document", "render its pages to PNG first"),
    (0, (b"%!PS", b"\xc5\xd0\xd3\xc6"), "a PostScript (EPS) file", _CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (0, (b"7z\xbc\xaf", b"Rar!"), "a 7-Zip or RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x1f\x8b", "gzip-compressed data", "decompress it first"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not its content", "run 'git lfs pull'"),
    (0, b"8BPS", "a Photoshop (PSD) document", _CONVERT),
    (128, b"DICM", "a DICOM scan", _CONVERT),
    (4, _HEIC, "a HEIC image, which Pillow cannot read", _CONVERT),
    (4, b"ftypavi", "an AVIF image that is damaged or that this Pillow cannot read", _CONVERT),
    (4, b"ftyp", "an MP4 or QuickTime video", _FRAMES),
    (0, b"\x1a\x45\xdf\xa3", "a WebM or Matroska video", _FRAMES),
    (8, b"AVI ", "an AVI video", _FRAMES),
    (0, _OURS, "an image with a broken header", AGAIN),
)
_PAGE = "an HTML page", "the download probably gave an error page: fetch the image itself"
_MARKUP = {
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
    b"<svg": ("an SVG drawing", "render it to PNG first"),
}


def identify(head: bytes) -> tuple[str, str]:
    """Say what a file that is no readable image seems to be.

    Args:
        head: Its first bytes, 1024 are enough.

    Returns:
        What it is, and what its owner can do about it, both in words.
    """
    for offset, signature, what, remedy in _SIGNATURES:
        if head.startswith(signature, offset):
            return what, remedy
    lowered = head.lower()
    for tag, answer in _MARKUP.items():
        if tag in lowered:
            return answer
    try:  # incremental, because the last character of the head may be cut
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = "\0"
    what = f"unknown data (it starts with {head[:8].hex(' ')})" if "\0" in text else "plain text"
    return what, "check where it came from"
