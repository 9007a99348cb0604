"""One rank under a launcher: ``python -m netprobe.session PLAN``; records leave on rank 0's standard output."""

import os
import sys

from netprobe.errors import NetprobeError
from netprobe.plan.task import decode
from netprobe.session.ranks import open_session
from netprobe.store.wire import LineSink


def main(arguments: list[str]) -> int:
    """Run the plan given as the one argument; the launcher's exit status tells how it went."""
    # What libraries print on standard output would get between the records: only rank 0's sink keeps the real one.
    records = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        task = decode(arguments[0])
        with open_session(lambda: LineSink(records)) as session:
            session.run(task)
    except NetprobeError as error:
        print(f"netprobe: {error}", file=sys.stderr, flush=True)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
