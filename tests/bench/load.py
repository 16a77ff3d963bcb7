"""Put load on one server for a moment and say what came of it, on both sides."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.jobs import Job, Kind, Outcome
from tests.bench.process import processor_seconds

_GO_ORDER = """\
openssl_conf = start
[start]
ssl_conf = contexts
[contexts]
system_default = preference
[preference]
Ciphersuites = TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
"""
"""The order in which Go's clients (docker, podman, skopeo, kubelet) offer cipher suites."""


class LoadFailed(Exception):
    """The load did not come off: what the client said."""


@dataclass(frozen=True)
class Sample:
    """One run against one server."""

    outcome: Outcome
    server_seconds: float  # processor time of the server's processes

    @property
    def requests_a_second(self) -> float:
        return self.outcome.requests / self.outcome.seconds

    @property
    def bytes_a_second(self) -> float:
        return (self.outcome.received + self.outcome.sent) / self.outcome.seconds


def wrk() -> str | None:
    """The load generator for small answers, if it is installed."""
    return shutil.which("wrk")


def put_load(job: Job, server: int, directory: Path) -> Sample:
    """Run the job against the server whose first process is `server`.

    wrk, where it is installed, makes small GETs; it copies bodies in pieces of 8 KB, and it waits
    for the body of a HEAD for ever.
    """
    before = processor_seconds(server)
    if job.kind is Kind.GET and job.small and wrk():
        outcome = _run_wrk(job, directory)
    else:
        outcome = _run_client(job, directory)
    return Sample(outcome, processor_seconds(server) - before)


def _run_client(job: Job, directory: Path) -> Outcome:
    preference = directory / "client-openssl.cnf"
    preference.write_text(_GO_ORDER)
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench.client"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        env={**os.environ, "OPENSSL_CONF": str(preference)},
        timeout=job.seconds + 240,
        check=False,
    )
    if finished.returncode:
        raise LoadFailed(finished.stderr.strip()[-2000:])
    return Outcome(**json.loads(finished.stdout))


_SCRIPT = """\
local requests, last = {}, 0
init = function(args)
  local file = io.open(args[1])
  for path in file:lines() do requests[#requests + 1] = wrk.format("GET", path) end
  file:close()
end
request = function()
  last = last % #requests + 1
  return requests[last]
end
done = function(summary, latency, requests)
  io.write(string.format("BENCH %d %d %d %d %d %d\\n", summary.requests, summary.bytes,
    summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout))
end
"""


def _run_wrk(job: Job, directory: Path) -> Outcome:
    script, paths = directory / "requests.lua", directory / "paths"
    script.write_text(_SCRIPT)
    paths.write_text("".join(f"{path}\n" for path in job.paths))
    command = [
        wrk() or "wrk",
        "-t",
        "1",
        "-c",
        str(job.clients),
        "-d",
        f"{max(1, round(job.seconds))}s",
    ]
    for name, value in job.headers.items():
        command += ["-H", f"{name}: {value}"]
    command += ["-s", str(script), f"http://127.0.0.1:{job.port}/", "--", str(paths)]
    spent = os.times().children_user + os.times().children_system
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    spent = os.times().children_user + os.times().children_system - spent
    found = re.search(r"^BENCH (.*)$", finished.stdout, re.MULTILINE)
    if finished.returncode or not found:
        raise LoadFailed(finished.stderr + finished.stdout)
    requests, received, duration, median, p99, errors = map(int, found[1].split())
    if errors:
        raise LoadFailed(f"wrk counted {errors} errors: {finished.stdout}")
    return Outcome(
        requests=requests,
        received=received,
        sent=0,
        seconds=duration / 1e6,
        median=median / 1e6,
        p99=p99 / 1e6,
        client_seconds=spent,
    )
