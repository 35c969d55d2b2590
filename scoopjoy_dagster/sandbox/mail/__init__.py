"""An embedded mail server that keeps every mail and shows it on a page."""

from scoopjoy_dagster.sandbox.mail.sink import MailSink, ReceivedMail

__all__ = ["MailSink", "ReceivedMail"]
