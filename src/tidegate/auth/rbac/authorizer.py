"""The `Authorizer` of everything: RBAC from an index that is proven fresh.

An allow is answered from the index while that was confirmed current less than `FRESH_FOR` ago, so a
right that was taken away ends within that time on every process. A deny is asked again after
catching up, so a grant counts at once, everywhere.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.store import Change, ObjectStore
from tidegate.auth.rbac.index import Held, RbacIndex, Reach, Subjects, Verdict
from tidegate.auth.rbac.kinds import MASTERS, PolicyRule
from tidegate.auth.rbac.resources import RESOURCES

FRESH_FOR = 0.5
"""Seconds for which the index counts as current."""


class RbacAuthorizer:
    """Answers from the roles and bindings of `store`; `clock` counts seconds and never goes back.

    Await `start` before asking anything.
    """

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._index = RbacIndex()
        self._pending: list[Change] | None = []  # while the index is to be loaded
        self._confirmed = float("-inf")
        self._catching_up = asyncio.Lock()
        self._begun = 0  # catch-ups, counted
        self._done = 0  # the last one that ended well
        self._failed = 0  # the last one that did not
        self._failure: Exception | None = None

    async def start(self) -> None:
        """Load every role and binding and follow what becomes of them."""
        self._store.follow([each.key for each in RESOURCES], self._follow, self._reset)
        async with self._catching_up:
            await self._load()

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        """Whether `user` may do what `attributes` say."""
        if MASTERS in user.groups:
            return True
        if self._is_fresh() and self._index.allows(user, attributes):
            return True
        await self._catch_up()
        return self._index.allows(user, attributes)

    async def judge(self, user: User) -> Callable[[Attributes], bool]:
        """What answers many questions about one user, all of them as of now."""
        await self._catch_up()
        return lambda attributes: self._index.allows(user, attributes)

    async def explain(self, user: User, attributes: Attributes) -> Verdict:
        """As `authorize`, with the grounds in the words of access reviews."""
        await self._catch_up()
        return self._index.explain(user, attributes)

    async def rules(self, user: User, namespace: str) -> Held:
        """The rules that apply to the user in a namespace ("" for the whole cluster alone)."""
        await self._catch_up()
        return self._index.rules(user, namespace)

    async def rules_of_role(self, namespace: str, name: str) -> Sequence[PolicyRule] | None:
        """The rules of a role, or with namespace "" of a ClusterRole; None when there is none."""
        await self._catch_up()
        return self._index.rules_of_role(namespace, name)

    async def who_can(self, attributes: Attributes) -> Subjects:
        """Everybody whom a binding allows this."""
        await self._catch_up()
        return self._index.who_can(attributes)

    async def namespaces_where(
        self, user: User, attributes: Attributes, *, named: bool = False
    ) -> Reach:
        """In which namespaces the user may do this (see `RbacIndex.namespaces_where`)."""
        await self._catch_up()
        return self._index.namespaces_where(user, attributes, named=named)

    def _follow(self, change: Change) -> None:
        if self._pending is not None:
            self._pending.append(change)
        else:
            self._index.apply(change.key, change.after)

    def _reset(self) -> None:
        """Changes were missed: nothing is answered until all is loaded again."""
        self._pending = []

    async def _load(self) -> None:
        """Build the index from the documents, with what changes meanwhile.

        Every change since the listings began is applied after them, in order, so that each
        document ends up as it is, whether its listing showed it before or after.
        """
        while (pending := self._pending) is not None:
            index = RbacIndex()
            for resource in RESOURCES:
                for document in (await self._store.list(resource.key)).documents:
                    index.apply(document.key, document.body)
            if self._pending is not pending:
                continue  # reset meanwhile
            for change in pending:
                index.apply(change.key, change.after)
            self._index, self._pending = index, None

    def _is_fresh(self) -> bool:
        return self._pending is None and self._clock() - self._confirmed < FRESH_FOR

    async def _catch_up(self) -> None:
        """Have every change applied that is committed by now.

        Those who wait together share one catching-up, if it begins after they asked, and its
        failure too: while the database is away, nobody waits for more than two attempts.
        """
        asked = self._begun
        async with self._catching_up:
            if self._done > asked:
                return
            if self._failure is not None and self._failed > asked:
                raise self._failure.with_traceback(None)
            began = self._clock()
            self._begun += 1
            number = self._begun
            try:
                await self._store.catch_up()
                await self._load()
            except Exception as error:
                self._failed, self._failure = number, error
                raise
            self._done, self._confirmed, self._failure = number, began, None
