"""The business day: from the hour at which the day before ends to the same hour of the next date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta


@dataclass(frozen=True, slots=True)
class DayEnd:
    """When a business day ends: at this time of the next date, in site time. Midnight: the business day is the date.

    What was sold before it belongs to the business day before; what was sold at it belongs to the new one.
    """

    at: time = time.min

    @property
    def is_midnight(self) -> bool:
        """Whether a business day is a date."""
        return self.at == time.min

    @property
    def clock(self) -> str:
        """The time as ERPNext writes it, e.g. `03:00:00`."""
        return self.at.isoformat(timespec="seconds")

    def day_of(self, moment: datetime) -> date:
        """The business day of a moment in site time."""
        return (moment - self._after_midnight).date()

    def start_of(self, day: date) -> datetime:
        """When a business day begins, which is when the day before ends; in site time."""
        return datetime.combine(day, self.at)

    def last_date(self, day: date) -> date:
        """The last date that has a part of a business day."""
        return day if self.is_midnight else day + timedelta(days=1)

    @property
    def _after_midnight(self) -> timedelta:
        return timedelta(hours=self.at.hour, minutes=self.at.minute)
