"""What the operator does from a terminal: to the data of a stopped server, or to a running one."""
