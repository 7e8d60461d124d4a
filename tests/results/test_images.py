"""One image file to pixels, whatever its format and mode."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from results.image_files import SUFFIXES
from results.images import Undecodable, decode, header

RED = (250, 10, 20)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "webp"])
@pytest.mark.parametrize("size", [(8, 8), (31, 17), (300, 200)])
def test_formats_and_sizes(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    Image.new("RGB", size, RED).save(tmp_path / f"image.{suffix}")
    pixels = decode(tmp_path / f"image.{suffix}", 16)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RED).max() < 12


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("LA", (100, 255), (100, 100, 100)),
        ("I;16", 25_700, (100, 100, 100)),
    ],
)
def test_modes(tmp_path: Path, mode: str, colour: object, expected: tuple[int, int, int]) -> None:
    Image.new(mode, (8, 8), colour).save(tmp_path / "image.png")
    assert decode(tmp_path / "image.png", 8)[4, 4].tolist() == list(expected)


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "image.jpg")
    assert decode(tmp_path / "image.jpg", 8).min() > 250


def test_exif_rotation(tmp_path: Path) -> None:
    """Stored lying on its side with orientation 6: shown upright, its left half is at the top."""
    image = Image.new("RGB", (20, 10), "black")
    image.paste("white", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    pixels = decode(tmp_path / "turned.png", 10)
    found = header(tmp_path / "turned.png")
    assert found is not None
    assert (found.width, found.height) == (10, 20)
    assert pixels[1].mean() > 250
    assert pixels[8].mean() < 5


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    frames[0].save(tmp_path / "image.gif", save_all=True, append_images=frames[1:])
    assert decode(tmp_path / "image.gif", 8).min() > 250


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, b"GIF89a"])
def test_what_does_not_decode_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(Undecodable, match=r"broken.png: not an image"):
        decode(tmp_path / "broken.png", 8)
    with pytest.raises(Undecodable, match=r"missing.png: No such file"):
        decode(tmp_path / "missing.png", 8)


def test_the_size_is_read_without_the_pixels(tmp_path: Path) -> None:
    """A file whose pixels are gone still tells its size, in all formats but WebP."""
    for suffix in ("png", "jpg", "gif", "bmp"):
        file = tmp_path / f"image.{suffix}"
        Image.effect_noise((640, 480), 90).convert("RGB").save(file)
        file.write_bytes(file.read_bytes()[:2000])
        found = header(file)
        assert found is not None, suffix
        assert (found.width, found.height) == (640, 480), suffix


@pytest.mark.parametrize("size", [(12_000, 9_000), (16_320, 12_240)])
def test_a_large_jpeg_is_read_small(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, RED)
    image.paste((20, 10, 250), (0, 0, size[0] // 2, size[1]))
    image.save(tmp_path / "large.jpg", quality=50)
    pixels = decode(tmp_path / "large.jpg", 16)
    assert np.abs(pixels[8, 12].astype(int) - RED).max() < 12
    assert np.abs(pixels[8, 4].astype(int) - (20, 10, 250)).max() < 12
    found = header(tmp_path / "large.jpg")
    assert found is not None
    assert (found.width, found.height) == size
    with (tmp_path / "large.jpg").open("rb") as upload:
        np.testing.assert_array_equal(decode(upload, 16), pixels)


def test_a_usual_jpeg_is_read_whole(tmp_path: Path) -> None:
    """JPEG's draft mode would give other pixels than before."""
    Image.effect_noise((640, 480), 90).save(tmp_path / "usual.jpg")
    with Image.open(tmp_path / "usual.jpg") as image:
        whole = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(tmp_path / "usual.jpg", 16), whole)


@pytest.mark.parametrize("size", [(12_000, 9_000), (20_000, 20_000)])
def test_what_is_too_large_says_how_many_pixels_and_what_to_do(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "large.png")
    rule = r"more than 89,478,485 pixels \(357,913,940 of a JPEG\), too large to be read: save it with fewer"
    with pytest.raises(Undecodable, match=f"large.png: .*{rule}"):
        decode(tmp_path / "large.png", 8)


@pytest.mark.parametrize("suffix", ["tif", "tiff", "jfif", "jpe", "jp2", "avif", "ppm", "tga", "dib", "ico", "apng"])
def test_more_formats(tmp_path: Path, suffix: str) -> None:
    assert f".{suffix}" in SUFFIXES
    Image.new("RGB", (32, 32), RED).save(tmp_path / f"image.{suffix}")
    assert np.abs(decode(tmp_path / f"image.{suffix}", 16).astype(int) - RED).max() < 12
