"""Settings from the environment, typed; production refuses what would be unsafe there."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from billing.accounts import names
from billing.kernel.errors import Invalid
from billing.notices.channels import smtp
from billing.storage.database import DatabaseUrls

if TYPE_CHECKING:
    from billing.accounts.vat_consultations import Register
    from billing.ledger.root_files import Keeping

INSTANCE = Path(__file__).resolve().parents[1] / "instance"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_MAX_PER_MINUTE = 1_000_000
_MAX_WEBHOOK_SECRETS = 2


class Unsafe(Exception):
    """The settings cannot be used; the text says which one and what to set."""


@dataclass(frozen=True, kw_only=True)
class PortalConfig:
    """Everything the portal reads from its environment.

    `secret_key` signs sessions and forms and seals second factors, `old_secret_keys` are those before it, which still open what
    they sealed; `sandbox_secret` signs the sandbox provider's webhooks and is derived from it.
    """

    database: DatabaseUrls
    secret_key: str = field(repr=False)
    old_secret_keys: tuple[str, ...] = field(default=(), repr=False)  # newest first
    is_staff_mfa_required: bool = False  # operators without a second factor can only set one up
    base_url: str = "http://127.0.0.1:8000"
    is_production: bool = False
    stripe_secret_key: str | None = field(default=None, repr=False)
    stripe_webhook_secret: str | None = field(default=None, repr=False)  # or two, with a comma, while one is rolled
    stripe_api_base: str | None = None  # another address of Stripe's API, for a compatible server in tests
    vies_url: str | None = None  # another address of VIES, such as a mirror
    has_sandbox: bool = True
    runs_scheduler: bool = False
    is_testing: bool = False
    trusted_hosts: tuple[str, ...] = ()
    # Mail: by `smtp_url`, else into files of `mail_folder`, else none at all.
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = "Plumbline <plumbline@localhost.localdomain>"
    mail_folder: Path | None = None
    smtp_timeout_s: int = 10
    signing_key_file: Path | None = None  # 64 hex digits; outside production made at first use in `instance/`
    roots_dir: Path | None = None  # where signed roots are written as files; by default `roots` beside the signing key
    # An issuer of bearer tokens for the API: its name, what its tokens call us, and where its keys are (a URL or a file).
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_jwks: str | None = None
    api_reads_per_minute: int = 600  # of one caller, over all processes
    api_writes_per_minute: int = 300

    def __post_init__(self) -> None:
        if urlsplit(self.base_url).scheme not in ("http", "https"):
            raise Unsafe("PLUMBLINE_BASE_URL must start with http:// or https://")
        if self.vies_url is not None and urlsplit(self.vies_url).scheme not in ("http", "https"):
            raise Unsafe("PLUMBLINE_VIES_URL must start with http:// or https://")
        self._check_stripe()
        if len({bool(self.jwt_issuer), bool(self.jwt_audience), bool(self.jwt_jwks)}) > 1:
            raise Unsafe(
                "PLUMBLINE_JWT_ISSUER, PLUMBLINE_JWT_AUDIENCE and PLUMBLINE_JWT_JWKS go together: set all or none"
            )
        if not (0 < self.api_reads_per_minute <= _MAX_PER_MINUTE and 0 < self.api_writes_per_minute <= _MAX_PER_MINUTE):
            raise Unsafe("PLUMBLINE_API_READS_PER_MINUTE and PLUMBLINE_API_WRITES_PER_MINUTE are from 1 to 1,000,000")
        self._check_mail()
        if not self.is_production:
            return
        if self.signing_key_file is None:
            raise Unsafe("in production PLUMBLINE_SIGNING_KEY_FILE must name the file of the signing key")
        if self.jwt_jwks and self.jwt_jwks.startswith("http://"):
            raise Unsafe("in production PLUMBLINE_JWT_JWKS must be an https address or a file")
        if not self.base_url.startswith("https://"):
            raise Unsafe("in production PLUMBLINE_BASE_URL must be an https address")
        if len(self.secret_key) < 32:
            raise Unsafe("in production PLUMBLINE_SECRET_KEY must have at least 32 characters")
        if self.has_sandbox:
            raise Unsafe("in production the sandbox provider must be off: set PLUMBLINE_SANDBOX=0")

    def _check_stripe(self) -> None:
        if self.stripe_secret_key and not self.stripe_webhook_secret:
            raise Unsafe("STRIPE_SECRET_KEY is set without STRIPE_WEBHOOK_SECRET: payments could not be confirmed")
        if len(self.stripe_webhook_secrets) > _MAX_WEBHOOK_SECRETS or (
            self.stripe_webhook_secret and not all(self.stripe_webhook_secrets)
        ):
            raise Unsafe("STRIPE_WEBHOOK_SECRET is one secret, or while one takes the place of another two: new,old")

    def _check_mail(self) -> None:
        try:
            server = smtp.read_url(self.smtp_url) if self.smtp_url else None
        except ValueError as reason:
            raise Unsafe(f"PLUMBLINE_SMTP_URL cannot be used: {reason}") from None
        try:
            _, address = parse_sender(self.mail_from)
        except Invalid:
            raise Unsafe("PLUMBLINE_MAIL_FROM must be one address: Billing <billing@example.com>") from None
        if not 1 <= self.smtp_timeout_s <= 60:
            raise Unsafe("PLUMBLINE_SMTP_TIMEOUT_S is from 1 to 60 seconds")
        if not self.is_production:
            return
        if self.mail_folder is not None:
            raise Unsafe(
                "in production mails do not go into files, where links that let people in could be read: unset PLUMBLINE_MAIL"
            )
        if server is not None and not server.is_private:
            raise Unsafe(
                "in production PLUMBLINE_SMTP_URL must be encrypted: smtps://, or smtp:// with ?starttls=required"
            )
        if server is not None and address.endswith(".localdomain"):
            raise Unsafe("in production PLUMBLINE_MAIL_FROM must be set: Billing <billing@example.com>")

    @property
    def stripe_webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that Stripe may sign events with: one, or two for the time in which one takes the place of the other."""
        return (
            tuple(part.strip() for part in (self.stripe_webhook_secret or "").split(","))
            if self.stripe_webhook_secret
            else ()
        )

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the portal by https."""
        return self.base_url.startswith("https://")

    @property
    def link_key(self) -> bytes:
        """What the links of invitations and resets are derived with (`accounts.links`); known only to whoever knows `secret_key`."""
        return hmac.new(self.secret_key.encode(), b"plumbline access links 1", hashlib.sha256).digest()

    @property
    def signing_key_path(self) -> Path:
        """Where the signing key lies. Outside production it is made when it is missing."""
        if self.signing_key_file is not None:
            return self.signing_key_file
        from billing.storage import signing  # loads cryptography, which a start can do without

        path = INSTANCE / "signing_key"
        signing.make_file(path)
        return path

    def keeping(self) -> "Keeping":
        """Where the signing key and the files of signed roots are."""
        from billing.ledger.root_files import Keeping  # loads the tables, which a start can do without

        key_path = self.signing_key_path
        return Keeping(key_path=key_path, folder=self.roots_dir or key_path.parent / "roots")

    @property
    def vat_register(self) -> "Register":
        """Where VAT ids are asked about."""
        from billing.accounts import vies  # loads what speaks http, which a start can do without

        return vies.Vies(self.vies_url or vies.BASE_URL)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names the portal answers to; any other Host header is refused."""
        own = urlsplit(self.base_url).hostname or "localhost"
        local = () if self.is_production else _LOCAL_HOSTS
        return (own, *self.trusted_hosts, *local)


