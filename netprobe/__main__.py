"""Run the command line as ``python -m netprobe``."""

from netprobe.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
