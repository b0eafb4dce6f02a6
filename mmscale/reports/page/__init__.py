"""One self-contained page of what a run's last test has shown."""
