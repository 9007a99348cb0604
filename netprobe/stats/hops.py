"""Which hop of a ring holds the others up: what each kept its receiver waiting for, though its sender had handed over.

In a ring every rank moves at the pace of the slowest hop: the time of a step, and the time that a rank waits, are the
same everywhere. What is not the same is why. Of message k from rank i - 1 to rank i, on one clock,

    sent    when i - 1 handed it over,
    ready   when i had nothing left to do but to wait for it, with all messages before it,
    done    when i had it,

and the hop alone is to blame for done - max(sent, ready). A victim waits before its sender has anything to hand over,
or hands over what is late already: neither counts. If a hop takes T for a message, once it is done with those before,
its messages are done by max(sent, done of the one before) + T; since ``ready`` is never before that done, no hop is
ever charged more than its own T, whatever the others do. The slowest hop is charged nearly all of it: its sender runs
ahead and its receiver waits. (It is the service time of a queue, read off arrivals and departures.)

Does not handle: time that the receiver spends on other work meanwhile, which hides the hop and costs the ring nothing.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def hop_ns(sent: FloatArray, ready: FloatArray, done: FloatArray) -> FloatArray:
    """Return what each message kept its receiver waiting for; ns on one clock, all of one shape.

    Never negative: where clocks err by more than a message takes, nothing can be said of it.
    """
    waited: FloatArray = np.maximum(done - np.maximum(sent, ready), 0.0)
    return waited
