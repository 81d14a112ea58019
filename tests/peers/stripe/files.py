"""Files: uploads by multipart form, here evidence for disputes. https://docs.stripe.com/api/files"""

import hashlib
from email.parser import BytesParser
from email.policy import HTTP

from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import InvalidParameter, Unstarted
from tests.peers.stripe.params import Params, needed, text
from tests.peers.stripe.route import Route

MOST = 5 * 1024 * 1024
_TYPES = {b"%PDF": "pdf", b"\xff\xd8\xff": "jpg", b"\x89PNG": "png"}


def read(content_type: str, body: bytes) -> Params:
    """The parts of a multipart form; a file as "hash:size:first bytes:name". Raises Unstarted(400)."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        raise Unstarted(400, "Invalid multipart form.")
    params: Params = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        filename = part.get_filename()
        if filename is None:
            params[str(name)] = content.decode()
        else:
            params[str(name)] = f"{hashlib.sha256(content).hexdigest()}:{len(content)}:{content[:4].hex()}:{filename}"
    return params


def create(account: Account, params: Params) -> Item:
    """POST /v1/files."""
    purpose = needed(params, "purpose")
    sha256, size, start, filename = needed(params, "file").split(":", 3)
    if purpose != "dispute_evidence":
        raise InvalidParameter(f"Invalid purpose: {purpose}", param="purpose")
    kind = next((name for first, name in _TYPES.items() if bytes.fromhex(start).startswith(first)), None)
    if kind is None:
        raise InvalidParameter("Unsupported file type: only PDF, JPEG and PNG.", param="file")
    if int(size) > MOST:
        raise InvalidParameter(f"The file may have at most {MOST} bytes.", param="file")
    return account.add(
        "file",
        "file",
        {
            "expires_at": account.clock.now() + 240 * 86_400,
            "filename": filename,
            "links": {"object": "list", "data": [], "has_more": False, "url": "/v1/file_links"},
            "purpose": purpose,
            "size": int(size),
            "title": None,
            "type": kind,
            "url": f"{account.base_url}/v1/files/contents",
            "_sha256": sha256,
        },
    )


def retrieve(account: Account, params: Params, file_id: str) -> Item:
    """GET /v1/files/{id}."""
    return account.get("file", file_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/files, by purpose."""
    purpose = text(params, "purpose")
    return Page([item for item in account.all("file") if purpose in (None, item["purpose"])])


ROUTES = [
    Route("POST", "/v1/files", create, "purpose file"),
    Route("GET", "/v1/files", list_all, "purpose created"),
    Route("GET", "/v1/files/{file_id}", retrieve),
]
