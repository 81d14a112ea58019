"""Bearer tokens: only what the configured issuer signed, for us, now, for that tenant. The issuer is a real HTTP server."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask
from werkzeug.test import TestResponse

from billing.accounts import directory
from billing.storage.database import Database
from portal import create_app
from portal.api import key_sets
from portal.config import PortalConfig, Unsafe, from_environment
from portal.services import Services
from tests.web import operators
from tests.web.api.machines import Machine, problem
from tests.web.operators import House

ISSUER, AUDIENCE = "https://id.example", "plumbline"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  refused for its length
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def jwk(key: Any, kid: str, algorithm: str) -> dict[str, Any]:
    maker = jwt.get_algorithm_by_name(algorithm)
    return json.loads(maker.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}


@dataclass
class KeyServer:
    """What an identity provider serves at its JWKS address."""

    keys: list[dict[str, Any]]
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def body(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    served = KeyServer(
        [
            jwk(RSA, "rsa-1", "RS256"),
            jwk(EC, "ec-1", "ES256"),
            jwk(ED, "ed-1", "EdDSA"),
            jwk(SHORT_RSA, "short", "RS256"),
            {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(b"k" * 32).decode(), "alg": "HS256"},
            jwk(RSA, "for-encryption", "RS256") | {"use": "enc"},
        ]
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.send_response(served.status)
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/keys"
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def portal(app: Flask, database: Database, key_server: KeyServer) -> Iterator[Flask]:
    House(app, database).account("calla")
    House(app, database).account("taifl")
    config: PortalConfig = app.extensions["plumbline"].config
    made = create_app(replace(config, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks=key_server.url))
    yield made
    services: Services = made.extensions["plumbline"]
    services.database.dispose()


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "robot-7", "iat": now, "exp": now + 300, "tenant": "calla",
        "scope": "billing.read openid",
    }  # fmt: skip
    return {name: value for name, value in (found | more).items() if value is not None}


def signed(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa-1", **more: Any) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers=headers)


def ask(portal: Flask, token: str, path: str = "/billing/balance", **query: str) -> TestResponse:
    return Machine(portal.test_client(), token).get(path, **query)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "rsa-1"), (EC, "ES256", "ec-1"), (ED, "EdDSA", "ed-1")]
)
def test_a_token_speaks_for_its_tenant_with_its_scopes(portal: Flask, key: Any, algorithm: str, kid: str) -> None:
    answer = ask(portal, signed(key, algorithm, kid))
    assert (answer.status_code, answer.json["account"]) == (200, "calla")
    refused = Machine(portal.test_client(), signed(key, algorithm, kid)).post("/billing/usage:ingest", [])
    assert problem(refused)[:2] == (403, "insufficient_scope")
    assert problem(ask(portal, signed(key, algorithm, kid), account="taifl"))[:2] == (404, "not_found")


def test_the_tenant_may_be_named_by_its_id(portal: Flask, database: Database) -> None:
    with database.reading() as session:
        tenant_id = directory.get_account_by_code(session, "taifl").tenant_id
    assert ask(portal, signed(tenant=tenant_id)).json["account"] == "taifl"


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def with_public_key_as_secret() -> str:
    """HS256 with the public key's text as its secret: taken by whoever lets the token choose the algorithm."""
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = unsigned({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"}, claims()).rpartition(".")[0]
    signature = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


HOSTILE = {
    "payload changed": lambda: payload_changed(),  # noqa: PLW0108  defined below
    "alg none": lambda: unsigned({"alg": "none"}, claims()) + "x",
    "alg none without signature": lambda: unsigned({"alg": "none"}, claims()),
    "HS256 with the public key": with_public_key_as_secret,
    "HS256 with a shared key of the set": lambda: jwt.encode(
        claims(), "k" * 32, algorithm="HS256", headers={"kid": "shared"}
    ),
    "another key": lambda: signed(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "the algorithm of another key": lambda: signed(EC, "ES256", "rsa-1"),
    "RS512": lambda: signed(RSA, "RS512"),
    "PS256": lambda: signed(RSA, "PS256"),
    "short key": lambda: signed(SHORT_RSA, kid="short"),
    "key for encryption": lambda: signed(kid="for-encryption"),
    "unknown key": lambda: signed(kid="rsa-2"),
    "no key id among several": lambda: signed(kid=None),
    "path in the key id": lambda: signed(kid="../../../../dev/null"),
    "SQL in the key id": lambda: signed(kid="x' OR 1=1 --"),
    "another issuer": lambda: signed(iss="https://evil.example"),
    "no issuer": lambda: signed(iss=None),
    "another audience": lambda: signed(aud="somebody"),
    "no audience": lambda: signed(aud=None),
    "expired": lambda: signed(exp=int(time.time()) - 61, iat=int(time.time()) - 400),
    "never expires": lambda: signed(exp=None),
    "expires in words": lambda: signed(exp="tomorrow"),
    "not yet": lambda: signed(nbf=int(time.time()) + 120),
    "made in the future": lambda: signed(iat=int(time.time()) + 120),
    "no time": lambda: signed(iat=None),
    "no tenant": lambda: signed(tenant=None),
    "nobody's tenant": lambda: signed(tenant="nobody"),
    "tenant in a list": lambda: signed(tenant=["calla", "taifl"]),
    "NUL in the tenant": lambda: signed(tenant="calla\x00"),
    "a house as tenant": lambda: signed(tenant="house:house"),
    "no subject": lambda: signed(sub=None),
    "scope in a list": lambda: signed(scope=["billing.read"]),
    "key in the header": lambda: jwt.encode(
        claims(), SHORT_RSA, algorithm="RS256", headers={"jwk": jwk(SHORT_RSA, "x", "RS256"), "kid": "rsa-1"}
    ),
    "address of keys in the header": lambda: jwt.encode(
        claims(), SHORT_RSA, algorithm="RS256", headers={"jku": "https://evil.example/keys", "kid": "rsa-1"}
    ),
    "huge": lambda: signed(filler="x" * 8192),
    "cut": lambda: signed()[:-8],
    "no token at all": lambda: "eyeyey",
}


def payload_changed() -> str:
    head, _, signature = signed().split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims(tenant="taifl")).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_no_hostile_token_opens_anything(portal: Flask) -> None:
    assert ask(portal, signed()).status_code == 200
    for name, make in HOSTILE.items():
        answer = ask(portal, make())
        assert problem(answer)[:2] == (401, "key_refused"), name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name
    assert ask(portal, signed()).status_code == 200


def test_a_minute_of_difference_between_clocks_is_forgiven(portal: Flask) -> None:
    now = int(time.time())
    assert ask(portal, signed(exp=now - 50, iat=now - 400)).status_code == 200
    assert ask(portal, signed(nbf=now + 50, iat=now + 50)).status_code == 200


def test_a_token_without_a_scope_of_ours_may_nothing(portal: Flask) -> None:
    assert problem(ask(portal, signed(scope="admin finance.read")))[:2] == (403, "insufficient_scope")


def test_keys_are_fetched_once_and_an_unknown_one_asks_again_at_most_every_half_minute(
    portal: Flask, key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert ask(portal, signed()).status_code == 200
    assert len(key_server.asked) == 1
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_server.keys.append(jwk(fresh, "rsa-2", "RS256"))
    for number in range(5):
        assert ask(portal, signed(kid=f"invented-{number}")).status_code == 401
    assert len(key_server.asked) == 1
    monkeypatch.setattr(key_sets, "REFETCH_FLOOR_S", 0)
    assert ask(portal, signed(fresh, kid="rsa-2")).status_code == 200
    assert len(key_server.asked) == 2
    key_server.status = 500
    assert ask(portal, signed(kid="invented")).status_code == 401
    assert ask(portal, signed()).status_code == 200


def test_while_the_issuer_was_never_reached_tokens_wait_and_keys_work(
    portal: Flask, key_server: KeyServer, database: Database
) -> None:
    from tests.web.api.machines import machine

    key_server.status = 503
    answer = ask(portal, signed())
    assert problem(answer)[:2] == (503, "issuer_unreachable")
    assert answer.headers["Retry-After"] == "30"
    assert machine(portal, database, "calla").get("/billing/balance").status_code == 200


def test_without_an_issuer_a_token_is_nothing(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    assert ask(app, signed()).status_code == 401


def test_keys_may_lie_in_a_file_and_one_alone_needs_no_id(app: Flask, database: Database, tmp_path: Path) -> None:
    House(app, database).account("calla")
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(ED, "only", "EdDSA")]}))
    config = replace(app.extensions["plumbline"].config, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks=str(path))
    made = create_app(config)
    assert ask(made, signed(ED, "EdDSA", None)).status_code == 200
    assert ask(made, signed(RSA, kid=None)).status_code == 401
    made.extensions["plumbline"].database.dispose()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PLUMBLINE_JWT_ISSUER": ISSUER}, "set all or none"),
        (
            {
                "PLUMBLINE_ENV": "production",
                "PLUMBLINE_SECRET_KEY": "k" * 40,
                "PLUMBLINE_SIGNING_KEY_FILE": "signing.pem",
                "PLUMBLINE_MAIL": "off",
                "PLUMBLINE_BASE_URL": "https://portal.example",
                "PLUMBLINE_JWT_ISSUER": ISSUER,
                "PLUMBLINE_JWT_AUDIENCE": AUDIENCE,
                "PLUMBLINE_JWT_JWKS": "http://id.example/keys",
            },
            "PLUMBLINE_JWT_JWKS must be an https address or a file",
        ),
        ({"PLUMBLINE_API_READS_PER_MINUTE": "many"}, "must be a whole number"),
        ({"PLUMBLINE_API_WRITES_PER_MINUTE": "0"}, "from 1 to 1,000,000"),
    ],
)
def test_unsafe_settings_are_refused(engine: str, environ: dict[str, str], words: str) -> None:
    with pytest.raises(Unsafe, match=words):
        from_environment({"PLUMBLINE_SECRET_KEY": "k" * 40} | environ)
