"""Records of rank 0 as lines of text: they cross the launcher's standard output beside whatever else is printed there.

A line is ``@netprobe {"sequence": N, "kind": K, "record": {…}}``. Sequence numbers make a lost record an error instead
of a smaller result. Compressing or packing is not worth it: a stage of 1,000 series is a few MB, once.
"""

import re
from typing import Final, TextIO

import msgspec

from netprobe.errors import FormatError, StoreError
from netprobe.model.record import (
    GpusSampled,
    PlanExtended,
    RanksDone,
    RanksReady,
    Record,
    RoundFinished,
    RoundStarted,
    RunHalted,
    SpanCounted,
    StageFinished,
)
from netprobe.store.encoding import from_json, json_line

# Inside the JSON a quote is always escaped, so no host name or error message can look like the start of a record.
MARK: Final = '@netprobe {"sequence":'
KINDS: Final[dict[str, type[Record]]] = {
    "ranks-ready": RanksReady,
    "round-started": RoundStarted,
    "round-finished": RoundFinished,
    "span-counted": SpanCounted,
    "gpus-sampled": GpusSampled,
    "stage-finished": StageFinished,
    "plan-extended": PlanExtended,
    "run-halted": RunHalted,
    "ranks-done": RanksDone,
}
NAMES: Final = {kind: name for name, kind in KINDS.items()}

_LAUNCHER_TAG: Final = re.compile(r"(\s*\[[^\]]*\](<\w+>)?:?)*\s*")  # Open MPI: [1,0]<stdout>: Hydra: [0]


class _Envelope(msgspec.Struct):
    sequence: int
    kind: str
    record: msgspec.Raw


def encode(record: Record, sequence: int) -> str:
    """Return a record as one line, without its line break; ``sequence`` counts records from 0."""
    envelope = {"sequence": sequence, "kind": NAMES[type(record)], "record": msgspec.Raw(json_line(record))}
    return "@netprobe " + json_line(envelope).decode("utf-8")


class LineSink:
    """A Sink that writes each record as a line and flushes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._sequence = 0

    def emit(self, record: Record) -> None:
        """Write one record; raise StoreError when nobody reads the stream any more."""
        try:
            self._stream.write(encode(record, self._sequence) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise StoreError(f"record {self._sequence} could not be handed on by rank 0: {error}") from error
        self._sequence += 1


class LineDecoder:
    """Finds the records of one rank 0 amid other lines; it remembers which record has to come next."""

    def __init__(self) -> None:
        self._expected = 0

    def decode(self, line: str) -> tuple[Record | str, ...]:
        """Return what a line holds: chatter as text, then the record if there is one; neither for an empty line.

        StoreError says which records were lost or damaged; the decoder then goes on behind them.
        """
        before, mark, rest = line.rstrip("\r\n").partition(MARK)
        chatter = () if mark and _LAUNCHER_TAG.fullmatch(before) else (before.rstrip(),)
        told = tuple(text for text in chatter if text)
        return (*told, self._record(mark + rest)) if mark else told

    def _record(self, text: str) -> Record:
        expected = self._expected
        self._expected = expected + 1
        try:
            envelope = from_json(text.removeprefix("@netprobe ").encode("utf-8", "replace"), _Envelope)
        except FormatError as error:
            raise StoreError(f"record {expected} of rank 0 was damaged on its way: {error}") from error
        self._expected = envelope.sequence + 1
        if envelope.sequence != expected:
            raise StoreError(_out_of_order(expected, envelope.sequence))
        if envelope.kind not in KINDS:
            raise StoreError(
                f"record {expected} of rank 0 is a {envelope.kind!r}, which this netprobe does not know",
                remedy="the same version of netprobe on all hosts",
            )
        try:
            return from_json(bytes(envelope.record), KINDS[envelope.kind])
        except FormatError as error:
            raise StoreError(
                f"record {expected} ({envelope.kind}) of rank 0 is not as it should be: {error}",
                remedy="the same version of netprobe on all hosts",
            ) from error


def _out_of_order(expected: int, found: int) -> str:
    if found < expected:
        return f"record {found} came again after record {expected - 1}: two processes answer as rank 0"
    lost = str(expected) if found == expected + 1 else f"{expected} to {found - 1}"
    return f"record {lost} of rank 0 was lost on its way through the launcher; the next to arrive was {found}"
