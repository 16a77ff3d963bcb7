"""The Kubernetes API server of the tests knows its users, and keeps what it was told."""

from tests.kube_apiserver import Cluster
from tests.kube_client import CORE, KubeClient
from tests.server import wait_until
from tests.tools import Program, require

READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def test_a_user_may_do_what_was_bound_and_no_more(cluster: Cluster) -> None:
    mine, other = cluster.namespace(), cluster.namespace()
    pods = [f"{CORE}/namespaces/{each}/pods" for each in (mine, other)]
    with cluster.client("tidegate") as client:
        assert [client.get(path).status_code for path in pods] == [403, 403]
        cluster.bind("tidegate", READ_PODS, namespace=mine)
        wait_until(lambda: client.get(pods[0]).status_code == 200, what="the binding to count")
        assert client.get(pods[1]).status_code == 403


def test_tokens_of_service_accounts_and_client_certificates_are_known(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    token = cluster.service_account_token(namespace, "robot")
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    with KubeClient(cluster.url, token, verify=cluster.authority.context()) as client:
        user = client.make(reviews, {})["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:robot"
    kubectl = Program(
        require("kubectl"), {"KUBECONFIG": str(cluster.certified("ann", "developers"))}
    )
    who = kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo}")
    assert '"username":"ann"' in who
    assert '"developers"' in who


def test_what_was_written_is_there_after_the_api_server_was_killed(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.stop()
    cluster.start()
    with cluster.client() as client:
        assert client.read(f"{CORE}/namespaces/{namespace}")["status"]["phase"] == "Active"
