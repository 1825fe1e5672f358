"""How much grpc's core writes to stderr by itself: imported before grpc, which looks only then.

Errors alone are its documented default for Python, but where nothing is set it tells of each failed
handshake as well, in the midst of what a program says.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
