"""What the node tells its operator: metrics, log, traces. Labels are closed sets; no secret comes here."""
