"""Where trials run: a Ray session, and what each trial may use of it."""

from .packing import GpuMemory, Packing, shape_of, trials_per_gpu
from .resources import SlotPlan, TrialResources, count_slots, describe_nodes, plan_slots
from .session import RaySession, open_session

__all__ = [
    "GpuMemory",
    "Packing",
    "RaySession",
    "SlotPlan",
    "TrialResources",
    "count_slots",
    "describe_nodes",
    "open_session",
    "plan_slots",
    "shape_of",
    "trials_per_gpu",
]
