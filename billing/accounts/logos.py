"""A seller's logo: PNG or JPEG by what the bytes hold, written anew so that only the picture is kept."""

import hashlib
import io
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts.tables import SellerLogo
from billing.kernel.errors import Invalid

BYTES_MAX = 512 * 1024
_SIDE_MAX_PX = 4_000
_SIDE_MIN_PX = 16
_PRINTED_MAX_PX = (1_200, 400)  # 60 x 20 mm at 500 dots an inch
_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class Logo:
    """A picture that documents can print: its bytes, and their SHA-256 as its name."""

    sha256: str
    media_type: str
    width_px: int
    height_px: int
    content: bytes


def of_upload(content: bytes) -> Logo:
    """The logo in a file that somebody sent: decoded and encoded again, without metadata, at most 1,200 x 400 px.

    Raises Invalid(field="logo") with reason logo_empty, logo_too_heavy, logo_not_an_image, logo_animated, logo_too_large,
    logo_too_small.
    """
    from PIL import Image, UnidentifiedImageError  # loads codecs: only whoever sends a logo

    if not content:
        raise _refused("logo_empty")
    if len(content) > BYTES_MAX:
        raise _refused("logo_too_heavy", limit=BYTES_MAX)
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_TYPES)) as image:
            kind = str(image.format)
            _check_shape(image.size, getattr(image, "n_frames", 1))
            image.load()
            has_alpha = kind == "PNG" and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info)
            picture = image.convert("RGBA" if has_alpha else "RGB")
    except Invalid:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, LookupError):
        raise _refused("logo_not_an_image") from None
    picture.thumbnail(_PRINTED_MAX_PX)
    written = io.BytesIO()
    if kind == "PNG":
        picture.save(written, "PNG", optimize=True)
    else:
        picture.save(written, "JPEG", quality=92)
    made = written.getvalue()
    return Logo(
        sha256=hashlib.sha256(made).hexdigest(),
        media_type=_TYPES[kind],
        width_px=picture.width,
        height_px=picture.height,
        content=made,
    )


def keep(session: Session, logo: Logo, *, now: datetime) -> None:
    """Store a logo for ever; one that is there already stays."""
    if session.get(SellerLogo, logo.sha256) is None:
        session.add(SellerLogo(created_at=now, **vars(logo)))
        session.flush()  # a document may print it from now on


def find(session: Session, sha256: str | None) -> Logo | None:
    """The stored logo of that hash, None for none."""
    row = session.get(SellerLogo, sha256) if sha256 else None
    if row is None:
        return None
    return Logo(
        sha256=row.sha256,
        media_type=row.media_type,
        width_px=row.width_px,
        height_px=row.height_px,
        content=row.content,
    )


def _check_shape(size: tuple[int, int], frames: int) -> None:
    """Read from the head of the file, before a picture of that size is made."""
    if frames != 1:
        raise _refused("logo_animated")
    if max(size) > _SIDE_MAX_PX:
        raise _refused("logo_too_large", limit=_SIDE_MAX_PX)
    if min(size) < _SIDE_MIN_PX:
        raise _refused("logo_too_small", limit=_SIDE_MIN_PX)


def _refused(reason: str, **facts: int) -> Invalid:
    return Invalid(field="logo", reason=reason, **facts)
