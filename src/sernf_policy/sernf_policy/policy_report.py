"""What the running policy says about itself: once a second for diagnostics, and what is new for the log."""

from __future__ import annotations

import math

from sernf_policy.likelihood_monitor import Evidence, Trust
from sernf_policy.observation_sync import ObservationSync, object_topic
from sernf_policy.policy_session import Decision, PolicySession
from sernf_policy.tick_schedule import TickSchedule
from sernf_policy.weights_store import WeightsStore

OK, WARN, ERROR = 0, 1, 2
"""Levels as in diagnostic_msgs."""
REPEAT_S = 2.0
CHANGING = ("missing", "doubt")
"""Kinds whose text tells a number that is another at every tick: said again so often."""


class PolicyReport:
    """Reads from the others, changes nothing in them but the maxima that it has reported."""

    def __init__(self, session: PolicySession, store: WeightsStore, sync: ObservationSync, schedule: TickSchedule) -> None:
        self._session, self._store, self._sync, self._schedule = session, store, sync, schedule
        self._tick = 0
        self._latency_s = self._longest_latency_s = 0.0
        self._said: dict[str, tuple[str, float]] = {}
        self._reported_missed = self._reported_troubles = 0

    def note(self, tick: int, decision: Decision) -> None:
        """A tick is over."""
        self._tick = tick
        if decision.chunk is not None:
            self._latency_s = decision.chunk.planned.inference_s
            self._longest_latency_s = max(self._latency_s, self._longest_latency_s)

    def news(self, now_s: float) -> list[str]:
        """What the log has not heard yet, or not for a while; at most one line of each kind."""
        session = self._session
        kinds = {
            "missing": f"no command: {session.missing}" if session.missing else "",
            "not_ours": f"no command: {session.not_ours}" if session.not_ours else "",
            "trouble": session.trouble,
            "doubt": f"unlike the data: {session.doubt}" if session.trust is not Trust.LIKELY else "",
            "alarm": session.alarm,
            "refusal": f"weights refused: {self._store.last_refusal}" if self._store.last_refusal else "",
        }
        return [text for kind, text in kinds.items() if self._is_news(kind, text, now_s)]

    def _is_news(self, kind: str, text: str, now_s: float) -> bool:
        before, said_s = self._said.get(kind, ("", -math.inf))
        if text == before or (kind in CHANGING and text and now_s - said_s < REPEAT_S):
            return False
        self._said[kind] = (text, now_s if text else -math.inf)
        return bool(text)

    def report(self, now_ns: int) -> tuple[int, str, dict[str, object]]:
        """Level, one sentence, values; maxima since the last report."""
        level, message = self._state()
        return level, message, self._values(now_ns)

    def _state(self) -> tuple[int, str]:
        session, store = self._session, self._store
        missed, self._reported_missed = self._schedule.missed - self._reported_missed, self._schedule.missed
        counts = session.counts
        troubles = counts.failures + counts.timeouts + counts.restarts
        new_troubles, self._reported_troubles = troubles - self._reported_troubles, troubles
        if session.alarm:
            return ERROR, session.alarm
        if session.missing:
            return ERROR, session.missing
        if store.running is None:
            if store.loading:
                return OK, f"loading {store.loading}"
            return WARN, f"no weights run: {store.last_refusal or 'load some with policy/load_weights'}"
        if session.trust is not Trust.LIKELY:
            return WARN, f"unlike the data: {session.doubt}"
        if new_troubles > 0:
            return WARN, session.trouble
        if missed > 0:
            return WARN, f"{missed} control ticks came more than half a period late"
        if session.not_ours:
            return OK, session.not_ours
        return OK, f"mode {session.mode.value}, {store.running.version}"

    def _values(self, now_ns: int) -> dict[str, object]:
        session, store, counts = self._session, self._store, self._session.counts
        running = store.running
        about = {"version": "", "sha256": "", "stage": "", "file": ""}
        if running is not None:
            described = running.description
            about = {"version": running.version, "sha256": running.sha256, "stage": described.stage, "file": described.file}
        topics = ["joint_states", "bridge_state"]
        topics += [object_topic(name) for name in running.layout.objects] if running is not None else []
        ages = {topic: self._sync.age_s(topic, now_ns) for topic in topics}
        values: dict[str, object] = {
            "mode": session.mode.value,
            **about,
            "previous": "" if store.previous is None else store.previous.version,
            "loading": store.loading,
            "last_refusal": store.last_refusal,
            "pinned": store.pinned,
            "chunk_latency_ms": _ms(self._latency_s),
            "longest_chunk_latency_ms": _ms(self._longest_latency_s),
            "queue_depth": session.queue_depth(self._tick),
            "seam_jump_rad": round(session.seam_jump_rad, 4),
            "missing": session.missing,
            "not_ours": session.not_ours,
            "trouble": session.trouble,
            "trust": session.trust.value,
            **_likelihood(session.evidence),
            **vars(counts),
            "missed_ticks": self._schedule.missed,
            "pictures": self._sync.cameras.received,
            "pictures_unmatched": self._sync.cameras.received - self._sync.cameras.matched_pictures,
            **{f"age_of_{topic}_ms": "never" if age_s is None else _ms(age_s) for topic, age_s in ages.items()},
        }
        session.seam_jump_rad = self._longest_latency_s = 0.0
        return values


def _likelihood(evidence: Evidence | None) -> dict[str, object]:
    if evidence is None:
        return {}
    return {
        "sampled_nats": round(evidence.sampled_nats, 3),
        "executed_nats": round(evidence.executed_nats, 3),
        "distance": round(evidence.distance, 2),
        "farthest": evidence.farthest,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)
