"""What the operator may choose: frozen, and checked once so that no other part has to doubt it."""

import dataclasses
import math
import platform
import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, get_args

from chat_service.core.bucket import Rate

Auth = Literal["open", "registered", "token"]
Registration = Literal["open", "closed"]
LogFormat = Literal["auto", "human", "json"]

AUTHS: Final = get_args(Auth)
REGISTRATIONS: Final = get_args(Registration)
LOG_FORMATS: Final = get_args(LogFormat)
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")

LISTENERS: Final = ("grpc", "tcp", "web")

MIB: Final = 1024 * 1024

_NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DAY: Final = 86_400.0
AGES: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_KEPT: Final = re.compile(r"([0-9]{1,12})([smhdw])?")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_ENDPOINT: Final = re.compile(
    r"(?: \[ (?P<ipv6> [^\[\]]* : [^\[\]]* ) \] | (?P<host> [^:\[\]]+ ) ) : (?P<port> [0-9]{1,5} )",
    re.VERBOSE,
)


class InvalidSetting(ValueError):
    """A setting cannot be as it is.

    `fields` are the names of those at fault or at odds, `reason` is one sentence about them.
    """

    def __init__(self, reason: str, *fields: str) -> None:
        super().__init__(f"{', '.join(fields)}: {reason}")
        self.reason = reason
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a listener binds: a host name or IP address, and a port (0: any that is free)."""

    host: str
    port: int

    def __post_init__(self) -> None:
        """Raise InvalidSetting where nothing could listen."""
        if not _is_host(self.host):
            raise InvalidSetting(f"not a host name or IP address: {self.host!r}", "host")
        if not 0 <= self.port <= 65_535:
            raise InvalidSetting(f"not between 0 and 65535: {self.port}", "port")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT`, an IPv6 host in brackets; raises ValueError with one sentence."""
        match = _ENDPOINT.fullmatch(text)
        if match is None:
            raise ValueError(_why_no_endpoint(text))
        return cls(match["ipv6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach it, as far as can be told without a lookup."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def _why_no_endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host and _PORT.fullmatch(port):
        return f"no host in {text!r}: write 127.0.0.1:{port}, or 0.0.0.0:{port} for all interfaces"
    if _is_ipv6(host) or _is_ipv6(text):
        return f"an IPv6 address needs brackets, as in [::1]:7777: {text!r}"
    return f"not HOST:PORT: {text!r}"


def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None or _is_ipv6(host)


def _is_ipv6(host: str) -> bool:
    address, percent, scope = host.partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return not percent or _HOST.fullmatch(scope) is not None


class Keep(NamedTuple):
    """What retention keeps: events up to an age in seconds, so many messages a room; None: all."""

    seconds: float | None = None
    messages: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `90d`, `10000`, both (`90d,10000`) or `all`; raises ValueError."""
        if text == "all":
            return cls()
        keep = cls()
        for part in text.split(","):
            match = _KEPT.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"not an age such as 90d or a number of messages: {part!r}")
            number, unit = match.groups()
            if unit:
                keep = keep._replace(seconds=int(number) * AGES[unit])
            else:
                keep = keep._replace(messages=int(number))
        return keep


class _Bounds(NamedTuple):
    low: float
    high: float
    unit: str


_BOUNDS: Final = {
    "outbox_events": _Bounds(64, math.inf, "events"),
    # The largest frame, a full page of the longest messages, has to fit.
    "outbox_bytes": _Bounds(MIB, math.inf, "bytes"),
    "presence_limit": _Bounds(0, 2**32 - 1, "members"),  # a uint32 in the contract
    "max_sessions": _Bounds(1, math.inf, "sessions"),
    "workers": _Bounds(1, 1_024, "processes"),
    "keepalive": _Bounds(0.01, _DAY, "seconds"),
    "shutdown_deadline": _Bounds(0, _DAY, "seconds"),
    "token_lifetime": _Bounds(60, 3_660 * _DAY, "seconds"),
    "jwt_leeway": _Bounds(0, 3_600, "seconds"),
    "jwt_max_age": _Bounds(1, 3_660 * _DAY, "seconds"),
}


def _host_name() -> str:
    """Return the host's name as far as it can name a node."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:63].lstrip("._-")
    return name or "node"


_JWT_KEYS: Final = ("jwt_secret", "jwt_public_key", "jwt_jwks")
_JWT_CLAIMS: Final = ("jwt_issuer", "jwt_audience")
_JWT_LIMITS: Final = ("jwt_max_age",)
_NATS_FILES: Final = ("nats_creds", "nats_ca", "nats_cert", "nats_key")
_STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a node; raises InvalidSetting, which names the field."""

    grpc: Endpoint | None = Endpoint("127.0.0.1", 50051)
    """Where gRPC listens; None turns it off."""

    tcp: Endpoint | None = Endpoint("127.0.0.1", 7777)
    """Where the line protocol listens; None turns it off."""

    web: Endpoint | None = Endpoint("127.0.0.1", 8080)
    """Where the page and its WebSockets are served; None turns it off."""

    web_origin: tuple[str, ...] = ()
    """Origins (`https://chat.example`) of pages that may use this server, besides its own."""

    data: Path | None = Path("chat-data")
    """The directory of the database; None keeps everything in memory."""

    node: str = dataclasses.field(default_factory=_host_name)
    """What people call this node; each of a cluster has a name of its own."""

    nats: tuple[str, ...] | None = None
    """URLs of the NATS servers whose JetStream is the log of many nodes; None: a log of its own."""

    nats_creds: Path | None = None
    """A credentials file, as NATS gives it to users."""

    nats_ca: Path | None = None
    """Who signs the servers' certificates, PEM; None: whom the system trusts."""

    nats_cert: Path | None = None
    """The certificate by which this node proves itself to NATS, PEM."""

    nats_key: Path | None = None
    """The key of that certificate, PEM."""

    nats_stream: str = "chat"
    """The stream that is the log; chats of different names share servers and nothing else."""

    nats_replicas: int | None = None
    """Copies of the stream when it is made; None: three where there is a cluster, else one."""

    workers: int = 1
    """Processes that serve on the same ports, each a node of the cluster."""

    worker: bool = False
    """Whether this is one of several: it shares its ports, and ends with who started it."""

    outbox_events: int = 8192
    """Events that may wait for one slow session."""

    outbox_bytes: int = 4 * MIB
    """Bytes that may wait for one slow session."""

    presence_limit: int = 500
    """Members online above which a room is no longer told who comes and goes."""

    max_sessions: int = 20_000
    """Sessions at a time, on all transports together."""

    keep: Keep = Keep()
    """How much of the past is kept."""

    rate_connects: Rate | None = Rate(2_000, 10_000)
    """Connects of one address, a second and at once; None is no limit."""

    rate_commands: Rate | None = Rate(1_000, 10_000)
    """Commands of one session; its user has twice, its address ten times as many."""

    rate_bytes: Rate | None = Rate(MIB, 8 * MIB)
    """Bytes of one session; its user has twice, its address ten times as many."""

    rate_registrations: Rate | None = Rate(0.1, 100)
    """Accounts that are made from one address."""

    keepalive: float = 10.0
    """Seconds for which a silent connection is left unprobed; it has half of them to answer."""

    shutdown_deadline: float = 5.0
    """Seconds that sessions have to take what waits for them when the node stops."""

    auth: Auth = "open"
    """Who may come in: anybody under a free name, accounts only, or who has a signed token."""

    registration: Registration = "open"
    """Whether anybody may make an account, or admins alone."""

    token_lifetime: float = 30 * _DAY
    """Seconds for which a session token is good."""

    jwt_secret: Path | None = None
    """A file with the secret that is shared with who signs tokens."""

    jwt_public_key: Path | None = None
    """The public key of who signs tokens, PEM."""

    jwt_jwks: Path | None = None
    """The public keys of who signs tokens, as a JSON Web Key Set."""

    jwt_issuer: str | None = None
    """Who has to have issued a token; None: whoever has the key."""

    jwt_audience: str | None = None
    """Whom a token has to be meant for; None: it must name no audience."""

    jwt_name_claim: str = "sub"
    """The claim that holds the user's name."""

    jwt_leeway: float = 30.0
    """Seconds by which the clock of who signs tokens may differ from this one."""

    jwt_max_age: float | None = None
    """Seconds after it was issued for which a token is good at most; None: as long as it says."""

    tls_cert: Path | None = None
    """The server's certificate, PEM with those that lead to its authority; None: no TLS."""

    tls_key: Path | None = None
    """The key of the certificate, PEM, not encrypted."""

    tls_client_ca: Path | None = None
    """Those who sign clients' certificates, PEM; if set, every client has to show one."""

    insecure: bool = False
    """Whether other machines may connect without TLS, or without an account."""

    log_level: str = "info"
    log_format: LogFormat = "auto"

    def __post_init__(self) -> None:
        """Raise InvalidSetting for what is out of bounds or at odds."""
        self._check_listeners()
        self._check_tls()
        self._check_exposure()
        self._check_auth()
        self._check_nats()
        for field, bounds in _BOUNDS.items():
            if (value := getattr(self, field)) is not None:
                _check_bounds(field, value, bounds)
        for field in ("rate_connects", "rate_commands", "rate_bytes", "rate_registrations"):
            _check_rate(field, getattr(self, field))
        _check_node(self.node)
        _check_keep(self.keep)
        _check_choice("auth", self.auth, AUTHS)
        _check_choice("registration", self.registration, REGISTRATIONS)
        _check_choice("log_level", self.log_level, LOG_LEVELS)
        _check_choice("log_format", self.log_format, LOG_FORMATS)

    def _check_listeners(self) -> None:
        listeners = {name: getattr(self, name) for name in LISTENERS}
        if not any(listeners.values()):
            raise InvalidSetting("at least one listener has to be on", *LISTENERS)
        by_port: dict[int, str] = {}
        for name, endpoint in listeners.items():
            if endpoint is None or endpoint.port == 0:
                continue
            if (other := by_port.setdefault(endpoint.port, name)) != name:
                reason = f"{other} and {name} cannot share port {endpoint.port}"
                raise InvalidSetting(reason, other, name)

    def _check_tls(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidSetting(
                "a certificate and its key go together: set both --tls-cert and --tls-key",
                "tls_cert",
                "tls_key",
            )
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise InvalidSetting(
                "clients show certificates over TLS only: set --tls-cert and --tls-key as well",
                "tls_client_ca",
            )

    def _check_exposure(self) -> None:
        """Let nobody open a server to other machines without having decided who may come in."""
        missing: list[str] = []
        if self.tls_cert is None:
            missing.append("TLS (--tls-cert, --tls-key; `chat-server cert` makes a pair)")
        if self.auth == "open":
            missing.append("accounts (--auth registered or token)")
        if self.insecure or not missing:
            return
        for field in LISTENERS:
            endpoint: Endpoint | None = getattr(self, field)
            if endpoint is not None and not endpoint.is_local:
                raise InvalidSetting(
                    f"other machines can reach {endpoint}, which takes {' and '.join(missing)};"
                    " --insecure serves them without",
                    field,
                )

    def _check_auth(self) -> None:
        """Let there be exactly one key where signed tokens are asked for, and none elsewhere."""
        flags = ", ".join(f"--{field.replace('_', '-')}" for field in _JWT_KEYS)
        keys = [field for field in _JWT_KEYS if getattr(self, field) is not None]
        if self.auth == "token" and not keys:
            raise InvalidSetting(
                f"signed tokens take a key to verify them with: set one of {flags}", "auth"
            )
        if len(keys) > 1:
            raise InvalidSetting(f"one key is enough: set only one of {flags}", *keys)
        optional = _JWT_KEYS + _JWT_CLAIMS + _JWT_LIMITS
        unused = [field for field in optional if getattr(self, field) is not None]
        if self.auth != "token" and unused:
            raise InvalidSetting(
                "signed tokens are not what this server asks for: set --auth token as well", *unused
            )
        for field in (*_JWT_CLAIMS, "jwt_name_claim"):
            if getattr(self, field) == "":
                raise InvalidSetting("cannot be empty", field)

    def _check_nats(self) -> None:
        alone = [field for field in _NATS_FILES if getattr(self, field) is not None]
        if self.nats is None and alone:
            raise InvalidSetting("is of use with --nats only", *alone)
        if (self.nats_cert is None) != (self.nats_key is None):
            raise InvalidSetting("a certificate and its key go together", "nats_cert", "nats_key")
        if not _STREAM.fullmatch(self.nats_stream):
            raise InvalidSetting(
                f"not up to 32 letters, digits, dashes and underscores: {self.nats_stream!r}",
                "nats_stream",
            )
        if self.nats_replicas is not None and not 1 <= self.nats_replicas <= 5:
            raise InvalidSetting(
                f"must be between 1 and 5, not {self.nats_replicas}", "nats_replicas"
            )
        if self.workers > 1 and self.nats is None:
            raise InvalidSetting("several processes share a log by --nats only", "workers")


def _check_bounds(field: str, value: float, bounds: _Bounds) -> None:
    low, high, unit = bounds
    if low <= value <= high:  # never true of NaN
        return
    limit = f"at least {low}" if high == math.inf else f"between {low:g} and {high:.10g}"
    raise InvalidSetting(f"must be {limit} {unit}, not {value}", field)


def _check_rate(field: str, rate: Rate | None) -> None:
    if rate is not None and not (0 < rate.per_second < math.inf and 1 <= rate.burst < math.inf):
        raise InvalidSetting(f"must be above 0 a second and at least 1 at once, not {rate}", field)


def _check_node(name: str) -> None:
    if not _NODE.fullmatch(name):
        raise InvalidSetting(f"not a name of up to 63 letters, digits, `._-`: {name!r}", "node")


def _check_keep(keep: Keep) -> None:
    if keep.seconds == 0 or keep.messages == 0:
        raise InvalidSetting("must keep something", "keep")


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidSetting(f"must be one of {', '.join(choices)}, not {value!r}", field)
