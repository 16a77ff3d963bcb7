"""What is stored in the form that a client asked for."""

from dataclasses import replace

import msgspec

from tests.unit.apimachinery.http.in_process import SECRETS, Secret
from tidegate.apimachinery.http.encoding import Encoding
from tidegate.apimachinery.http.negotiation import negotiate
from tidegate.apimachinery.resource import Column
from tidegate.apimachinery.storage import Event

AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def test_a_bookmark_of_a_table_has_nothing_in_its_cells() -> None:
    def of_a_whole_object(found: Secret, _now: float) -> str:
        return found.metadata.creation_timestamp[0]

    columns = (Column("First", of_a_whole_object, "What a bookmark has not."),)
    encoding = Encoding(replace(SECRETS, columns=columns), lambda: 0.0)
    mark = b'{"kind":"Secret","apiVersion":"v1","metadata":{"resourceVersion":"7"}}'
    line = encoding.event(negotiate(AS_TABLE), Event("BOOKMARK", mark), first=False)
    table = msgspec.json.decode(line)["object"]
    assert table["metadata"] == {"resourceVersion": "7"}
    (row,) = table["rows"]
    assert row["cells"] == ["", "", ""]
    assert row["object"]["metadata"] == {"resourceVersion": "7"}
