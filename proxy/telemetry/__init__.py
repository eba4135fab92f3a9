"""Metrics, logs and traces. Metric labels are closed sets; secrets are masked."""
