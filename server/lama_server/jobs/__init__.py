"""An edit from request to result: queue, runner, auto-save."""
