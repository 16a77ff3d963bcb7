"""Rules and texts of Kubernetes' namespace strategies and OpenShift's ValidateProject."""

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.auth.projects.kinds import (
    NAMESPACE_FINALIZERS,
    NAMESPACE_STATUS,
    NAMESPACES,
    PROJECT_REQUESTS,
    PROJECTS,
    Namespace,
    NamespaceSpec,
    NamespaceStatus,
    Project,
    ProjectRequest,
    may_go,
)

ENDING = "2026-01-02T03:04:05Z"


def namespace(*finalizers: str, phase: str = "Active", ending: bool = False) -> Namespace:
    return Namespace(
        metadata=ObjectMeta(name="shop", deletion_timestamp=ENDING if ending else ""),
        spec=NamespaceSpec(finalizers=list(finalizers)),
        status=NamespaceStatus(phase=phase),
    )


def test_a_new_namespace_is_active_held_and_labelled() -> None:
    new = namespace(phase="Terminating")
    NAMESPACES.strategy.prepare(new, None)
    assert new.spec.finalizers == ["kubernetes"]
    assert new.status.phase == "Active"
    assert new.metadata.labels == {"kubernetes.io/metadata.name": "shop"}


def test_its_name_is_a_label() -> None:
    fault = NAMESPACES.strategy.name_fault
    assert fault is not None
    assert fault("a") is None
    assert fault("a.b") == "must not contain dots"
    assert fault("a" * 64) == "must be no more than 63 characters"


def test_an_update_changes_neither_spec_nor_status_nor_the_name_s_label() -> None:
    new = namespace(phase="Terminating")
    NAMESPACES.strategy.prepare(new, namespace("kubernetes"))
    assert new.spec.finalizers == ["kubernetes"]
    assert new.status.phase == "Active"
    assert new.metadata.labels == {"kubernetes.io/metadata.name": "shop"}


def test_a_finalizer_is_standard_or_qualified() -> None:
    validate = NAMESPACES.strategy.validate
    assert validate(namespace("kubernetes", "openshift.io/origin"), None) == []
    (fault,) = validate(namespace("mine"), None)
    assert str(fault) == (
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is '
        "it fully qualified"
    )


def test_the_finalizer_of_the_controller_stays_on_until_the_controller_takes_it_off() -> None:
    new = namespace("example.com/mine")
    NAMESPACE_FINALIZERS.strategy.prepare(new, namespace("kubernetes", ending=True))
    assert new.spec.finalizers == ["example.com/mine", "kubernetes"]


def test_the_phase_follows_the_deletion() -> None:
    validate = NAMESPACE_STATUS.strategy.validate
    assert validate(namespace(), None) == ()
    assert validate(namespace(phase="Terminating", ending=True), None) == ()
    assert [str(each) for each in validate(namespace(phase="Terminating"), None)] == [
        (
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if "
            "`deletionTimestamp` is empty"
        )
    ]
    assert [str(each) for each in validate(namespace(ending=True), None)] == [
        (
            "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if "
            "`deletionTimestamp` is not empty"
        )
    ]


def test_a_status_update_leaves_the_spec_alone() -> None:
    new = namespace("example.com/mine")
    NAMESPACE_STATUS.strategy.prepare(new, namespace("kubernetes"))
    assert new.spec.finalizers == ["kubernetes"]


def test_a_namespace_goes_only_when_it_was_to_and_nothing_holds_it() -> None:
    assert may_go(namespace(ending=True))
    assert not may_go(namespace("kubernetes", ending=True))
    assert not may_go(namespace())


def test_a_project_s_name_has_two_characters() -> None:
    fault = PROJECTS.strategy.name_fault
    assert fault is not None
    assert fault("a") == "must be at least 2 characters long"
    assert fault("ab") is None


def project(**annotations: str) -> Project:
    return Project(
        metadata=ObjectMeta(
            name="shop",
            annotations={
                f"openshift.io/{key.replace('_', '-')}": annotations[key] for key in annotations
            },
        )
    )


def test_members_change_what_people_read_and_nothing_else() -> None:
    validate = PROJECTS.strategy.validate
    assert validate(project(display_name="New", requester="j"), project(requester="j")) == []
    faults = validate(project(requester="root"), project(requester="jane", node_selector="x"))
    why = "field is immutable, try updating the namespace"
    assert [str(each) for each in faults] == [
        f'metadata.annotations[openshift.io/requester]: Invalid value: "root": {why}',
        f'metadata.annotations[openshift.io/node-selector]: Invalid value: "x": {why}',
    ]
    labelled = project()
    labelled.metadata.labels = {"a": "b"}
    (fault,) = validate(labelled, project())
    assert str(fault) == f'metadata.labels[a]: Invalid value: "b": {why}'


def test_a_display_name_is_one_line() -> None:
    (fault,) = PROJECTS.strategy.validate(project(display_name="a\nb"), None)
    assert str(fault).endswith("may not contain a new line or tab")
    request = ProjectRequest(metadata=project(display_name="a\tb").metadata)
    (fault,) = PROJECT_REQUESTS.strategy.validate(request, None)
    assert str(fault).endswith("may not contain a new line or tab")


def test_tables_are_those_of_kubectl_and_oc() -> None:
    made = project(display_name="The shop")
    made.status.phase = "Active"
    assert [(each.name, each.cell(made, 0.0)) for each in PROJECTS.columns] == [
        ("Display Name", "The shop"),
        ("Status", "Active"),
    ]
    assert not PROJECTS.age
    assert [(each.name, each.cell(namespace(), 0.0)) for each in NAMESPACES.columns] == [
        ("Status", "Active")
    ]
    assert NAMESPACES.fields["status.phase"](namespace()) == "Active"
    assert PROJECTS.fields["status.phase"](made) == "Active"
