"""A Host header that is not ours gets plain words and no page: links made under it would lead elsewhere."""

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "evil.example:80", ""]
)
def test_a_foreign_host_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/sign-in", headers={"Host": host})
    assert answer.status_code == 400
    assert b"<" not in answer.data
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_our_own_host_is_served(client: FlaskClient) -> None:
    assert client.get("/sign-in", headers={"Host": "localhost"}).status_code == 200
