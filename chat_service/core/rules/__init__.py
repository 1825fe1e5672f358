"""May this entry happen, and what follows from it.

`decide` is a pure function of an entry and the facts so far, one function per kind of entry. It
either raises a Refusal, answers with the Ack of what had already happened, or returns the changes
to make. Every node that decides the same entries in the same order decides alike.
"""

from collections.abc import Callable
from typing import Any

from chat_service.core.commands import (
    Announce,
    BanSubject,
    DeleteAccount,
    EndSessions,
    Enter,
    Entry,
    Exit,
    Grant,
    Join,
    Leave,
    Moderate,
    Register,
    Revoke,
    Send,
    SetPassword,
    Trim,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.rules import accounts, admin, moderation, naming, talking
from chat_service.core.rules.changes import Decision
from chat_service.core.rules.facts import Facts


def decide(entry: Entry, facts: Facts) -> Decision:
    """Return what follows from an entry; raises Refusal if nothing does."""
    return _RULES[type(entry.body)](entry, entry.body, facts)


def _trim(_entry: Entry, body: Trim, _facts: Facts) -> Decision:
    return (body,)


_RULES: dict[type, Callable[[Entry, Any, Facts], Decision]] = {
    Enter: naming.enter,
    Exit: naming.exit_,
    Send: talking.send,
    Join: talking.join,
    Leave: talking.leave,
    Moderate: moderation.moderate,
    Register: accounts.register,
    Grant: accounts.grant,
    Revoke: accounts.revoke,
    SetPassword: accounts.set_password,
    UpdateAccount: admin.update_account,
    DeleteAccount: admin.delete_account,
    EndSessions: admin.end_sessions,
    BanSubject: admin.ban,
    UnbanSubject: admin.unban,
    Announce: admin.announce,
    Trim: _trim,
}
