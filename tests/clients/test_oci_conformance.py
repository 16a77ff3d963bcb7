"""The official OCI distribution conformance program: no failure, and nothing skipped.

It runs for version 1.1 and for the specification's development version, each with everything
turned on that a registry may implement. What it reports is read from its JUnit file; a case that
it marks as skipped or disabled is a failure here unless `MAY_SKIP` names it with a reason.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.conftest import Registry
from tests.conformance import postgresql
from tests.server import Server, serving
from tests.tools import Outcome, require, run

MAY_SKIP: Mapping[str, str] = {}  # case -> the reason why a registry does well to skip it

EVERYTHING = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
    "OCI_API_REFERRER": "true",
    "OCI_DATA_SHA512": "true",
    "OCI_DATA_NONDISTRIBUTABLE": "true",
}
SPARSE = {"OCI_DATA_SPARSE": "true"}  # an image whose layers are not all there

# A registry may refuse a manifest whose blobs are missing, and tidegate does unless told not to.
ACCEPT_SPARSE = {"sparse_manifests": "true"}


def examine(
    registry: Registry, version: str, repository: str, results: Path, options: Mapping[str, str]
) -> Outcome:
    """One run of the conformance program against two fresh repositories."""
    settings = {
        "OCI_VERSION": version,
        "OCI_REGISTRY": registry.address,
        "OCI_TLS": "disabled",
        "OCI_USERNAME": registry.username,
        "OCI_PASSWORD": registry.password,
        "OCI_REPO1": repository,
        "OCI_REPO2": f"{repository}-two",
        "OCI_RESULTS_DIR": str(results),
        "OCI_LOG": "error",
        **options,
    }
    return run(require("conformance"), environment=settings, directory=results, seconds=600)


def assert_nothing_failed_or_skipped(outcome: Outcome, results: Path) -> None:
    report = results / "junit.xml"
    assert report.exists(), str(outcome)
    cases = list(ET.parse(report).getroot().iter("testcase"))
    assert len(cases) > 200, f"only {len(cases)} cases ran\n{outcome}"
    amiss = [
        f"{case.get('name')}: {case.get('status')}\n{case.findtext('system-out') or ''}"
        for case in cases
        if case.get("status") != "passed" and case.get("name") not in MAY_SKIP
    ]
    assert not amiss, f"{len(amiss)} of {len(cases)} cases:\n" + "\n".join(amiss)
    assert outcome.code == 0, str(outcome)


@pytest.mark.parametrize("version", ["1.1", "dev"])
def test_the_conformance_program_finds_no_failure_and_skips_nothing(
    registry: Registry, version: str, repository: str, tmp_path: Path
) -> None:
    outcome = examine(registry, version, repository, tmp_path, EVERYTHING)
    assert_nothing_failed_or_skipped(outcome, tmp_path)


def test_a_registry_that_accepts_sparse_manifests_passes_with_them_too(
    repository: str, tmp_path: Path
) -> None:
    with serving(Server(tmp_path / "data", settings=ACCEPT_SPARSE)) as server:
        results = tmp_path / "results"
        results.mkdir()
        outcome = examine(
            Registry(server.address), "dev", repository, results, {**EVERYTHING, **SPARSE}
        )
        assert_nothing_failed_or_skipped(outcome, results)


def test_a_registry_on_postgresql_passes_as_well(repository: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    with postgresql.server() as own, own.database() as url:
        with serving(Server(tmp_path / "data", settings={"database": url})) as server:
            outcome = examine(Registry(server.address), "dev", repository, results, EVERYTHING)
        assert_nothing_failed_or_skipped(outcome, results)
