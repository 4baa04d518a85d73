"""Where trials run: a Ray session, and what each trial may use of it."""

from .resources import SlotPlan, TrialResources, plan_slots
from .session import RaySession, open_session

__all__ = ["RaySession", "SlotPlan", "TrialResources", "open_session", "plan_slots"]
