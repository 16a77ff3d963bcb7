"""The ClusterRoles that every installation begins with: one table, facts of the originals.

Names, rules and labels are those of Kubernetes and OpenShift, whose users, tools and documentation
rely on them; roles that only their own components use are left out, so are rules on resources that
no version of this server is to know. What is particular here says so. For the form see `shorthand`.
"""

from tidegate.auth.rbac.kinds import ClusterRole
from tidegate.auth.rbac.shorthand import TO, cluster_role, gathering_role

_TO_BASIC_USER = "authorization.openshift.io/aggregate-to-basic-user"

# Here: what OpenShift has not. Tags with all of their history, deleted ones that come back, and
# rules on names, which whoever administers a project makes and the others read, as they read what
# the server has to do for it.
_HISTORY = "get | image.openshift.io | imagestreamtags/history"
_RESTORE = (
    "create | image.openshift.io | imagestreams/undelete imagestreamtags/rollback"
    " imagestreamtags/undelete"
)
_READ_POLICIES = (
    "READ | tidegate.io | backgroundjobs eventsubscriptions imageapprovals imagechanges"
    " mirrors rollouts tagpolicies triggerpolicies"
)
_WRITE_POLICIES = (
    "WRITE | tidegate.io | eventsubscriptions imageapprovals mirrors rollouts tagpolicies"
    " triggerpolicies"
)
_REPLAY = (
    "get | tidegate.io | eventsubscriptions/deadletters",
    "create | tidegate.io | eventsubscriptions/replay",
)

_ADMIN_IMAGES = (
    "READ WRITE | IMAGE | STREAMS imagestreams/secrets",
    "READ | IMAGE | imagestreams/status",
    "get update | IMAGE | imagestreams/layers",
    "create | IMAGE | imagestreamimports",
    _HISTORY,
    _RESTORE,
    _READ_POLICIES,
)
_REGISTRY = (
    "READ WRITE | core | secrets serviceaccounts",
    "READ WRITE | IMAGE | STREAMS imagestreams/secrets",
    "create | IMAGE | imagestreamimports",
    "get update | IMAGE | imagestreams/layers",
    "get | core | namespaces",
    _HISTORY,
    _RESTORE,
    _READ_POLICIES,
)
_ADMIN_REVIEWS = (
    "READ WRITE | AUTHZ | rolebindings roles",
    "create | AUTHZ | localresourceaccessreviews localsubjectaccessreviews subjectrulesreviews",
    "create | AUTHZ | resourceaccessreviews subjectaccessreviews",
)
_WORKLOADS = (
    "apps | daemonsets deployments deployments/scale",
    "apps | replicasets replicasets/scale statefulsets statefulsets/scale",
    "autoscaling | horizontalpodautoscalers",
    "batch | cronjobs jobs",
    "policy | poddisruptionbudgets",
    "networking.k8s.io | ingresses networkpolicies",
)
_OPENSHIFT_WORKLOADS = (
    "BUILD | buildconfigs buildconfigs/webhooks builds",
    "APPS | deploymentconfigs deploymentconfigs/scale",
    "ROUTE | routes",
    "TEMPLATE | processedtemplates templateconfigs templateinstances templates",
)
_OPENSHIFT_EDIT = (
    *(f"READ WRITE | {each}" for each in _OPENSHIFT_WORKLOADS),
    "READ | BUILD | builds/log",
    "create | BUILD | buildconfigs/instantiate buildconfigs/instantiatebinary builds/clone",
    "update | BUILD | builds/details",
    "create | APPS | deploymentconfigrollbacks deploymentconfigs/rollback",
    "create | APPS | deploymentconfigs/instantiate",
    "READ | APPS | deploymentconfigs/log deploymentconfigs/status",
    "create | ROUTE | routes/custom-host",
    "READ | ROUTE | routes/status",
    "READ | QUOTA | appliedclusterresourcequotas",
    "READ | core | resourcequotausages",
)
_DISCOVERY = (
    "get | / /.well-known /.well-known/* /api /api/* /apis /apis/* /healthz /livez /openapi"
    " /openapi/* /readyz /version /version/*"
)


def cluster_roles() -> list[ClusterRole]:
    """All of them."""
    return [*_everybody(), *_projects(), *_images(), *_cluster()]


