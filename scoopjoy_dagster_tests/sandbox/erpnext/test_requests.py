"""Authentication, error bodies, switches of the site."""

from __future__ import annotations

import json

import pytest

from scoopjoy_dagster.sandbox.erpnext import Credentials, RateLimit
from scoopjoy_dagster.sandbox.seed import OUTLETS
from scoopjoy_dagster_tests.sandbox.erpnext.conftest import Client, journal_entry

KEYS = "/api/method/frappe.core.doctype.user.user.generate_keys"


def test_a_key_is_known_by_token_and_by_basic_and_a_wrong_secret_is_401(world, robot):
    assert robot.get("/api/method/frappe.auth.get_logged_user") == "robot@scoopjoy.example"
    basic = Client(world.url, None)
    basic.http.auth = (world.robot.api_key, world.robot.api_secret)
    assert basic.get("/api/method/frappe.auth.get_logged_user") == "robot@scoopjoy.example"
    basic.http.auth = (world.robot.api_key, "wrong")
    assert basic.refused("GET", "/api/resource/Customer") == (401, "AuthenticationError")


def test_a_disabled_users_key_goes_on_working(world):
    user = "sales.head@scoopjoy.example"
    owner = Client(world.url, world.administrator)
    owner.put(f"/api/resource/User/{user}", {"enabled": 0})
    assert Client(world.url, world.credentials(user)).get("/api/method/frappe.auth.get_logged_user") == user


def test_generated_keys_replace_the_old_secret_and_keep_the_key(world):
    user = "sales.head@scoopjoy.example"
    owner, old = Client(world.url, world.administrator), world.credentials(user)
    assert owner.get(f"/api/resource/User/{user}")["api_key"] == old.api_key
    assert set(owner.post(KEYS, {"user": user})) == {"api_secret"}
    new = world.credentials(user)
    assert (new.api_key, new.api_secret != old.api_secret) == (old.api_key, True)
    assert Client(world.url, new).get("/api/method/frappe.auth.get_logged_user") == user
    assert Client(world.url, old).refused("GET", "/api/resource/Customer") == (401, "AuthenticationError")


def test_a_user_without_a_key_is_given_one(world):
    owner = Client(world.url, world.administrator)
    user = owner.post("/api/resource/User", {"email": "new@scoopjoy.example", "first_name": "New"})["name"]
    assert "api_key" not in owner.get(f"/api/resource/User/{user}")
    secret = owner.post(KEYS, {"user": user})["api_secret"]
    key = owner.get(f"/api/resource/User/{user}")["api_key"]
    assert (len(key), len(secret)) == (15, 15)
    assert Client(world.url, Credentials(user, key, secret)).get("/api/method/ping") == "pong"


def test_keys_are_generated_by_post_and_by_system_managers_only(world, robot):
    body = {"user": "robot@scoopjoy.example"}
    cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
    assert cashier.refused("POST", KEYS, body) == (403, "PermissionError")
    assert Client(world.url, None).refused("POST", KEYS, body) == (403, "PermissionError")
    assert robot.refused("GET", KEYS, **body) == (403, "PermissionError")
    assert robot.refused("POST", KEYS, {"user": "nobody"}) == (404, "DoesNotExistError")


def test_without_a_header_only_guest_methods_answer(world):
    guest = Client(world.url, None)
    assert guest.get("/api/method/frappe.client.get_time_zone") == {"time_zone": "Asia/Kolkata"}
    assert guest.refused("GET", "/api/resource/Customer") == (403, "PermissionError")
    assert guest.refused("GET", "/api/method/frappe.auth.get_logged_user") == (403, "PermissionError")


def test_an_error_loses_its_traceback_when_the_site_forbids_it(world, robot):
    world.settings.allow_error_traceback = False
    body = robot.call("POST", "/api/resource/DocType", {"name": "Thing", "custom": 1}).json()
    assert set(body) == {"exc_type", "_server_messages"}
    assert json.loads(json.loads(body["_server_messages"])[0])["message"].startswith("Error: Value missing")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/api/resource/Nonexistent Thing", None, (404, "DoesNotExistError")),
        ("GET", "/api/resource/Nonexistent Thing/x", None, (500, "ImportError")),
        ("GET", "/api/resource/Customer/No Such", None, (404, "DoesNotExistError")),
        ("DELETE", "/api/resource/Customer/No Such", None, (404, "DoesNotExistError")),
        ("POST", "/api/method/foo.bar.baz", {}, (417, "ValidationError")),
        ("GET", "/api/method/frappe.client.submit", None, (403, "PermissionError")),
        ("POST", "/api/resource/Customer", [1, 2], (500, "TypeError")),
        ("POST", "/api/resource/UOM", {"uom_name": "Nos"}, (403, "PermissionError")),
        ("POST", "/api/resource/Mode of Payment", {"mode_of_payment": "cash"}, (409, "DuplicateEntryError")),
        ("POST", "/api/method/frappe.desk.query_report.run", {}, (501, "SandboxNotImplemented")),
        ("GET", "/api/nothing/here", None, (404, "DoesNotExistError")),
    ],
)
def test_each_failure_has_the_status_and_type_of_a_real_server(robot, method, path, body, expected):
    assert robot.refused(method, path, body) == expected


