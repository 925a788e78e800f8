"""Prometheus' own client reads exposition text: metrics.py FILE prints one JSON line.

The parser refuses what a scrape would refuse: samples before their TYPE, a name told twice, values
that are no numbers. What it takes silently is looked for here: histograms whose buckets fall or do
not end with the count, counters that do not end in _total, metrics without HELP.
"""
import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(open(sys.argv[1], encoding="utf-8").read()))
faults = []
for family in families:
    if not family.documentation:
        faults.append(f"{family.name}: no HELP")
    if family.type == "unknown":
        faults.append(f"{family.name}: no TYPE")
    labels = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
    if len(set(labels)) != len(labels):
        faults.append(f"{family.name}: a series is told twice")
    if family.type == "counter":
        faults += [f"{s.name}: a counter without _total" for s in family.samples if not s.name.endswith("_total")]
    if family.type == "histogram":
        series = {}
        for sample in family.samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault(key, {}).setdefault(sample.name, []).append(sample)
        for key, parts in series.items():
            buckets = parts.get(f"{family.name}_bucket", [])
            values = [bucket.value for bucket in buckets]
            if values != sorted(values) or not buckets or buckets[-1].labels["le"] != "+Inf":
                faults.append(f"{family.name}{key}: buckets {values}")
            elif parts[f"{family.name}_count"][0].value != values[-1]:
                faults.append(f"{family.name}{key}: the last bucket is not the count")
print(json.dumps({"families": [family.name for family in families], "faults": faults}))
