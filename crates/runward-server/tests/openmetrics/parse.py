"""Reads metrics as Prometheus does, and writes each sample as [name, labels, value]."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
samples = [[sample.name, sample.labels, sample.value] for family in families for sample in family.samples]
json.dump(samples, sys.stdout)
