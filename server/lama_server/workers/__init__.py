"""Work that must not run in the web process: one queue of jobs, supervised child processes, typed messages between."""
