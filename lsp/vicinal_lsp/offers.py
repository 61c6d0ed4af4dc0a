"""What was offered: the texts of each answer, where they would stand, and which of them still fit what is typed.

Owns the last offers of the session. It does not know where answers come from nor how they are shown.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vicinal_lsp.documents import Snapshot

if TYPE_CHECKING:
    from vicinal_daemon.protocol import Answer

REMEMBERED = 32


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """An answer as it was offered at a place.

    Attributes:
        answer: the daemon's.
        snapshot: the document it was made for.
        texts: what would stand at the cursor, best first; never empty.
        typed: how many characters of the first text had been typed when it was offered.
    """

    answer: "Answer"
    snapshot: Snapshot
    texts: tuple[str, ...]
    typed: int = 0

    @property
    def id(self) -> str:
        return self.answer.id

    @property
    def percent(self) -> int:
        """The confidence."""
        return round(self.answer.confidence.value * 100)

    def after(self, snapshot: Snapshot) -> "Offer | None":
        """The rest of this offer if all that happened since is that a beginning of it was typed."""
        was = self.snapshot
        typed = snapshot.left[was.offset :]
        if snapshot.uri != was.uri or snapshot.right != was.right or not snapshot.left.startswith(was.left):
            return None
        rest = tuple(text[len(typed) :] for text in self.texts if text.startswith(typed) and len(text) > len(typed))
        return replace(self, snapshot=snapshot, texts=rest, typed=self.typed + len(typed)) if rest else None

    def stands_in(self, snapshot: Snapshot) -> bool:
        """Whether all that happened since is that one of the texts was put in."""
        was = self.snapshot
        inserted = snapshot.left.removeprefix(was.left)
        return (
            snapshot.uri == was.uri
            and snapshot.right == was.right
            and snapshot.left == was.left + inserted
            and inserted in self.texts
        )


@dataclass(slots=True)
class Offers:
    """The last offers, by id; and the last one of each document."""

    _by_id: OrderedDict[str, Offer] = field(default_factory=OrderedDict)
    _last: OrderedDict[str, Offer] = field(default_factory=OrderedDict)

    def add(self, offer: Offer) -> None:
        """This was offered."""
        for kept, key in ((self._by_id, offer.id), (self._last, offer.snapshot.uri)):
            kept[key] = offer
            kept.move_to_end(key)
            if len(kept) > REMEMBERED:
                kept.popitem(last=False)

    def get(self, identity: str) -> Offer | None:
        """An offer by the id of its answer."""
        return self._by_id.get(identity)

    def last(self, uri: str = "") -> Offer | None:
        """The last offer in a document, or anywhere."""
        return self._last.get(uri) if uri else next(reversed(self._last.values()), None)

    def forget(self, uri: str) -> None:
        """A document has changed in a way, or been closed, so that nothing of it can be continued."""
        self._last.pop(uri, None)
