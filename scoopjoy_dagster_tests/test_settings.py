"""Every wrong setting is one sentence that names the variable, and never the value of a secret."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest

from scoopjoy_dagster.accounting.money import Rounding
from scoopjoy_dagster.accounting.policy import Base, NegativeDays
from scoopjoy_dagster.settings import Settings, SettingsError, load_settings, variable

SECRET = "sentinel-Zk3v-of-24-bytes-or-more"
NEEDED = {
    "ERPNEXT_URL": "https://erp.example",
    "ERPNEXT_API_KEY": "key",
    "ERPNEXT_API_SECRET": SECRET,
    "SCOOPJOY_GO_LIVE": "2026-01-10",
}
MAIL = {"SMTP_HOST": "mail.example", "SMTP_SENDER": "close@scoopjoy.example"}
VARIABLES = [variable(field) for field in Settings.model_fields]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def refusal(**changes: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings({**NEEDED, **changes})
    text = str(refused.value)
    assert SECRET not in text
    assert "\n" not in text
    assert "pydantic" not in text
    return text


def test_the_defaults_are_those_of_the_policy_and_of_a_site_without_mail_and_headquarters() -> None:
    settings = load_settings(NEEDED)
    assert settings.go_live == date(2026, 1, 10)
    assert settings.default_rate == Decimal(5)
    assert settings.royalty_base is Base.GRAND_TOTAL
    assert settings.rounding is Rounding.HALF_UP
    assert settings.negative_days is NegativeDays.SKIP
    assert settings.franchise_group == "Franchise"
    assert settings.report_role == "ScoopJoy Report Reader"
    assert settings.report_recipients == settings.alert_recipients == ()
    assert (settings.smtp_host, settings.hq_url, settings.company) == ("", "", "")
    assert (settings.smtp_port, settings.smtp_security) == (587, "starttls")
    assert settings.automation == "on"
    assert settings.policy.name == "standard"


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_a_needed_setting_that_is_missing_or_empty_is_one_sentence(
    name: str, empty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other, value in NEEDED.items():
        if other != name:
            monkeypatch.setenv(other, value)
        elif empty:
            monkeypatch.setenv(other, "")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    assert text.startswith(f"{name} is not set: ")
    assert text.count(" is not set") + text.count(" is wrong") == 1
    assert text.endswith(".")
    assert SECRET not in text


def test_without_any_setting_there_is_one_sentence_for_each_needed_one() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    for name in NEEDED:
        assert text.count(f"{name} is not set: ") == 1
    assert text.count(" is not set: ") == len(NEEDED)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ERPNEXT_URL", "erp.example.com", "http:// or https://"),
        ("ERPNEXT_URL", "ftp://erp.example.com", "http:// or https://"),
        ("ERPNEXT_URL", "https://", "http:// or https://"),
        ("ERPNEXT_URL", "https://erp.example/app", "the root address of the site: use https://erp.example ("),
        ("ERPNEXT_URL", "http://erp.example:8000/desk#List", "use http://erp.example:8000 ("),
        ("SCOOPJOY_CLEAR_TEXT_HOSTS", "http://erp.example:8000", "without http:// and port"),
        ("ERPNEXT_URL", f"https://robot:{SECRET}@erp.example.com", "must not carry a user name or password"),
        ("ERPNEXT_URL", "https://robot@erp.example.com", "must not carry a user name or password"),
        ("ERPNEXT_URL", "https://[::1", ""),
        (
            "SCOOPJOY_HQ_URL",
            f"https://robot:{SECRET}@hq.example/in",
            "must not carry a user name or password",
        ),
        ("SCOOPJOY_HQ_URL", "hq.example", "http:// or https://"),
        ("SCOOPJOY_UI_URL", "dagster:3000", "http:// or https://"),
        ("ERPNEXT_CONNECT_TIMEOUT_S", "0", "greater than 0"),
        ("ERPNEXT_CONNECT_TIMEOUT_S", "soon", "number"),
        ("ERPNEXT_READ_TIMEOUT_S", "-1", "greater than 0"),
        ("ERPNEXT_ATTEMPTS", "0", "greater than or equal to 1"),
        ("ERPNEXT_ATTEMPTS", "11", "less than or equal to 10"),
        ("ERPNEXT_ATTEMPTS", "2.5", "integer"),
        ("SCOOPJOY_GO_LIVE", "10.01.2026", "date"),
        ("SCOOPJOY_GO_LIVE", "2026-02-30", "date"),
        ("SCOOPJOY_DEFAULT_RATE", "-1", "greater than or equal to 0"),
        ("SCOOPJOY_DEFAULT_RATE", "101", "less than or equal to 100"),
        ("SCOOPJOY_DEFAULT_RATE", "5%", "decimal"),
        ("SCOOPJOY_DEFAULT_RATE", "NaN", ""),
        ("SCOOPJOY_ROYALTY_BASE", "gross", "grand_total"),
        ("SCOOPJOY_ROUNDING", "up", "half_up"),
        ("SCOOPJOY_NEGATIVE_DAYS", "post", "skip"),
        ("SCOOPJOY_CLOSING_DEADLINE_S", "0", "greater than 0"),
        ("SCOOPJOY_CLOSE_AT", "1", "HH:MM"),
        ("SCOOPJOY_CLOSE_AT", "01:00:00", "HH:MM"),
        ("SCOOPJOY_CLOSE_AT", "24:00", "HH:MM"),
        ("SCOOPJOY_DAY_ENDS_AT", "3:00", "HH:MM"),
        ("SCOOPJOY_DAY_ENDS_AT", "03:60", "HH:MM"),
        ("SCOOPJOY_DAY_ENDS_AT", "10800", "HH:MM"),
        ("SCOOPJOY_LOOKBACK_DAYS", "0", "greater than or equal to 1"),
        ("SCOOPJOY_LOOKBACK_DAYS", "93", "less than or equal to 92"),
        ("SMTP_PORT", "0", "greater than or equal to 1"),
        ("SMTP_PORT", "65536", "less than or equal to 65535"),
        ("SMTP_SECURITY", "ssl", "starttls"),
        ("SMTP_EHLO_NAME", "our relay", ""),
        ("SCOOPJOY_REPORT_RECIPIENTS", "asha@scoopjoy.example, ravi", "e-mail addresses"),
        ("SCOOPJOY_ALERT_RECIPIENTS", "everybody", "e-mail addresses"),
        ("SCOOPJOY_AUTOMATION", "yes", "'on' or 'off'"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_variable(name: str, value: str, says: str) -> None:
    text = refusal(**{name: value})
    assert text.startswith(f"{name} is wrong: ")
    assert text.count(" is wrong: ") == 1
    assert text.endswith(").")
    assert says in text


@pytest.mark.parametrize("name", ["ERPNEXT_API_KEY", "ERPNEXT_API_SECRET"])
def test_a_line_break_in_a_key_is_a_wrong_setting_and_not_a_broken_answer_of_erpnext(name: str) -> None:
    """As a file with a secret often ends. No header can carry it, so it can only be found out at the first request."""
    text = refusal(**{name: SECRET + "\n"})
    assert text.startswith(f"{name} is wrong: ")


@pytest.mark.parametrize("name", ["ERPNEXT_API_KEY", "ERPNEXT_API_SECRET", "SMTP_PASSWORD"])
@pytest.mark.parametrize("sign", ["ü", "₹", "\N{ZERO WIDTH SPACE}", "\r", "\x00", "\udcff"])
def test_what_no_header_and_no_login_can_carry_is_one_sentence_without_any_part_of_the_value(
    name: str, sign: str
) -> None:
    """HTTP and SMTP would find out at the first request, and quote what they could not encode."""
    text = refusal(**{"SMTP_USERNAME": "robot", **MAIL, name: f"{SECRET}{sign}5xQ9"})
    assert text.startswith(f"{name} is wrong: must have ")
    assert text.count(" is wrong: ") == 1
    assert sign not in text
    assert "5xQ9" not in text


def test_the_secrets_that_only_sign_may_have_any_characters() -> None:
    secrets = {"SCOOPJOY_HQ_SECRET": "Zürich₹ Zürich₹ Zürich₹", "SCOOPJOY_HQ_PREVIOUS_SECRET": "Zürich₹"}
    settings = load_settings(NEEDED | secrets)
    assert settings.hq_secret.get_secret_value() == secrets["SCOOPJOY_HQ_SECRET"]
    assert settings.hq_previous_secret.get_secret_value() == secrets["SCOOPJOY_HQ_PREVIOUS_SECRET"]


@pytest.mark.parametrize("secret", ["a", "secret", "Zürich-Zürich-Zürich", "x" * 23])
def test_a_secret_that_can_be_guessed_signs_only_until_it_is_replaced(secret: str) -> None:
    said = refusal(SCOOPJOY_HQ_SECRET=secret)
    assert said.startswith(
        "SCOOPJOY_HQ_SECRET is wrong: has fewer than 24 bytes and can be guessed: make a new one"
    )
    assert "move this one to SCOOPJOY_HQ_PREVIOUS_SECRET" in said
    assert len(secret) == 1 or f" {secret} " not in said
    load_settings(NEEDED | {"SCOOPJOY_HQ_SECRET": SECRET, "SCOOPJOY_HQ_PREVIOUS_SECRET": secret})


def test_several_wrong_values_are_a_sentence_each() -> None:
    text = refusal(SMTP_PORT="mail", SCOOPJOY_GO_LIVE="soon", ERPNEXT_ATTEMPTS="many")
    assert [
        text.count(f"{name} is wrong: ") for name in ("SMTP_PORT", "SCOOPJOY_GO_LIVE", "ERPNEXT_ATTEMPTS")
    ] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"SMTP_HOST": "mail.example"}, ["SMTP_HOST", "SMTP_SENDER"]),
        ({**MAIL, "SMTP_USERNAME": "robot"}, ["SMTP_USERNAME", "SMTP_PASSWORD"]),
        ({**MAIL, "SMTP_PASSWORD": SECRET}, ["SMTP_USERNAME", "SMTP_PASSWORD"]),
        (
            {**MAIL, "SMTP_USERNAME": "robot", "SMTP_PASSWORD": SECRET, "SMTP_SECURITY": "none"},
            ["SMTP_SECURITY", "unencrypted"],
        ),
        ({"SCOOPJOY_HQ_URL": "https://hq.example/in"}, ["SCOOPJOY_HQ_URL", "SCOOPJOY_HQ_SECRET"]),
    ],
    ids=["no sender", "no password", "no username", "password in the clear", "no signature"],
)
def test_settings_that_do_not_go_together_are_one_sentence(changes: dict[str, str], names: list[str]) -> None:
    text = refusal(**changes)
    assert all(name in text for name in names)
    assert text.endswith(".")


def test_a_password_may_stay_on_this_machine_unencrypted() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        settings = load_settings(
            {
                **NEEDED,
                **MAIL,
                "SMTP_HOST": host,
                "SMTP_USERNAME": "robot",
                "SMTP_PASSWORD": SECRET,
                "SMTP_SECURITY": "none",
            }
        )
        assert settings.smtp_password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("asha@scoopjoy.example", ("asha@scoopjoy.example",)),
        (" a@x.example ,b@x.example,, c@x.example ,", ("a@x.example", "b@x.example", "c@x.example")),
        ("", ()),
    ],
)
def test_recipients_are_separated_by_commas(text: str, addresses: tuple[str, ...]) -> None:
    settings = load_settings(
        {**NEEDED, "SCOOPJOY_REPORT_RECIPIENTS": text, "SCOOPJOY_ALERT_RECIPIENTS": text}
    )
    assert settings.report_recipients == settings.alert_recipients == addresses


def test_the_environment_is_read_and_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NEEDED, "SMTP_PORT": "", "SCOOPJOY_DEFAULT_RATE": "4.5"}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.smtp_port == 587
    assert settings.default_rate == Decimal("4.5")
    # What is passed in comes before the environment.
    assert load_settings({"SCOOPJOY_DEFAULT_RATE": "6"}).default_rate == Decimal(6)


def test_no_file_of_the_working_directory_changes_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SCOOPJOY_DEFAULT_RATE=99\n", encoding="utf-8")
    assert load_settings(NEEDED).default_rate == Decimal(5)


def test_an_address_loses_its_last_slash() -> None:
    assert (
        load_settings({**NEEDED, "ERPNEXT_URL": "https://erp.example/"}).erpnext_url == "https://erp.example"
    )


def test_no_secret_is_in_the_text_of_settings() -> None:
    settings = load_settings(
        {
            **NEEDED,
            **MAIL,
            "SMTP_USERNAME": "robot",
            "SMTP_PASSWORD": SECRET,
            "SCOOPJOY_HQ_URL": "https://hq.example/in",
            "SCOOPJOY_HQ_SECRET": SECRET,
        }
    )
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "shape",
    ["{}", "http://{}:{}@", "https://{}@erp.example", "{}=", "a={};b", "{0}=1;{0}=2", "{0}::{0}", "{}\n"],
)
def test_no_error_quotes_what_was_set_as_a_secret_may_stand_in_the_wrong_variable(shape: str) -> None:
    refused = {}
    for name in VARIABLES:
        try:
            load_settings(NEEDED | {name: shape.format(SECRET, SECRET)})
        except SettingsError as problem:
            refused[name] = str(problem)
    assert [name for name, said in refused.items() if SECRET in said or name not in said] == []
    assert len(refused) > 10


def test_every_setting_has_one_variable_and_a_description() -> None:
    assert len(set(VARIABLES)) == len(VARIABLES)
    assert all(name == name.upper() for name in VARIABLES)
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load_settings(NEEDED)
    with pytest.raises(ValueError, match="frozen"):
        settings.company = "Another"  # type: ignore[misc]


def test_the_business_day_ends_at_midnight_and_is_closed_at_one_unless_set() -> None:
    settings = load_settings(NEEDED)
    assert (settings.day_ends_at, settings.close_at) == (time(0), time(1))
    late = load_settings({**NEEDED, "SCOOPJOY_DAY_ENDS_AT": "03:30", "SCOOPJOY_CLOSE_AT": "03:30"})
    assert (late.day_ends_at, late.close_at) == (time(3, 30), time(3, 30))


def test_a_day_is_not_closed_before_it_has_ended() -> None:
    said = refusal(SCOOPJOY_DAY_ENDS_AT="03:00")
    assert said == (
        "SCOOPJOY_DAY_ENDS_AT is 03:00, later than SCOOPJOY_CLOSE_AT (01:00); a business day can be closed only after it "
        "has ended: set SCOOPJOY_CLOSE_AT to the same time or a later one."
    )


@pytest.mark.parametrize("close_at", ["06:00", "23:00"])
def test_the_close_begins_before_the_watchdog_looks(close_at: str) -> None:
    said = refusal(SCOOPJOY_CLOSE_AT=close_at)
    assert said == (
        f"SCOOPJOY_CLOSE_AT is {close_at}, but the watchdog looks at 06:00 whether the night is closed; set it to an "
        "earlier time."
    )
    assert load_settings({**NEEDED, "SCOOPJOY_CLOSE_AT": "05:59"}).close_at == time(5, 59)


@pytest.mark.parametrize(
    "host",
    ["erp.example.com", "10.0.0.5", "localhost.example.com", "127.0.0.1.example.com", "backend", "[::2]"],
)
@pytest.mark.parametrize("name", ["ERPNEXT_URL", "SCOOPJOY_HQ_URL"])
def test_clear_text_to_another_machine_is_refused(name: str, host: str) -> None:
    settings = NEEDED | {"SCOOPJOY_HQ_SECRET": SECRET, name: f"http://{host}:8000"}
    with pytest.raises(
        SettingsError, match=f"{name} is http://.*use https://.*SCOOPJOY_CLEAR_TEXT_HOSTS"
    ) as refused:
        load_settings(settings)
    assert SECRET not in str(refused.value)
    bare = host.strip("[]")
    other = settings | {"SCOOPJOY_CLEAR_TEXT_HOSTS": f"x{bare.lstrip(':')}, other"}
    with pytest.raises(SettingsError):
        load_settings(other)
    load_settings(settings | {"SCOOPJOY_CLEAR_TEXT_HOSTS": f"other, {bare.upper()}"})
    load_settings(settings | {name: f"https://{host}:8000"})


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_clear_text_on_this_machine_is_fine(host: str) -> None:
    load_settings(
        NEEDED
        | {
            "ERPNEXT_URL": f"http://{host}:8000",
            "SCOOPJOY_HQ_URL": f"http://{host}/in",
            "SCOOPJOY_HQ_SECRET": SECRET,
        }
    )


@pytest.mark.parametrize("name", ["SCOOPJOY_HQ_SECRET", "SCOOPJOY_HQ_PREVIOUS_SECRET"])
def test_a_secret_of_headquarters_that_cannot_sign_is_one_sentence_without_it(name: str) -> None:
    settings = NEEDED | {"SCOOPJOY_HQ_URL": "https://hq.example", "SCOOPJOY_HQ_SECRET": SECRET}
    with pytest.raises(SettingsError, match=f"{name} is wrong: begins with whsec_ or whsk_") as refused:
        load_settings(settings | {name: f"whsec_{SECRET}!"})
    assert SECRET not in str(refused.value)
