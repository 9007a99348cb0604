"""Snapshots as files: a gzipped tarball with one JSON document, and a note for whoever unpacks it by hand.

Nothing is ever unpacked to disk: the one member that is known by name is read from memory, up to a bound.
"""

import io
import tarfile
import zlib
from pathlib import Path
from typing import Final

from netprobe.errors import FormatError, StoreError
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Snapshot
from netprobe.store.encoding import from_json, json_document
from netprobe.store.files import write_atomically

SUFFIX: Final = ".netprobe.tar.gz"
DOCUMENT: Final = "snapshot.json"
NOTE: Final = "README.txt"
LARGEST_BYTES: Final = 64 << 20  # of the document: a host with a hundred ports has a few MB
TAKE_AGAIN: Final = "netprobe snapshot on that host"


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot, whole or not at all; StoreError when that cannot be done."""
    note = (
        f"Evidence of {snapshot.inventory.host}, taken {snapshot.taken} by netprobe {snapshot.netprobe}.\n"
        f"Judge it with: netprobe config --from-snapshot {path.name}\n"
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in ((DOCUMENT, json_document(snapshot)), (NOTE, note.encode())):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    try:
        write_atomically(path, packed.getvalue())
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}", remedy="--out FILE where you may write"
        ) from error


def read_snapshot(path: Path) -> Snapshot:
    """Return the snapshot in a tarball; StoreError when there is none that can be read."""
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            body = _document(archive, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}", remedy=TAKE_AGAIN) from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise FormatError(f"{path} is no snapshot, or was cut short: {error}", remedy=TAKE_AGAIN) from error
    try:
        snapshot = from_json(body, Snapshot)
    except FormatError as error:
        raise FormatError(f"{path} is not as netprobe writes it: {error}", remedy=TAKE_AGAIN) from error
    if not 1 <= snapshot.format <= SNAPSHOT_FORMAT:
        raise FormatError(
            f"{path} was written by netprobe {snapshot.netprobe!r} in format {snapshot.format}; this netprobe reads "
            f"up to {SNAPSHOT_FORMAT}",
            remedy="pip install --upgrade netprobe",
        )
    return snapshot


def _document(archive: tarfile.TarFile, path: Path) -> bytes:
    try:
        member = archive.extractfile(DOCUMENT)
    except KeyError as error:
        raise FormatError(f"{path} has no {DOCUMENT}", remedy=TAKE_AGAIN) from error
    if member is None:
        raise FormatError(f"{path}: {DOCUMENT} is no file", remedy=TAKE_AGAIN)
    with member:
        body = member.read(LARGEST_BYTES + 1)
    if len(body) > LARGEST_BYTES:
        raise FormatError(f"{path}: {DOCUMENT} is larger than {LARGEST_BYTES >> 20} MiB", remedy=TAKE_AGAIN)
    return body