def test_a_request_line_of_more_than_4094_bytes_is_an_html_400(robot):
    answer = robot.call("GET", "/api/resource/Customer", filters=[["name", "in", ["x" * 40] * 120]])
    assert answer.status_code == 400
    assert "Request Line is too large" in answer.text


def test_maintenance_and_rate_limit_are_refused_before_any_work(world, robot):
    world.settings.rate_limit = RateLimit(1, 60)
    assert robot.call("GET", "/api/method/ping").headers["X-RateLimit-Remaining"] == "0"
    late = robot.call("GET", "/api/method/ping")
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) > 0
    world.settings.rate_limit = None
    world.settings.maintenance = True
    assert robot.refused("GET", "/api/method/ping") == (503, "SessionStopped")
    world.settings.reads_during_maintenance = True
    assert robot.get("/api/method/ping") == "pong"
    assert robot.refused("PUT", "/api/resource/Customer/Walk-in Customer", {}) == (503, "InReadOnlyMode")


def test_files_are_private_or_public_and_a_changed_content_gets_another_name(world, robot):
    def upload(content: bytes, private: int) -> dict[str, object]:
        answer = robot.http.post(
            robot.url + "/api/method/upload_file",
            data={"doctype": "Customer", "docname": "Walk-in Customer", "is_private": private},
            files={"file": ("report.csv", content)},
            timeout=20,
        )
        return answer.json()["message"]

    first, again, other = upload(b"a", 1), upload(b"a", 1), upload(b"b", 1)
    assert first["file_url"] == again["file_url"] == "/private/files/report.csv"
    assert other["file_url"] != first["file_url"]
    assert robot.http.get(robot.url + str(first["file_url"]), timeout=20).content == b"a"
    assert Client(world.url, None).call("GET", str(first["file_url"])).status_code == 403


def test_a_private_file_is_for_its_uploader_and_for_readers_of_a_document_that_it_hangs_on(world, robot):
    cashier = Client(world.url, world.credentials(OUTLETS[0].cashier))
    limited = Client(world.url, world.credentials("limited@scoopjoy.example"))
    entry = robot.post("/api/resource/Journal Entry", journal_entry())["name"]

    def upload(client: Client, doctype: str, name: str, content: bytes) -> str:
        answer = client.http.post(
            client.url + "/api/method/upload_file",
            data={"doctype": doctype, "docname": name, "is_private": 1},
            files={"file": ("statement.pdf", content)},
            timeout=20,
        )
        return str(answer.json()["message"]["file_url"])

    url = upload(robot, "Journal Entry", entry, b"statement")
    assert [who.call("GET", url).status_code for who in (robot, cashier, limited)] == [200, 200, 403]
    nowhere = upload(robot, "Journal Entry", "NOWHERE", b"stray")
    assert [who.call("GET", nowhere).status_code for who in (robot, cashier)] == [200, 403]
    own = upload(limited, "Journal Entry", entry, b"own")
    assert limited.call("GET", own).status_code == 200
    assert robot.call("GET", "/private/files/missing.pdf").status_code == 403


def test_a_shared_document_is_read_by_whom_it_is_shared_with_and_nothing_else(world, robot):
    robot.post("/api/resource/User", {"email": "reader@scoopjoy.example", "first_name": "Reader"})
    reader = Client(world.url, world.credentials("reader@scoopjoy.example"))
    paths = [
        f"/api/resource/Journal Entry/{robot.post('/api/resource/Journal Entry', journal_entry())['name']}"
        for _ in range(2)
    ]
    share = {
        "user": "reader@scoopjoy.example",
        "share_doctype": "Journal Entry",
        "share_name": paths[0].rpartition("/")[2],
        "read": 1,
    }
    assert robot.refused("POST", "/api/resource/DocShare", share | {"write": 1})[0] == 501
    assert reader.refused("GET", paths[0])[0] == 403
    made = robot.post("/api/resource/DocShare", share)["name"]
    assert reader.get(paths[0])["name"] == share["share_name"]
    assert reader.refused("GET", paths[1])[0] == 403
    assert reader.refused("PUT", paths[0], {"user_remark": "mine"})[0] == 403
    assert reader.refused("GET", "/api/resource/Journal Entry") == (501, "SandboxNotImplemented")
    robot.call("DELETE", f"/api/resource/DocShare/{made}")
    assert reader.refused("GET", paths[0])[0] == 403
