"""``netprobe gate`` in a process of its own, with a measuring step that needs no hosts: FOLDER SLOW MIN -- COMMAND."""

import sys
from pathlib import Path

from nightly_samples import measuring

from netprobe.cli.gating import Job, pass_gate
from netprobe.cli.options import Judging
from netprobe.errors import NetprobeError
from netprobe.judge.admission import Terms


def main(folder, slow, fewest, _dashes, *command):
    numbers = tuple(int(each) for each in slow.split(",") if each)
    job = Job(command=command, terms=Terms(fewest_hosts=int(fewest)), judging=Judging())
    try:
        return pass_gate(job, measuring(Path(folder), slow=numbers))
    except NetprobeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
