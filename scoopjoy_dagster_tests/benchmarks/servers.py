"""The other side of a benchmark in a process of its own: embedded ERPNext, headquarters and mail server.

Its processor time is then not the client's. It prints its settings as one line of JSON, and ends when its standard
input is closed, so it never outlives the benchmark.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date

from scoopjoy_dagster_tests.benchmarks.chain_of import Chain

MANAGER = "operations@scoopjoy.example"


@contextmanager
def serving(chain: Chain | None, latency: str | None) -> Iterator[dict[str, str]]:
    """The settings that point at them. Without a chain there is no ERPNext: a real one is measured."""
    asked = {"latency": latency, "chain": None}
    if chain:
        asked["chain"] = [chain.franchises, chain.invoices, chain.first.isoformat(), chain.last.isoformat()]  # type: ignore[assignment]
    with subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the servers of the benchmark did not start; their message stands above")
            yield json.loads(line)
        finally:
            process.stdin.close()


def _serve(asked: dict[str, object]) -> None:
    from scoopjoy_dagster.sandbox.erpnext import SandboxERPNext
    from scoopjoy_dagster.sandbox.erpnext.latency import MODELS
    from scoopjoy_dagster.sandbox.hq import SandboxHQ
    from scoopjoy_dagster.sandbox.mail import MailSink
    from scoopjoy_dagster_tests.benchmarks.chain_of import build, prepare

    with ExitStack() as stack:
        headquarters = SandboxHQ()
        headquarters.start()
        stack.callback(headquarters.close)
        mail = MailSink()
        mail.start()
        stack.callback(mail.stop)
        settings = {
            "SCOOPJOY_HQ_URL": headquarters.url,
            "SCOOPJOY_HQ_SECRET": headquarters.secret,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mail.smtp_port),
            "SMTP_SECURITY": "none",
            "SMTP_SENDER": "Benchmark <close@scoopjoy.example>",
        }
        if isinstance(asked["chain"], list):
            franchises, invoices, first, last = asked["chain"]
            chain = Chain(franchises, invoices, date.fromisoformat(first), date.fromisoformat(last))
            latency = MODELS[str(asked["latency"])] if asked["latency"] else None
            erpnext = SandboxERPNext(":memory:")
            erpnext.start()
            prepare(erpnext)
            build(erpnext, chain)
            erpnext.stop()
            erpnext.latency = latency  # only now: it is filled at full speed
            erpnext.start()
            stack.callback(erpnext.close)
            settings |= {
                "ERPNEXT_URL": erpnext.url,
                "ERPNEXT_API_KEY": erpnext.robot.api_key,
                "ERPNEXT_API_SECRET": erpnext.robot.api_secret,
            }
        sys.stdout.write(json.dumps(settings) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
