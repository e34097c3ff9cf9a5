"""Writing down which rules were gone against."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database
from sidecar.errors import Away
from sidecar.identity import now, uuid7
from sidecar.rules.inspection import Findings, Hit
from sidecar.rules.models import FIELD_CHARACTERS, RuleHit
from sidecar.seldom import Seldom

ONCE_IN_S = 60.0
IN_THAT_TIME_AT_MOST = 200

log = structlog.get_logger(__name__)


class Hits:
    """One a process."""

    def __init__(self, database: Database, *, keep_texts: bool) -> None:
        self._database = database
        self._keep_texts = keep_texts
        self._seldom = Seldom(once_in_s=ONCE_IN_S, at_most=IN_THAT_TIME_AT_MOST)

    def note(self, session: AsyncSession, findings: Findings, user_id: UUID, generation_id: UUID) -> None:
        """Write down what was let in all the same, in the transaction that lets it in."""
        for hit in findings.hits:
            self._add(session, hit, user_id, generation_id)

    async def note_refusal(self, findings: Findings, user_id: UUID) -> None:
        """
        Write down what was refused: the same text of the same person once a minute, and of everybody together no more
        than some.
        """
        due = [hit for hit in findings.hits if self._seldom.is_due((user_id, hit.rule_id, hit.field, hit.text_hash))]
        if not any(hit.rule_name for hit in due):
            return
        try:
            async with self._database.writing() as session:
                for hit in due:
                    self._add(session, hit, user_id, None)
        except Away:  # it stays refused
            log.warning("rule_hits_not_noted", exc_info=True)

    def _add(self, session: AsyncSession, hit: Hit, user_id: UUID, generation_id: UUID | None) -> None:
        if not hit.rule_name:
            return
        session.add(
            RuleHit(
                id=uuid7(),
                rule_id=hit.rule_id,
                rule_name=hit.rule_name,
                user_id=user_id,
                generation_id=generation_id,
                action=hit.action,
                level=hit.level,
                code=hit.code,
                field=hit.field[:FIELD_CHARACTERS],
                text_hash=hit.text_hash,
                text=hit.text.replace("\0", "") if self._keep_texts and hit.text is not None else None,
                at=now(),
            )
        )
