from tidegate.metastore.job_queue import Lane
from tidegate.metastore.upstream_budget import Budget, Health
from tidegate.metastore.upstreams import Upstream
from tidegate.registry import work_metrics

NOW = 1000.0


def samples(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("#")]


def test_what_waits_is_told_by_kind_and_lane_and_what_fails_by_kind() -> None:
    lanes = [Lane("mirror", "quay.io", 2, NOW - 61.5), Lane("import", "shop", 1, NOW + 0.5)]
    assert samples(work_metrics.of_jobs(lanes, {"mirror": 3}, NOW)) == [
        'tidegate_jobs_waiting{kind="mirror",lane="quay.io"} 2',
        'tidegate_jobs_waiting{kind="import",lane="shop"} 1',
        'tidegate_jobs_waiting_seconds{kind="mirror",lane="quay.io"} 61',
        'tidegate_jobs_waiting_seconds{kind="import",lane="shop"} 0',
        'tidegate_jobs_failing{kind="mirror"} 3',
    ]


def test_other_registries_are_told_with_what_they_allow_each_account() -> None:
    known = [
        Upstream("docker.io", "", Budget(), Health(5, NOW + 10, "no connection")),
        Upstream("docker.io", "ann", Budget(100, 3600.0, 7.5, NOW), Health()),
        Upstream("quay.io", "", Budget(closed_until=NOW + 1800), Health()),
    ]
    assert samples(work_metrics.of(known, NOW)) == [
        'tidegate_upstream_failures{registry="docker.io"} 5',
        'tidegate_upstream_failures{registry="quay.io"} 0',
        'tidegate_upstream_requests_left{registry="docker.io",account="ann"} 7',
        'tidegate_upstream_closed_seconds{registry="docker.io",account=""} 10',
        'tidegate_upstream_closed_seconds{registry="docker.io",account="ann"} 0',
        'tidegate_upstream_closed_seconds{registry="quay.io",account=""} 1800',
    ]
