"""`chat.v1.Admin` over gRPC."""

from chat.v1 import admin_pb2
from chat_service.administration import Administration
from chat_service.core.address import parse_name
from chat_service.core.commands import Secret
from chat_service.core.errors import InvalidCommand
from chat_service.core.origin import parse_network
from chat_service.core.rules.admin import is_network
from chat_service.flood import FloodControl
from chat_service.state.port import BanRow
from chat_service.tls import Tls
from chat_service.transports.unary import Door, answers
from chat_service.transports.visitors import Visitor
from chat_service.watch import NodeStatus
from chat_service.wire.times import duration, seconds_of, timestamp


class AdminService(Door):
    """Answers the calls of the Admin service, each of an admin alone."""

    contract = admin_pb2.DESCRIPTOR.services_by_name["Admin"]

    def __init__(self, admin: Administration, flood: FloodControl, tls: Tls | None) -> None:
        super().__init__(flood, tls)
        self._admin = admin

    # The names of the contract.

    @answers
    async def ListConnections(  # noqa: N802
        self, request: admin_pb2.ListConnectionsRequest, who: Visitor
    ) -> admin_pb2.ListConnectionsResponse:
        """List who is connected."""
        await self._admin.admin(who.bearer, who.origin)
        rows = await self._admin.connections(request.user)
        connections = [
            admin_pb2.Connection(
                session_id=row.session,
                user=row.user,
                address=row.address,
                entered_at=timestamp(row.entered),
                lost=row.lost,
            )
            for row in rows
        ]
        return admin_pb2.ListConnectionsResponse(connections=connections)

    @answers
    async def EndConnections(  # noqa: N802
        self, request: admin_pb2.EndConnectionsRequest, who: Visitor
    ) -> admin_pb2.EndConnectionsResponse:
        """End the connections of a user, or one of them."""
        admin = await self._admin.admin(who.bearer, who.origin)
        ended = await self._admin.end(admin, request.user, request.session_id, request.reason)
        return admin_pb2.EndConnectionsResponse(ended=ended)

    @answers
    async def Ban(  # noqa: N802
        self, request: admin_pb2.BanRequest, who: Visitor
    ) -> admin_pb2.BanResponse:
        """Let a name or a network in no more."""
        admin = await self._admin.admin(who.bearer, who.origin)
        seconds = seconds_of(request.duration) if request.HasField("duration") else None
        ended = await self._admin.ban(admin, _subject(request), request.reason, seconds)
        return admin_pb2.BanResponse(ended=ended)

    @answers
    async def Unban(  # noqa: N802
        self, request: admin_pb2.UnbanRequest, who: Visitor
    ) -> admin_pb2.UnbanResponse:
        """Take a ban back."""
        admin = await self._admin.admin(who.bearer, who.origin)
        await self._admin.unban(admin, _subject(request))
        return admin_pb2.UnbanResponse()

    @answers
    async def ListBans(  # noqa: N802
        self, _request: admin_pb2.ListBansRequest, who: Visitor
    ) -> admin_pb2.ListBansResponse:
        """List the bans that are in force."""
        await self._admin.admin(who.bearer, who.origin)
        return admin_pb2.ListBansResponse(bans=[_ban(row) for row in await self._admin.bans()])

    @answers
    async def Announce(  # noqa: N802
        self, request: admin_pb2.AnnounceRequest, who: Visitor
    ) -> admin_pb2.AnnounceResponse:
        """Say something to everyone."""
        admin = await self._admin.admin(who.bearer, who.origin)
        return admin_pb2.AnnounceResponse(seq=await self._admin.announce(admin, request.text))

    @answers
    async def Drain(  # noqa: N802
        self, _request: admin_pb2.DrainRequest, who: Visitor
    ) -> admin_pb2.DrainResponse:
        """Begin a graceful shutdown."""
        await self._admin.admin(who.bearer, who.origin)
        self._admin.drain()
        return admin_pb2.DrainResponse()

    @answers
    async def GetStatistics(  # noqa: N802
        self, _request: admin_pb2.GetStatisticsRequest, who: Visitor
    ) -> admin_pb2.GetStatisticsResponse:
        """Tell how the server is doing."""
        await self._admin.admin(who.bearer, who.origin)
        it = await self._admin.statistics()
        return admin_pb2.GetStatisticsResponse(
            version=it.version,
            epoch=it.epoch,
            seq=it.seq,
            connections=it.connections,
            users=it.users,
            accounts=it.accounts,
            started_at=timestamp(it.started),
            loop_lag_p99=duration(it.loop_lag_p99),
            node=it.own.name,
            position=it.own.position,
            digest=it.own.digest.hex(),
            nodes=map(_node, it.nodes),
            diverged=it.diverged,
            agreed_position=it.agreed,
        )

    @answers
    async def ListAccounts(  # noqa: N802
        self, request: admin_pb2.ListAccountsRequest, who: Visitor
    ) -> admin_pb2.ListAccountsResponse:
        """List the accounts."""
        await self._admin.admin(who.bearer, who.origin)
        rows, more = await self._admin.accounts(request.after)
        accounts = [
            admin_pb2.Account(
                user=row.name,
                admin=row.admin,
                has_password=row.has_password,
                created_at=timestamp(row.created),
            )
            for row in rows
        ]
        return admin_pb2.ListAccountsResponse(accounts=accounts, more=more)

    @answers
    async def CreateAccount(  # noqa: N802
        self, request: admin_pb2.CreateAccountRequest, who: Visitor
    ) -> admin_pb2.CreateAccountResponse:
        """Make an account."""
        admin = await self._admin.admin(who.bearer, who.origin)
        password = Secret(request.password)
        name = await self._admin.create(admin, request.user, password, rights=request.admin)
        return admin_pb2.CreateAccountResponse(user=name)

    @answers
    async def UpdateAccount(  # noqa: N802
        self, request: admin_pb2.UpdateAccountRequest, who: Visitor
    ) -> admin_pb2.UpdateAccountResponse:
        """Set an account's password or rights."""
        admin = await self._admin.admin(who.bearer, who.origin)
        password = Secret(request.password) if request.HasField("password") else None
        rights = request.admin if request.HasField("admin") else None
        await self._admin.update(admin, request.user, password, rights)
        return admin_pb2.UpdateAccountResponse()

    @answers
    async def DeleteAccount(  # noqa: N802
        self, request: admin_pb2.DeleteAccountRequest, who: Visitor
    ) -> admin_pb2.DeleteAccountResponse:
        """Take an account away."""
        admin = await self._admin.admin(who.bearer, who.origin)
        await self._admin.delete(admin, request.user)
        return admin_pb2.DeleteAccountResponse()


def _subject(request: admin_pb2.BanRequest | admin_pb2.UnbanRequest) -> str:
    """Return whom a ban is about, in its normal form."""
    match request.WhichOneof("subject"):
        case "user":
            return parse_name(request.user)
        case "address":
            return parse_network(request.address)
        case _:
            raise InvalidCommand("say whom: a user or an address")


def _node(it: NodeStatus) -> admin_pb2.ClusterNode:
    return admin_pb2.ClusterNode(
        name=it.heartbeat.name,
        instance=it.heartbeat.instance,
        version=it.heartbeat.version,
        position=it.heartbeat.position,
        connections=it.heartbeat.sessions,
        live=it.live,
        diverged=it.diverged,
        agreed_position=it.agreed,
    )


def _ban(row: BanRow) -> admin_pb2.BanEntry:
    return admin_pb2.BanEntry(
        user=None if is_network(row.subject) else row.subject,
        address=row.subject if is_network(row.subject) else None,
        reason=row.reason,
        until=timestamp(row.until) if row.until else None,
        by=row.by,
    )
