"""The nonces that one connection has brought, as far as an accepted send speaks for others."""


class Nonces:
    """Tells from which nonce on a send that is accepted settles what became of those before it.

    Nonces only rise: what was received and not accepted when a later one is never will be, and must
    not be acknowledged as a repeat when it comes again. What was never received is one, by the rule
    for all that is not above the last nonce; so a run of nonces begins anew behind a gap, unless
    something before the gap was refused or waits for its reply.
    """

    __slots__ = ("_last", "first", "refused")

    def __init__(self) -> None:
        self.first = 0
        """The first nonce of the run; 0 before there is one."""
        self.refused = False
        """Whether something was refused on this connection."""
        self._last = 0

    def receive(self, nonce: int, *, answered: bool) -> None:
        """Take note of a nonce above 0; `answered`: nothing before it waits for its reply."""
        if nonce == self._last + 1 and self.first:
            self._last = nonce
        elif not self.first or (answered and not self.refused):
            self.first = self._last = nonce
        else:
            self.first = min(self.first, nonce)
            self._last = max(self._last, nonce)
