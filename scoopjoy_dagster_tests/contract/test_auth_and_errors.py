"""Who may call, and what an error looks like: status, `exc_type` and `_server_messages`, by which answers are classified."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from .lines import V15
from .marks import only_v16

if TYPE_CHECKING:
    from .books import Books
    from .site import Caller, Site

WHO = "/api/method/frappe.auth.get_logged_user"


def test_a_token_of_key_and_secret_names_its_user(robot: Caller, cashier: Caller) -> None:
    assert robot.call("GET", WHO).value == robot.user
    assert cashier.call("GET", WHO).value == cashier.user


def test_the_same_key_and_secret_work_as_basic_authorization(robot: Caller) -> None:
    pair = str(robot.authorization).removeprefix("token ").encode()
    basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    assert robot.call("GET", WHO, headers=basic).value == robot.user


@pytest.mark.parametrize("broken", ["bad secret", "unknown key", "no colon", "unknown prefix"])
def test_wrong_credentials_are_401_authentication_error(site: Site, broken: str) -> None:
    pair = str(site.robot.authorization).removeprefix("token ")
    sent = {
        "bad secret": f"token {pair.split(':')[0]}:wrong",
        "unknown key": "token 0123456789abcde:0123456789abcde",
        "no colon": "token justonepart",
        "unknown prefix": f"Wrong {pair}",
    }[broken]
    answer = site.guest.call("GET", WHO, headers={"Authorization": sent}).refused(401, "AuthenticationError")
    if site.line != V15:
        assert answer.body == {"exc_type": "AuthenticationError"}


def test_the_key_of_a_disabled_user_is_refused_since_v16(site: Site) -> None:
    leaving = site.hire("leaving", ["Sales User"])
    site.owner.put("User", leaving.user, enabled=0).accepted()
    answer = leaving.call("GET", WHO)
    if site.line == V15:
        assert answer.value == leaving.user
    else:
        answer.refused(401, "AuthenticationError")


@pytest.mark.parametrize("path", [WHO, "/api/resource/Customer"])
def test_no_credentials_are_403_permission_error_not_401(site: Site, path: str) -> None:
    site.guest.call("GET", path).refused(403, "PermissionError")


def test_ping_answers_without_credentials(site: Site) -> None:
    assert site.guest.call("GET", "/api/method/ping").value == "pong"


def test_a_missing_role_is_403_permission_error(limited: Caller, books: Books, franchise: str) -> None:
    limited.page("Journal Entry", ["name"]).refused(403, "PermissionError")
    limited.insert("Journal Entry", **books.royalty(franchise)).refused(403, "PermissionError")
    limited.get("Customer", franchise).refused(403, "PermissionError")


def test_since_v16_who_may_not_read_is_not_told_whether_a_document_exists(
    limited: Caller, line: str, books: Books
) -> None:
    answer = limited.get("Journal Entry", f"{books.prefix} nowhere")
    answer.refused(*(404, "DoesNotExistError") if line == V15 else (403, "PermissionError"))


def test_since_v16_tracebacks_are_for_users_of_the_desk(site: Site, robot: Caller, limited: Caller) -> None:
    told = {"exc", "exception"}
    for caller in (robot, limited, site.guest):
        answer = caller.rpc("sjc_no_such_app.some.method").refused(417, "ValidationError")
        expected = told if caller is robot or site.line == V15 else set()
        assert told & set(answer.body) == expected


@only_v16
def test_messages_are_html_in_which_signs_are_escaped(robot: Caller, books: Books) -> None:
    answer = robot.get("Customer", f"{books.prefix} <nowhere> & more").refused(404, "DoesNotExistError")
    assert "&amp;" in answer.body["_server_messages"]


@only_v16
def test_no_answer_is_to_be_kept_and_a_refusal_says_where_to_authenticate(site: Site) -> None:
    refused = site.guest.call("GET", WHO)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "no-store" in refused.headers["Cache-Control"]
    assert "no-store" in site.robot.call("GET", WHO).headers["Cache-Control"]


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_a_missing_document_is_404_for_every_verb(robot: Caller, books: Books, verb: str) -> None:
    body = {"customer_details": "x"} if verb == "PUT" else None
    answer = robot.call(verb, f"/api/resource/Customer/{books.prefix}%20nowhere", json=body)
    answer.refused(404, "DoesNotExistError")


def test_a_missing_document_is_named_in_the_message(robot: Caller, books: Books) -> None:
    answer = robot.get("Customer", f"{books.prefix} nowhere").refused(404, "DoesNotExistError")
    assert f"{books.prefix} nowhere" in answer.messages[0]


def test_the_list_of_an_unknown_doctype_is_404(robot: Caller) -> None:
    robot.page("No Such Doctype", ["name"]).refused(404, "DoesNotExistError")


def test_a_document_of_an_unknown_doctype_is_500_import_error(robot: Caller) -> None:
    robot.get("No Such Doctype", "x").refused(500, "ImportError")
    robot.insert("No Such Doctype", x=1).refused(500, "ImportError")


def test_an_unknown_route_is_404(robot: Caller) -> None:
    robot.call("GET", "/api/nothing/here").refused(404, "DoesNotExistError")


def test_an_unknown_method_is_417_validation_error(robot: Caller) -> None:
    answer = robot.rpc("sjc_no_such_app.some.method").refused(417, "ValidationError")
    assert any("sjc_no_such_app.some.method" in message for message in answer.messages)


def test_a_method_that_is_not_whitelisted_is_403(robot: Caller) -> None:
    method = "erpnext.accounts.doctype.pos_closing_entry.pos_closing_entry.make_closing_entry_from_opening"
    robot.rpc(method).refused(403, "PermissionError")


def test_a_writing_method_called_with_get_is_403(robot: Caller) -> None:
    answer = robot.call("GET", "/api/method/frappe.client.submit", params={"doc": "{}"})
    answer.refused(403, "PermissionError")


def test_a_customer_without_a_name_is_417_mandatory_error_and_since_v16_500(robot: Caller, line: str) -> None:
    answer = robot.insert("Customer")
    answer.refused(*(417, "MandatoryError") if line == V15 else (500, "AttributeError"))


def test_a_customer_in_a_group_that_has_groups_below_is_refused_since_v16(
    robot: Caller, line: str, books: Books
) -> None:
    answer = robot.insert("Customer", **books.customer_body("In The Parent", books.franchises))
    if line == V15:
        assert answer.value["customer_group"] == books.franchises
    else:
        answer.refused(417, "ValidationError")


def test_a_value_outside_a_select_is_417_validation_error(robot: Caller, books: Books) -> None:
    body = books.customer_body("Alien", customer_type="Alien")
    answer = robot.insert("Customer", **body).refused(417, "ValidationError")
    assert any("Alien" in message for message in answer.messages)


def test_a_bad_date_is_417_validation_error(robot: Caller, books: Books, franchise: str) -> None:
    body = books.invoice(franchise, posting_date="notadate")
    robot.insert("Sales Invoice", **body).refused(417, "ValidationError")


def test_a_link_to_nothing_is_417_link_validation_error(robot: Caller, books: Books) -> None:
    body = books.customer_body("Lost", f"{books.prefix} no such group")
    answer = robot.insert("Customer", **body).refused(417, "LinkValidationError")
    assert f"{books.prefix} no such group" in answer.messages[0]


def test_a_name_that_is_taken_is_409_duplicate_entry_error(robot: Caller, books: Books) -> None:
    again = {"mode_of_payment": books.mode, "type": "Cash"}
    answer = robot.insert("Mode of Payment", **again).refused(409, "DuplicateEntryError")
    assert books.mode in answer.messages[0]


def test_deleting_a_linked_document_is_417_link_exists_error(
    robot: Caller, keeper: Caller, books: Books
) -> None:
    customer = books.customer(robot, "Linked")
    robot.insert("Sales Invoice", **books.invoice(customer), docstatus=1).accepted()
    keeper.delete("Customer", customer).refused(417, "LinkExistsError")


def test_malformed_json_is_500_json_decode_error_and_since_v16_417_data_error(
    robot: Caller, line: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = robot.call("POST", "/api/resource/Customer", data=b'{"customer_name": ', headers=headers)
    answer.refused(*(500, "JSONDecodeError") if line == V15 else (417, "DataError"))


def test_malformed_filters_are_500_json_decode_error(robot: Caller) -> None:
    answer = robot.call("GET", "/api/resource/Customer", params={"filters": '[["broken"'})
    answer.refused(500, "JSONDecodeError")


def test_a_json_array_is_no_document(robot: Caller) -> None:
    robot.call("POST", "/api/resource/Customer", json=[1, 2]).refused(500, "TypeError")


def test_an_error_is_json_unless_html_is_asked_for(robot: Caller, books: Books) -> None:
    path = f"/api/resource/Customer/{books.prefix}%20nowhere"
    assert robot.call("GET", path, headers={"Accept": "*/*"}).exc_type == "DoesNotExistError"
    page = robot.call("GET", path, headers={"Accept": "text/html"})
    assert (page.status, page.body) == (404, None)
    assert page.headers["Content-Type"].startswith("text/html")