def _everybody() -> list[ClusterRole]:
    """What people and programs need to find their way, mostly bound to all of them."""
    return [
        cluster_role("cluster-admin", "* | * | *", "* | *"),
        cluster_role("system:discovery", _DISCOVERY),
        cluster_role("system:openshift:discovery", _DISCOVERY),
        cluster_role(
            "system:public-info-viewer", "get | /healthz /livez /readyz /version /version/"
        ),
        cluster_role("system:openshift:public-info-viewer", "get | /.well-known /.well-known/*"),
        cluster_role(
            "system:basic-user",
            "create | authorization.k8s.io | selfsubjectaccessreviews selfsubjectrulesreviews",
            "create | authentication.k8s.io | selfsubjectreviews",
        ),
        cluster_role(
            "system:service-account-issuer-discovery",
            "get | /.well-known/openid-configuration /.well-known/openid-configuration/"
            " /openid/v1/jwks /openid/v1/jwks/",
        ),
        gathering_role(
            "basic-user",
            _TO_BASIC_USER,
            description="A user that can get basic information about projects.",
        ),
        cluster_role(
            "system:openshift:aggregate-to-basic-user",
            "get | USER | users | ~",
            "list | PROJECT | projectrequests",
            "get list | AUTHZ | clusterroles",
            "READ | RBAC | clusterroles",
            "list watch | PROJECT | projects",
            "create | AUTHZ | selfsubjectrulesreviews",
            "create | authorization.k8s.io | selfsubjectaccessreviews",
            # Here: OpenShift lets a review of oneself pass as a selfsubjectaccessreview before
            # RBAC is asked. The storage of these refuses a review of others without the right.
            "create | authorization.openshift.io | subjectaccessreviews",
            labels=(_TO_BASIC_USER,),
        ),
        cluster_role(
            "self-access-reviewer",
            "create | AUTHZ | selfsubjectrulesreviews",
            "create | authorization.k8s.io | selfsubjectaccessreviews",
        ),
        cluster_role(
            "self-provisioner",
            "create | PROJECT | projectrequests",
            description="A user that can request projects.",
        ),
        cluster_role(
            "cluster-status",
            "get | /healthz /healthz/",
            _DISCOVERY,
            description="A user that can get basic cluster status information.",
        ),
        cluster_role(
            "system:oauth-token-deleter",
            "delete | OAUTH | oauthaccesstokens oauthauthorizetokens",
        ),
        cluster_role(
            "system:openshift:useroauthaccesstoken-manager",
            "get list watch delete | OAUTH | useroauthaccesstokens",
        ),
        cluster_role(
            "system:scope-impersonation",
            "impersonate | authentication.k8s.io | userextras/scopes.authorization.openshift.io",
        ),
    ]


def _projects() -> list[ClusterRole]:
    """admin, edit and view, and the parts that they gather."""
    return [
        gathering_role(
            "admin",
            f"{TO}admin",
            description="A user that has edit rights within the project and can change the "
            "project's membership.",
        ),
        gathering_role(
            "edit",
            f"{TO}edit",
            into="admin",
            description="A user that can create and edit most objects in a project, but can not "
            "update the project's membership.",
        ),
        gathering_role(
            "view",
            f"{TO}view",
            into="edit",
            description="A user who can view but not edit any resources within the project. They "
            "can not view secrets or membership.",
        ),
        cluster_role(
            "system:aggregate-to-admin",
            "create | authorization.k8s.io | localsubjectaccessreviews",
            "READ WRITE | RBAC | rolebindings roles",
            into="admin",
        ),
        cluster_role(
            "system:aggregate-to-edit",
            "READ | core | pods/attach pods/exec pods/portforward pods/proxy secrets"
            " services/proxy",
            "impersonate | core | serviceaccounts",
            "WRITE | core | pods pods/attach pods/exec pods/portforward pods/proxy",
            "create | core | pods/eviction",
            "WRITE | core | configmaps events persistentvolumeclaims replicationcontrollers"
            " replicationcontrollers/scale secrets serviceaccounts services services/proxy",
            "create | core | serviceaccounts/token",
            *(f"WRITE | {each}" for each in _WORKLOADS),
            into="edit",
        ),
        cluster_role(
            "system:aggregate-to-view",
            "READ | core | configmaps endpoints persistentvolumeclaims"
            " persistentvolumeclaims/status pods replicationcontrollers"
            " replicationcontrollers/scale serviceaccounts services services/status",
            "READ | core | bindings events limitranges namespaces/status pods/log pods/status"
            " replicationcontrollers/status resourcequotas resourcequotas/status",
            "READ | core | namespaces",
            *(f"READ | {each}" for each in _WORKLOADS),
            into="view",
        ),
        cluster_role(
            "system:openshift:aggregate-to-admin",
            *_ADMIN_REVIEWS,
            *_ADMIN_IMAGES,
            _WRITE_POLICIES,
            *_REPLAY,
            "delete get patch update | PROJECT | projects",
            *_OPENSHIFT_EDIT,
            "update | ROUTE | routes/status",
            into="admin",
        ),
        cluster_role(
            "system:openshift:aggregate-to-edit",
            *_ADMIN_IMAGES,
            "get | PROJECT | projects",
            *_OPENSHIFT_EDIT,
            into="edit",
        ),
        cluster_role(
            "system:openshift:aggregate-to-view",
            "READ | IMAGE | STREAMS",
            "READ | IMAGE | imagestreams/status",
            _HISTORY,
            _READ_POLICIES,
            "get | PROJECT | projects",
            *(f"READ | {each}" for each in _OPENSHIFT_WORKLOADS),
            "READ | BUILD | builds/log",
            "READ | APPS | deploymentconfigs/log deploymentconfigs/status",
            "READ | ROUTE | routes/status",
            "READ | QUOTA | appliedclusterresourcequotas",
            "READ | core | resourcequotausages",
            into="view",
        ),
    ]


