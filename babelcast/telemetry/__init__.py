"""What the system tells of itself by OpenTelemetry."""
