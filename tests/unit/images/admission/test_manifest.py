"""The manifest in docs/admission.md asks for what the webhook answers."""

from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tidegate.images.admission.endpoint import DEADLINE, PREFIX
from tidegate.images.admission.pull_policy import ANNOTATION
from tidegate.images.admission.workloads import RESOURCES

PAGE = (Path(__file__).parents[4] / "docs" / "admission.md").read_text("utf-8")


def webhook() -> dict[str, Any]:
    manifest = yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0])
    assert manifest["kind"] == "MutatingWebhookConfiguration"
    (found,) = manifest["webhooks"]
    return dict(found)


def test_the_manifest_sends_every_resource_that_is_looked_at() -> None:
    sent = {
        pair
        for rule in webhook()["rules"]
        for pair in product(rule["apiGroups"], rule["resources"])
        if rule["operations"] == ["CREATE", "UPDATE"]
    }
    assert sent >= RESOURCES
    assert {resource for _, resource in sent} == {resource for _, resource in RESOURCES}


def test_the_manifest_names_the_path_and_waits_longer_than_the_webhook() -> None:
    found = webhook()
    assert f"{PREFIX}SECRET/workloads" in found["clientConfig"]["url"]
    assert found["timeoutSeconds"] > DEADLINE
    assert (found["failurePolicy"], found["sideEffects"]) == ("Ignore", "None")


def test_the_page_names_the_annotation_of_pull_policies() -> None:
    assert f"`{ANNOTATION}`" in PAGE
