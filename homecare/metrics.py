"""The metrics of the contract: name, unit, plausible range, code.

One table; the checks, the columns of `sample`, the rules, the charts and the exports all read it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity. `unit` is UCUM, `low..high` the plausible range (inclusive), `loinc` its code or None."""

    name: str
    unit: str
    low: float
    high: float
    loinc: str | None
    zh: str
    en: str


METRICS: Final = (
    Metric("heart_rate", "/min", 20, 250, "8867-4", "心率", "Heart rate"),
    Metric("spo2", "%", 40, 100, "59408-5", "血氧饱和度", "Oxygen saturation"),
    Metric("respiratory_rate", "/min", 2, 80, "9279-1", "呼吸频率", "Respiratory rate"),
    Metric("systolic", "mm[Hg]", 40, 300, "8480-6", "收缩压", "Systolic pressure"),
    Metric("diastolic", "mm[Hg]", 20, 200, "8462-4", "舒张压", "Diastolic pressure"),
    Metric("temperature", "Cel", 25, 45, "8310-5", "体温", "Body temperature"),
    Metric("glucose", "mmol/L", 0.5, 50, "14743-9", "血糖", "Blood glucose"),
    Metric("weight", "kg", 10, 400, "29463-7", "体重", "Weight"),
    Metric("height", "cm", 50, 260, "8302-2", "身高", "Height"),
    Metric("steps", "1", 0, 20_000, "55423-8", "步数", "Steps"),
    Metric("activity", "1", 0, 1e6, None, "活动量", "Activity"),
    Metric("presence", "1", 0, 1, None, "在场", "Presence"),
    Metric("room_temperature", "Cel", -40, 60, None, "室温", "Room temperature"),
    Metric("battery", "%", 0, 100, None, "电量", "Battery"),
    Metric("signal", "dBm", -140, 0, None, "信号", "Signal"),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}
INDEX: Final = {metric.name: index for index, metric in enumerate(METRICS)}
"""Metric name -> column of `Samples.values`."""
