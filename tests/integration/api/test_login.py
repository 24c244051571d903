"""The browser's session: a key in a form, a cookie that says nothing, an end."""

import pytest
from sqlalchemy import text

from fontanelle.records.keys import Role
from service.api.auth import COOKIE
from tests.integration.api.house import House


def test_a_key_in_the_form_opens_the_pages(house: House) -> None:
    client = house.client()

    answer = client.post("/login", data={"key": house.key(Role.READ, name="Dr Ada")})

    assert (answer.status_code, answer.headers["location"]) == (303, "/analyses")
    assert "Dr Ada, read" in client.get("/analyses").text


def test_the_cookie_is_closed_to_scripts_and_other_sites_and_its_secret_is_not_kept(
    house: House,
) -> None:
    answer = house.client().post("/login", data={"key": house.key(Role.READ)})

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie  # plain HTTP on loopback
    with house.records.begin() as session:
        kept = session.execute(text("SELECT digest FROM browser_session")).scalars().all()
    assert len(kept) == 1 and kept[0] not in cookie and answer.cookies[COOKIE] not in kept


def test_behind_tls_the_cookie_is_sent_by_tls_only(house: House) -> None:
    client = house.client()
    client.base_url = "https://fontanelle.example"  # type: ignore[assignment]

    assert (
        "Secure" in client.post("/login", data={"key": house.key(Role.READ)}).headers["set-cookie"]
    )


def test_a_wrong_key_is_told_so_without_being_repeated(house: House) -> None:
    answer = house.client().post("/login", data={"key": "ZZWRONG"})

    assert answer.status_code == 403
    assert "not known" in answer.text and "ZZWRONG" not in answer.text
    assert "set-cookie" not in answer.headers


def test_after_the_login_one_is_where_one_wanted_to_be(house: House) -> None:
    client = house.client()
    asked = client.get("/analyses/7").headers["location"]

    assert asked == "/login?next=/analyses/7"
    assert 'value="/analyses/7"' in client.get(asked).text
    answer = client.post("/login", data={"key": house.key(Role.READ), "next": "/analyses/7"})
    assert answer.headers["location"] == "/analyses/7"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_the_login_leads_to_no_other_site(house: House, path: str) -> None:
    answer = house.client().post("/login", data={"key": house.key(Role.READ), "next": path})

    assert answer.headers["location"] == "/analyses"


def test_who_logs_out_is_out_also_with_the_old_cookie(house: House) -> None:
    client = house.client()
    secret = client.post("/login", data={"key": house.key(Role.READ)}).cookies[COOKIE]

    assert client.post("/logout").headers["location"] == "/login"

    again = house.client().get("/api/v1/analyses", headers={"Cookie": f"{COOKIE}={secret}"})
    assert again.status_code == 401


def test_a_session_ends_with_its_hours(house: House) -> None:
    client = house.client()
    client.post("/login", data={"key": house.key(Role.READ)})
    with house.records.begin() as session:
        session.execute(text("UPDATE browser_session SET expires_at = now() - interval '1 s'"))

    assert client.get("/api/v1/analyses").status_code == 401
    assert client.get("/analyses").headers["location"] == "/login?next=/analyses"
