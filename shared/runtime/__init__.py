"""What every process needs before it knows of bays: settings, logs, deadlines, egress, metrics, Postgres."""
