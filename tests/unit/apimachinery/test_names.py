"""Texts as k8s.io/apimachinery/pkg/util/validation writes them."""

import re

from tidegate.apimachinery.names import (
    LABEL_LIMIT,
    config_key_faults,
    generated_name,
    label_faults,
    label_value_faults,
    path_segment_faults,
    qualified_name_faults,
    subdomain_faults,
)

NO_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
    "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NO_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NO_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
    "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
NO_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def test_a_label_has_no_capitals() -> None:
    assert label_faults("my-name") == []
    assert label_faults("My") == [NO_LABEL]


def test_a_subdomain_is_no_label() -> None:
    assert label_faults("a.b") == ["must not contain dots"]


def test_a_label_has_63_characters_at_most() -> None:
    assert label_faults("a" * 63) == []
    assert label_faults("a" * 64) == ["must be no more than 63 characters"]


def test_a_subdomain_may_have_dots_and_253_characters() -> None:
    assert subdomain_faults("a.b-c.9") == []
    assert subdomain_faults("a" * 254) == ["must be no more than 253 characters"]
    assert subdomain_faults("a_b") == [NO_SUBDOMAIN]


def test_a_name_may_not_end_with_a_newline() -> None:
    assert subdomain_faults("a\n")
    assert label_faults("a\n")
    assert config_key_faults("a\n")
    assert qualified_name_faults("a\n")


def test_a_config_key_is_a_file_name() -> None:
    assert config_key_faults(".dockerconfigjson") == []
    assert config_key_faults("a/b") == [NO_KEY]
    assert config_key_faults(".") == ["must not be '.'"]
    assert config_key_faults("..") == ["must not be '..'"]
    assert config_key_faults("..a") == ["must not start with '..'"]


def test_a_qualified_name_may_have_one_prefix() -> None:
    assert qualified_name_faults("openshift.io/images") == []
    assert qualified_name_faults("pods") == []
    assert qualified_name_faults("/a") == ["prefix part must be non-empty"]
    assert qualified_name_faults("a/") == ["name part must be non-empty", NO_NAME_PART]
    assert qualified_name_faults("a/b/c")[0].startswith("a valid label key must consist of")


def test_a_label_may_be_empty_and_has_63_characters_at_most() -> None:
    assert label_value_faults("") == []
    assert label_value_faults("My_value.1") == []
    assert label_value_faults("a" * 64) == ["must be no more than 63 characters"]
    assert label_value_faults("a b") == [
        (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', "
            "'_' or "
            "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
            "'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    ]


def test_a_path_segment_may_have_what_a_path_leaves_alone() -> None:
    assert path_segment_faults("system:image-puller") == []
    assert path_segment_faults("..a") == []
    assert path_segment_faults(".") == ["may not be '.'"]
    assert path_segment_faults("..") == ["may not be '..'"]
    assert path_segment_faults("a/b%") == ["may not contain '/'", "may not contain '%'"]


def test_a_generated_name_is_a_prefix_and_five_letters_that_make_no_word() -> None:
    assert re.fullmatch("web-[bcdfghjklmnpqrstvwxz2456789]{5}", generated_name("web-"))
    assert len(generated_name("w" * 99)) == LABEL_LIMIT
    assert generated_name("a") != generated_name("a")
