"""What a counter that no table knows may mean, guessed from the words of its name.

Names are compared in small letters with words apart (``RcSeqNak`` is ``_rc_seq_nak_``). The first pattern that fits is
taken. A guess is never preferred to a counter that is known, and it is marked as one.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Weight
from netprobe.catalogue.keys import Origin
from netprobe.model.meaning import Meaning

SOURCE: Final = "guessed from its name"
BEHIND_ALL_KNOWN: Final = 100

_WORD_ENDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_PRIORITY: Final = re.compile(r"_(?:prio|pri|priority|pripause|cos)_?([0-7])_")
_BYTES: Final = re.compile(r"_(?:bytes|octets|octs)_")
_TIME: Final = re.compile(r"duration|_(?:time|us|usec|ns|ms|1us|msec)_")
_MICROSECONDS: Final = re.compile(r"_(?:us|usec|1us)_")

SENT: Final = r"_(?:tx|xmit|sent|send|snd|out)_"
RECEIVED: Final = r"_(?:rx|rcv|rcvd|recv|received|in)_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A pattern and what a counter that fits it may be."""

    pattern: re.Pattern[str]
    """Matched from the first letter on: names may be long, and searching takes the square of their length."""
    title: str
    weight: Weight
    meaning: Meaning | None = None
    ethtool_meaning: Meaning | None = None
    """The same where an Ethernet driver counts: transports of RDMA are not its business."""
    behaviour: Behaviour = Behaviour.WRAPS


def _guess(*parts: str, title: str, weight: Weight, meaning: Meaning | None = None, both: bool = True) -> Guess:
    """Return a guess for names in which all parts are found; ``both``: with one meaning for both origins."""
    pattern = re.compile("".join(f"(?=.*(?:{part}))" for part in parts), re.DOTALL)
    ethtool_meaning = meaning if both else None
    return Guess(pattern=pattern, title=title, weight=weight, meaning=meaning, ethtool_meaning=ethtool_meaning)


def _of_transport(*parts: str, title: str, weight: Weight, meaning: Meaning) -> Guess:
    return _guess(*parts, title=title, weight=weight, meaning=meaning, both=False)


LEVELS: Final = Guess(
    pattern=re.compile(".*_(?:active|watermark|current)_", re.DOTALL), title="a level", weight=Weight.INFO,
    behaviour=Behaviour.GAUGE,
)  # fmt: skip

_PAUSE: Final = r"pause|pfc|xoff"
_DROP: Final = r"discard|drop"
GUESSES: Final = (
    LEVELS,
    _of_transport("retr(?:y|ies)", "exc", "rnr", title="gave up waiting for a buffer", weight=Weight.FAIL,
                  meaning=Meaning.RNR_RETRIES_EXCEEDED),
    _of_transport("retr(?:y|ies)", "exc", title="gave up", weight=Weight.FAIL, meaning=Meaning.RETRIES_EXCEEDED),
    _of_transport("rnr", SENT, title="receiver not ready, here", weight=Weight.WARN,
                  meaning=Meaning.NO_RECEIVE_BUFFER),
    _of_transport("rnr", title="receiver not ready", weight=Weight.WARN, meaning=Meaning.RNR_NAK),
    _of_transport("time_?out|ack_to_", title="timeouts", weight=Weight.WARN, meaning=Meaning.ACK_TIMEOUT),
    _of_transport("nak", "seq|oos", title="the peer misses packets", weight=Weight.WARN,
                  meaning=Meaning.SEQUENCE_NAK),
    _of_transport("seq_|_oos|outof_?seq|outouf", title="loss or reordering", weight=Weight.WARN,
                  meaning=Meaning.OUT_OF_SEQUENCE),
    _guess("cnps?_", "ignor", title="congestion notifications ignored", weight=Weight.WARN,
           meaning=Meaning.CNP_IGNORED),
    _guess("cnps?_", SENT, title="congestion notifications sent", weight=Weight.NOTE, meaning=Meaning.CNP_SENT),
    _guess("cnps?_", title="congestion notifications", weight=Weight.NOTE, meaning=Meaning.CNP_HANDLED),
    _guess("_(?:ecns?|ce)_", title="marked for congestion", weight=Weight.NOTE, meaning=Meaning.ECN_MARKED),
    _guess(_PAUSE, "transition", title="pause began or ended", weight=Weight.NOTE),
    _guess(_PAUSE, "xon", title="flow control", weight=Weight.NOTE),
    _guess(_PAUSE, SENT, title="told the other end to stop", weight=Weight.WARN, meaning=Meaning.PAUSE_SENT),
    _guess(_PAUSE, RECEIVED, title="told to stop", weight=Weight.NOTE, meaning=Meaning.PAUSE_RECEIVED),
    _guess(_PAUSE, title="flow control", weight=Weight.NOTE),
    _guess(_DROP, SENT, title="dropped on the way out", weight=Weight.WARN, meaning=Meaning.SEND_DISCARD),
    _guess(_DROP, "phy|port|mac_|_buf|_cos|_pri|_nic_", title="dropped by the port", weight=Weight.WARN,
           meaning=Meaning.PORT_DISCARD),
    Guess(pattern=re.compile(f".*(?:{_DROP})", re.DOTALL), title="dropped", weight=Weight.WARN,
          meaning=Meaning.PORT_DISCARD, ethtool_meaning=Meaning.RING_DISCARD),
    _guess("icrc", title="damaged beyond the link's check", weight=Weight.FAIL, meaning=Meaning.ICRC_ERROR),
    _guess("crc|fcs", title="bad checksums", weight=Weight.FAIL, meaning=Meaning.CRC_ERROR),
    _guess("symbol", title="symbols not repaired", weight=Weight.FAIL, meaning=Meaning.SYMBOL_ERROR),
    _guess("fec", "_unc", title="beyond repair", weight=Weight.FAIL, meaning=Meaning.FEC_UNCORRECTABLE),
)  # fmt: skip

TIMES: Final = {
    Meaning.PAUSE_SENT: Meaning.PAUSE_SENT_TIME,
    Meaning.PAUSE_RECEIVED: Meaning.PAUSE_RECEIVED_TIME,
}


def guessed(origin: Origin, name: str) -> Counter | None:
    """Return what a counter may mean; None where its name tells nothing."""
    words = f"_{_WORD_ENDS.sub('_', name).lower()}_"
    for guess in GUESSES:
        if guess.pattern.match(words):
            return _in_its_unit(words, _counter(guess, origin, words))
    return None


def _counter(guess: Guess, origin: Origin, words: str) -> Counter:
    priority = _PRIORITY.search(words)
    return Counter(
        meaning=guess.ethtool_meaning if origin is Origin.ETHTOOL else guess.meaning,
        title=f"unrecognised counter: {guess.title}?",
        unit="",
        behaviour=guess.behaviour,
        weight=guess.weight,
        priority=int(priority[1]) if priority else None,
        preference=BEHIND_ALL_KNOWN,
        source=SOURCE,
        is_recognised=False,
    )


def _in_its_unit(words: str, counter: Counter) -> Counter:
    """Return the guess without its meaning where the name shows a unit that the meaning does not have."""
    if _BYTES.search(words):
        return replace(counter, meaning=None, unit="bytes")
    if not _TIME.search(words):
        return counter
    time = TIMES.get(counter.meaning) if counter.meaning else None
    if time is not None and _MICROSECONDS.search(words):
        return replace(counter, meaning=time, unit="ns", scale=1000)
    return replace(counter, meaning=None) if time is not None else counter
