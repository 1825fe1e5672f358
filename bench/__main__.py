"""`python -m bench`: measure, and write the report."""

import sys

from bench.cli import main

if __name__ == "__main__":  # the processes of the load import this module too
    sys.exit(main())
