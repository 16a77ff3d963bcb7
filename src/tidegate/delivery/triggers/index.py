"""Who follows which tag: what a process that acts on triggers knows of workloads, in memory."""

from collections.abc import Iterable, Iterator

from tidegate.delivery.triggers.workload import Workload, WorkloadKey
from tidegate.oci.name import RepositoryName


class Index:
    """Workloads with triggers, by where they are and by the tags that their triggers name."""

    def __init__(self) -> None:
        self.workloads: dict[WorkloadKey, Workload] = {}
        self._followers: dict[RepositoryName, dict[str, set[WorkloadKey]]] = {}
        self._selecting: dict[RepositoryName, set[WorkloadKey]] = {}

    def put(self, key: WorkloadKey, workload: Workload | None) -> None:
        """Know a workload as it is now; None where there is none with triggers."""
        before = self.workloads.pop(key, None)
        if before is not None:
            self._leave(before)
            stays = set() if workload is None else {each.stream for each in workload.sources()}
            for stream in {each.stream for each in before.sources()} - stays:
                self.select(key, stream, selects=False)
        if workload is not None:
            self.workloads[key] = workload
            for stream, tag in workload.sources():
                self._followers.setdefault(stream, {}).setdefault(tag, set()).add(key)

    def _leave(self, workload: Workload) -> None:
        for stream, tag in set(workload.sources()):
            tags = self._followers[stream]
            tags[tag].discard(workload.key)
            if not tags[tag]:
                del tags[tag]
            if not tags:
                del self._followers[stream]

    def select(self, key: WorkloadKey, stream: RepositoryName, *, selects: bool) -> None:
        """Note whether a workload follows more than one tag of a stream, as a policy says."""
        if selects:
            self._selecting.setdefault(stream, set()).add(key)
        elif stream in self._selecting:
            self._selecting[stream].discard(key)
            if not self._selecting[stream]:
                del self._selecting[stream]

    def follows(self, stream: RepositoryName) -> bool:
        """Whether anybody follows a tag of the stream."""
        return stream in self._followers

    def streams(self) -> Iterable[RepositoryName]:
        """Every stream that is followed."""
        return list(self._followers)

    def tags(self, stream: RepositoryName) -> set[str]:
        """The tags of a stream that triggers name."""
        return set(self._followers.get(stream, ()))

    def followers(self, stream: RepositoryName, tags: Iterable[str]) -> set[WorkloadKey]:
        """Who follows these tags of a stream, or chooses among all."""
        named = self._followers.get(stream, {})
        found = set(self._selecting.get(stream, ()))
        for tag in tags:
            found |= named.get(tag, set())
        return found

    def of_namespace(self, namespace: str) -> Iterator[WorkloadKey]:
        """The workloads of a namespace."""
        return (each for each in list(self.workloads) if each.namespace == namespace)
