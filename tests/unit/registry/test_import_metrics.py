from tidegate.metastore.import_counts import ImportCount
from tidegate.registry.import_metrics import shown


def test_imports_are_told_under_the_names_that_dashboards_know() -> None:
    counts = [
        ImportCount(False, "docker.io", "", 3),
        ImportCount(True, "quay.io", "", 41),
        ImportCount(True, "quay.io", "NotFound", 2),
    ]
    errors = "openshift_imagestreamcontroller_error_count"
    successes = "openshift_imagestreamcontroller_success_count"
    assert [line for line in shown(counts) if not line.startswith("#")] == [
        f'{successes}{{scheduled="false",registry="docker.io"}} 3',
        f'{successes}{{scheduled="true",registry="quay.io"}} 41',
        f'{errors}{{scheduled="true",registry="quay.io",reason="NotFound"}} 2',
    ]
    assert f"# TYPE {errors} counter" in shown([])


def test_a_registry_with_an_odd_name_breaks_no_line() -> None:
    (line,) = [each for each in shown([ImportCount(True, 'a"\n\\', "", 1)]) if each[0] != "#"]
    assert line.endswith('registry="a\\"\\n\\\\"} 1')
