from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User


def test_a_user_and_what_is_asked_are_values_that_can_be_keys() -> None:
    asked = Attributes("get", "imagestreams/layers", "shop", "web")
    assert {(User("ann", ("devs",)), asked): True}[User("ann", ("devs",)), asked]


def test_what_is_asked_is_about_images_and_the_whole_cluster_unless_said_otherwise() -> None:
    assert Attributes("delete", "images") == Attributes(
        verb="delete", resource="images", namespace="", name="", group="image.openshift.io"
    )


def test_nobody_in_particular_has_kubernetes_names() -> None:
    assert ANONYMOUS.name == "system:anonymous"
    assert ANONYMOUS.groups == ("system:unauthenticated",)