def database_urls(environ: Mapping[str, str] | None = None) -> DatabaseUrls:
    """DATABASE_URL and the two other roles; without it SQLite in `instance/plumbline.db`."""
    environ = os.environ if environ is None else environ
    web = environ.get("DATABASE_URL") or f"sqlite:///{INSTANCE / 'plumbline.db'}"
    return DatabaseUrls(
        web=web, jobs=environ.get("PLUMBLINE_JOBS_URL") or None, owner=environ.get("PLUMBLINE_OWNER_URL") or None
    )


def parse_sender(text: str) -> tuple[str, str]:
    """(name, address) of "Billing <billing@example.com>" or of the address alone. Raises Invalid."""
    name, bracket, rest = text.strip().rpartition("<")
    if bracket and not rest.endswith(">"):
        raise Invalid(field="mail_from", value=names.shown(text), reason="not_an_address")
    address = names.require_email(rest[:-1] if bracket else text, "mail_from")
    if not address.isascii():
        raise Invalid(field="mail_from", value=names.shown(text), reason="not_an_address")
    return names.require_name(name.strip(' "') or "Plumbline", "mail_from"), address


def from_environment(environ: Mapping[str, str] | None = None) -> PortalConfig:
    """Read and check the settings. Raises Unsafe with a sentence that says what to set."""
    environ = os.environ if environ is None else environ
    is_production = environ.get("PLUMBLINE_ENV", "development") == "production"
    secret_key = environ.get("PLUMBLINE_SECRET_KEY", "")
    if not secret_key:
        if is_production:
            raise Unsafe("in production PLUMBLINE_SECRET_KEY must be set")
        secret_key = _development_secret()
    smtp_url = environ.get("PLUMBLINE_SMTP_URL") or None
    mail = environ.get("PLUMBLINE_MAIL", "").strip()
    return PortalConfig(
        database=database_urls(environ),
        secret_key=secret_key,
        old_secret_keys=tuple(environ.get("PLUMBLINE_SECRET_KEY_OLD", "").split()),
        is_staff_mfa_required=_choice(
            environ,
            "PLUMBLINE_STAFF_MFA",
            ("optional", "required"),
            default="required" if is_production else "optional",
        )
        == "required",
        base_url=environ.get("PLUMBLINE_BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        is_production=is_production,
        stripe_secret_key=environ.get("STRIPE_SECRET_KEY") or None,
        stripe_webhook_secret=environ.get("STRIPE_WEBHOOK_SECRET") or None,
        stripe_api_base=environ.get("PLUMBLINE_STRIPE_API_BASE") or None,
        vies_url=environ.get("PLUMBLINE_VIES_URL") or None,
        has_sandbox=_flag(environ, "PLUMBLINE_SANDBOX", default=not is_production),
        runs_scheduler=_flag(environ, "PLUMBLINE_SCHEDULER", default=False),
        trusted_hosts=tuple(environ.get("PLUMBLINE_TRUSTED_HOSTS", "").split()),
        smtp_url=smtp_url,
        mail_from=environ.get("PLUMBLINE_MAIL_FROM") or PortalConfig.mail_from,
        mail_folder=_mail_folder(mail, has_server=smtp_url is not None, is_production=is_production),
        smtp_timeout_s=_number(environ, "PLUMBLINE_SMTP_TIMEOUT_S", default=10),
        signing_key_file=Path(path) if (path := environ.get("PLUMBLINE_SIGNING_KEY_FILE")) else None,
        roots_dir=Path(path) if (path := environ.get("PLUMBLINE_ROOTS_DIR")) else None,
        jwt_issuer=environ.get("PLUMBLINE_JWT_ISSUER") or None,
        jwt_audience=environ.get("PLUMBLINE_JWT_AUDIENCE") or None,
        jwt_jwks=environ.get("PLUMBLINE_JWT_JWKS") or None,
        api_reads_per_minute=_number(environ, "PLUMBLINE_API_READS_PER_MINUTE", default=600),
        api_writes_per_minute=_number(environ, "PLUMBLINE_API_WRITES_PER_MINUTE", default=300),
    )


def _mail_folder(text: str, *, has_server: bool, is_production: bool) -> Path | None:
    """Where mails are written as files; None when a server takes them, or when there are to be none."""
    if text == "off":
        return None
    if text:
        if not text.startswith("file:") or not text[5:]:
            raise Unsafe("PLUMBLINE_MAIL is file:FOLDER or off")
        if has_server:
            raise Unsafe("PLUMBLINE_MAIL=file: and PLUMBLINE_SMTP_URL exclude each other: set one of them")
        return Path(text[5:])
    if has_server:
        return None
    if is_production:
        raise Unsafe("in production set PLUMBLINE_SMTP_URL, or PLUMBLINE_MAIL=off to tell nobody anything by e-mail")
    return INSTANCE / "mail"


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in ("", "0", "1", "true", "false", "yes", "no"):
        return default if text == "" else text in ("1", "true", "yes")
    raise Unsafe(f"{name} must be 0 or 1")


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...], *, default: str) -> str:
    text = environ.get(name, "").strip().lower() or default
    if text not in choices:
        raise Unsafe(f"{name} must be {' or '.join(choices)}")
    return text


def _number(environ: Mapping[str, str], name: str, *, default: int) -> int:
    text = environ.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unsafe(f"{name} must be a whole number")
    return int(text) if text else default


def _development_secret() -> str:
    """A secret of this checkout, the same for every worker process and restart."""
    path = INSTANCE / "secret_key"
    INSTANCE.mkdir(exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()
