"""What is declared in the code and told in the docs is the same."""

import re
from dataclasses import fields
from pathlib import Path

from tidegate.config import Settings
from tidegate.registry import import_metrics, metrics, mirror_metrics, rollout_metrics, work_metrics
from tidegate.registry.errors import ERRORS

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    text = (DOCS / "sre.md").read_text("utf-8")
    table = text.split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    documented = {name.strip("`"): (default.strip("`"), meaning) for name, default, meaning in rows}
    declared = {
        each.name: (str(each.default) if each.default != () else "", each.metadata["meaning"])
        for each in fields(Settings)
    }
    assert documented == declared


def test_every_dependency_has_its_line() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    section = text.split("## Dependencies")[1]
    project = (DOCS.parent / "pyproject.toml").read_text("utf-8")
    block = project.split("dependencies = [")[1].split("]\n")[0]
    names = re.findall(r'^\s+"([a-z0-9-]+)', block, re.MULTILINE)
    assert len(names) > 5
    assert [name for name in names if name.split("-")[0] not in section] == []


def test_every_metric_is_documented_with_its_meaning() -> None:
    text = (DOCS / "sre.md").read_text("utf-8")
    table = text.split("<!-- metrics -->")[1].split("<!-- /metrics -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    documented = {name.strip("`"): meaning for name, _, meaning in rows}
    work = (
        *(work_metrics.WAITING, work_metrics.WAITING_SECONDS, work_metrics.FAILING),
        *(work_metrics.FAILURES, work_metrics.LEFT, work_metrics.CLOSED),
        work_metrics.DEAD_LETTERS,
    )
    families = (metrics.BUILD, metrics.PROJECTS)
    assert documented == {
        **{name: meaning for name, _, meaning in families},
        **dict(metrics.TOTALS),
        **dict(work),
        **dict(import_metrics.FAMILIES),
        **dict(mirror_metrics.FAMILIES),
        **dict([rollout_metrics.PHASE]),
    }


def headings(text: str) -> set[str]:
    """What a page's headings are called in links."""
    found = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each).lower() for each in found]
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


def test_every_link_between_the_pages_leads_somewhere() -> None:
    pages = [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md")]
    assert len(pages) > 10
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            path, _, heading = target.partition("#")
            other = page.parent / path if path else page
            assert other.exists(), (page.name, target)
            assert not heading or heading in headings(other.read_text("utf-8")), (page.name, target)


def test_each_exception_has_one_answer_and_each_code_a_status() -> None:
    exceptions = [error.exception for error in ERRORS]
    assert len(exceptions) == len(set(exceptions))
    assert all(400 <= error.status < 600 for error in ERRORS)
