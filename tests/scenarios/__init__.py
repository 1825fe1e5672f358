"""One suite of what people do, run over every transport."""
