"""Load: processes that send, receive, check and time, whatever the system."""
