"""What each transport promises of its own, against real sockets."""
