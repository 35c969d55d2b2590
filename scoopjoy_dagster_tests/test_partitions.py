"""The business day is a day of India, wherever the machine stands: 01:00 there closes yesterday there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoopjoy_dagster.partitions import ZONE, business_days, day_of, last_ended_day, site_time

GO_LIVE = date(2026, 1, 10)
NEW_YORK = ZoneInfo("America/New_York")

MOMENTS = [
    ("2026-03-02T01:00:00+05:30", "2026-03-01"),
    ("2026-03-02T00:00:01+05:30", "2026-03-01"),
    ("2026-03-02T00:00:00+05:30", "2026-03-01"),
    ("2026-03-01T23:59:59+05:30", "2026-02-28"),
    # 18:30 UTC is midnight in India.
    ("2026-03-01T18:29:59+00:00", "2026-02-28"),
    ("2026-03-01T18:30:00+00:00", "2026-03-01"),
    ("2026-03-01T19:30:00+00:00", "2026-03-01"),
    # The night in which New York's clocks are put forward (8 March 2026).
    ("2026-03-08T14:30:00-04:00", "2026-03-08"),
    ("2026-03-08T01:59:59-05:00", "2026-03-07"),
    # A leap day, and the day after it.
    ("2028-02-29T01:00:00+05:30", "2028-02-28"),
    ("2028-03-01T01:00:00+05:30", "2028-02-29"),
    ("2027-01-01T01:00:00+05:30", "2026-12-31"),
]


@pytest.mark.parametrize(("moment", "day"), MOMENTS)
def test_the_last_ended_day_is_yesterday_in_india(moment: str, day: str) -> None:
    now = datetime.fromisoformat(moment)
    assert last_ended_day(now) == date.fromisoformat(day)
    assert business_days(GO_LIVE).get_partition_keys(current_time=now)[-1] == day


HOST = """
import json, sys, time
from datetime import date, datetime, UTC
time.tzset()
from scoopjoy_dagster.partitions import business_days, last_ended_day, site_time
days = business_days(date(2026, 1, 10))
print(json.dumps([
    [str(last_ended_day(now)), days.get_partition_keys(current_time=now)[-1], str(site_time(now))]
    for now in (datetime.fromisoformat(text).astimezone() for text in json.loads(sys.argv[1]))
] + [[time.tzname[0]]]))
"""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def test_the_zone_of_the_host_changes_nothing(zone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOST, json.dumps([moment for moment, _ in MOMENTS])],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": zone},
        timeout=60,
    )
    *found, _ = json.loads(done.stdout)
    for (moment, day), (last, newest, site) in zip(MOMENTS, found, strict=True):
        assert (last, newest) == (day, day), moment
        wanted = datetime.fromisoformat(moment).astimezone(ZONE).replace(tzinfo=None)
        assert datetime.fromisoformat(site) == wanted


def test_there_is_no_day_before_go_live_and_go_live_exists_once_it_has_ended() -> None:
    days = business_days(GO_LIVE)
    before = datetime(2026, 1, 10, 23, 59, 59, tzinfo=ZONE)
    assert days.get_partition_keys(current_time=before) == []
    after = before + timedelta(seconds=1)
    assert days.get_partition_keys(current_time=after) == ["2026-01-10"]


def test_every_calendar_day_is_one_partition_the_leap_day_too() -> None:
    now = datetime(2028, 3, 2, 1, tzinfo=ZONE)
    keys = business_days(date(2028, 2, 27)).get_partition_keys(current_time=now)
    assert keys == ["2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01"]


@given(st.datetimes(datetime(2026, 1, 12), datetime(2029, 1, 1)), st.sampled_from([UTC, NEW_YORK, ZONE]))
def test_dagster_and_we_agree_on_the_last_ended_day_at_every_moment(naive: datetime, zone: ZoneInfo) -> None:
    now = naive.replace(tzinfo=zone)
    days = business_days(GO_LIVE)
    newest = days.get_partition_keys(current_time=now)[-1]
    assert day_of(newest) == last_ended_day(now)
    window = days.time_window_for_partition_key(newest)
    assert window.end.timestamp() <= now.timestamp() < window.end.timestamp() + 86_400


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-02T02:59:59.999999+05:30", "2026-02-28"),
        ("2026-03-02T03:00:00+05:30", "2026-03-01"),
        ("2026-03-01T21:30:00+00:00", "2026-03-01"),
        ("2026-03-03T02:59:59+05:30", "2026-03-01"),
    ],
)
def test_a_day_that_ends_at_three_has_a_partition_from_three_on(moment: str, day: str) -> None:
    now = datetime.fromisoformat(moment)
    assert last_ended_day(now, time(3)) == date.fromisoformat(day)
    assert business_days(GO_LIVE, time(3)).get_partition_keys(current_time=now)[-1] == day


@given(
    st.datetimes(datetime(2026, 1, 13), datetime(2029, 1, 1)),
    st.sampled_from([UTC, NEW_YORK, ZONE]),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
def test_dagster_and_we_agree_whatever_the_end_of_the_day(
    naive: datetime, zone: ZoneInfo, day_ends_at: time
) -> None:
    now, days = naive.replace(tzinfo=zone), business_days(GO_LIVE, day_ends_at)
    newest = days.get_partition_keys(current_time=now)[-1]
    assert day_of(newest) == last_ended_day(now, day_ends_at)
    window = days.time_window_for_partition_key(newest)
    end = datetime.combine(day_of(newest) + timedelta(days=1), day_ends_at, tzinfo=ZONE)
    assert window.end.timestamp() == end.timestamp() <= now.timestamp()


def test_the_first_partition_is_go_live_whatever_the_end_of_the_day() -> None:
    days = business_days(GO_LIVE, time(3))
    ended = datetime(2026, 1, 11, 3, tzinfo=ZONE)
    assert days.get_partition_keys(current_time=ended - timedelta(seconds=1)) == []
    assert days.get_partition_keys(current_time=ended) == ["2026-01-10"]


def test_a_day_that_ends_at_midnight_is_defined_as_it_always_was() -> None:
    assert business_days(GO_LIVE, time(0)) == business_days(GO_LIVE)


def test_site_time_is_naive_time_of_india() -> None:
    assert site_time(datetime(2026, 3, 1, 19, 30, tzinfo=UTC)) == datetime(2026, 3, 2, 1, 0)


@pytest.mark.parametrize("key", ["2026-13-01", "yesterday", ""])
def test_a_key_that_is_no_date_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month must be"):
        day_of(key)
