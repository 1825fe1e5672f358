from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ModerationAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODERATION_ACTION_UNSPECIFIED: _ClassVar[ModerationAction]
    MODERATION_ACTION_KICK: _ClassVar[ModerationAction]
    MODERATION_ACTION_BAN: _ClassVar[ModerationAction]
    MODERATION_ACTION_UNBAN: _ClassVar[ModerationAction]
    MODERATION_ACTION_MUTE: _ClassVar[ModerationAction]
    MODERATION_ACTION_UNMUTE: _ClassVar[ModerationAction]
    MODERATION_ACTION_INVITE: _ClassVar[ModerationAction]
    MODERATION_ACTION_MAKE_PRIVATE: _ClassVar[ModerationAction]
    MODERATION_ACTION_MAKE_PUBLIC: _ClassVar[ModerationAction]
    MODERATION_ACTION_APPOINT: _ClassVar[ModerationAction]
    MODERATION_ACTION_DISMISS: _ClassVar[ModerationAction]
    MODERATION_ACTION_HAND_OVER: _ClassVar[ModerationAction]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_MEMBER: _ClassVar[Role]
    ROLE_MODERATOR: _ClassVar[Role]
    ROLE_OWNER: _ClassVar[Role]
MODERATION_ACTION_UNSPECIFIED: ModerationAction
MODERATION_ACTION_KICK: ModerationAction
MODERATION_ACTION_BAN: ModerationAction
MODERATION_ACTION_UNBAN: ModerationAction
MODERATION_ACTION_MUTE: ModerationAction
MODERATION_ACTION_UNMUTE: ModerationAction
MODERATION_ACTION_INVITE: ModerationAction
MODERATION_ACTION_MAKE_PRIVATE: ModerationAction
MODERATION_ACTION_MAKE_PUBLIC: ModerationAction
MODERATION_ACTION_APPOINT: ModerationAction
MODERATION_ACTION_DISMISS: ModerationAction
MODERATION_ACTION_HAND_OVER: ModerationAction
ROLE_UNSPECIFIED: Role
ROLE_MEMBER: Role
ROLE_MODERATOR: Role
ROLE_OWNER: Role