def _images() -> list[ClusterRole]:
    """Roles for pulling, pushing and looking after images."""
    return [
        cluster_role(
            "system:image-puller",
            "get | IMAGE | imagestreams/layers",
            description="Grants the right to pull images from within a project.",
        ),
        cluster_role(
            "system:image-pusher",
            "get update | IMAGE | imagestreams/layers",
            description="Grants the right to push and pull images from within a project.",
        ),
        cluster_role(
            "system:image-builder",
            "get update | IMAGE | imagestreams/layers",
            "create | IMAGE | imagestreams",
            "update | BUILD | builds/details",
            "get | BUILD | builds",
            into="admin edit",
            description="Grants the right to build, push and pull images from within a project."
            "  Used primarily with service accounts for builds.",
        ),
        cluster_role(
            "system:image-signer",
            "get | IMAGE | images imagestreams/layers",
            "create delete | IMAGE | imagesignatures",
        ),
        cluster_role("system:image-auditor", "READ patch update | IMAGE | images"),
        cluster_role(
            "system:image-pruner",
            "get list | core | pods replicationcontrollers",
            "list | core | limitranges",
            "get list | BUILD | buildconfigs builds",
            "get list | APPS | deploymentconfigs",
            "get list | batch | cronjobs jobs",
            "get list | apps | daemonsets deployments replicasets statefulsets",
            "delete | IMAGE | images",
            "READ | IMAGE | images imagestreams",
            "update | IMAGE | imagestreams/status",
        ),
        cluster_role(
            "registry-viewer",
            "READ | IMAGE | STREAMS",
            "get | IMAGE | imagestreams/layers",
            "get | core | namespaces",
            "get | PROJECT | projects",
            _HISTORY,
            _READ_POLICIES,
            into="view",
        ),
        cluster_role("registry-editor", *_REGISTRY, "get | PROJECT | projects", into="edit"),
        cluster_role(
            "registry-admin",
            *_REGISTRY,
            *_ADMIN_REVIEWS,
            _WRITE_POLICIES,
            *_REPLAY,
            "READ WRITE | RBAC | rolebindings roles",
            "create | authorization.k8s.io | localsubjectaccessreviews",
            "delete get | PROJECT | projects",
            into="admin",
        ),
        cluster_role(
            "system:registry",
            "list | core | limitranges resourcequotas",
            "get | IMAGE | imagestreamimages imagestreams/layers imagestreams/secrets",
            "get update | IMAGE | imagestreams",
            "delete | IMAGE | imagestreamtags",
            "create get update | IMAGE | images",
            "create | IMAGE | imagestreammappings",
            "list | operator.openshift.io | imagecontentsourcepolicies",
            "list | config.openshift.io | imagedigestmirrorsets imagetagmirrorsets",
            "create | authorization.k8s.io | subjectaccessreviews",
        ),
        cluster_role(
            "system:deployer",
            "delete | core | replicationcontrollers",
            "READ patch update | core | replicationcontrollers",
            "get update | core | replicationcontrollers/scale",
            "READ create | core | pods",
            "get | core | pods/log",
            "create list | core | events",
            "create update | IMAGE | imagestreamtags imagetags",
            description="Grants the right to deploy within a project.  Used primarily with service"
            " accounts for automated deployments.",
        ),
    ]


def _cluster() -> list[ClusterRole]:
    """Roles for the whole cluster."""
    return [
        gathering_role("cluster-reader", f"{TO}cluster-reader", f"{TO}view"),
        cluster_role(
            "system:openshift:aggregate-to-cluster-reader",
            "READ | RBAC | clusterrolebindings clusterroles rolebindings roles",
            "READ | AUTHZ | clusterrolebindings clusterroles rolebindings roles",
            "READ | IMAGE | images imagesignatures",
            "get | IMAGE | imagestreams/layers",
            "READ | OAUTH | oauthclientauthorizations",
            "list watch | PROJECT | projects",
            "READ | PROJECT | projectrequests",
            "READ | QUOTA | clusterresourcequotas clusterresourcequotas/status",
            "READ | USER | groups identities useridentitymappings users",
            "get list | tidegate.io | clusterbackgroundjobs upstreams",
            "READ | tidegate.io | clustereventsubscriptions",
            "READ | config.openshift.io | imagedigestmirrorsets images imagetagmirrorsets",
            "READ | operator.openshift.io | imagecontentsourcepolicies",
            "get | config.openshift.io | images/inforce",
            "create | AUTHZ | localresourceaccessreviews localsubjectaccessreviews"
            " resourceaccessreviews selfsubjectrulesreviews subjectaccessreviews"
            " subjectrulesreviews",
            "create | authorization.k8s.io | localsubjectaccessreviews selfsubjectaccessreviews"
            " selfsubjectrulesreviews subjectaccessreviews",
            "create | authentication.k8s.io | tokenreviews",
            "get | *",
            into="cluster-reader",
        ),
        cluster_role(
            "system:auth-delegator",
            "create | authentication.k8s.io | tokenreviews",
            "create | authorization.k8s.io | subjectaccessreviews",
        ),
        cluster_role("cluster-debugger", "get | /debug/pprof /debug/pprof/* /metrics"),
    ]
