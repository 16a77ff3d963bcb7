"""A condition in the status of the kinds that are our own, as Kubernetes writes them."""

from typing import Annotated

from tidegate.apimachinery.meta import Time, Wire, doc


class StatusCondition(Wire):
    """How an object is, in one respect."""

    type: Annotated[str, doc("The respect, such as Ready or Complete.")] = ""
    status: Annotated[str, doc("True, False or Unknown.")] = ""
    last_transition_time: Annotated[Time, doc("When the status became so.")] = ""
    reason: Annotated[str, doc("Why, in a word, for programs.")] = ""
    message: Annotated[str, doc("Why, for people.")] = ""
