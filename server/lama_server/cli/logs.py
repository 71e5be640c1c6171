"""Log lines: one JSON object each, so that nothing in a request can make a line look like another."""

from __future__ import annotations

import json
import logging
import time
import traceback

_EXTRA = ("request_id", "ms")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; control characters are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:4000],
        }
        line.update({name: getattr(record, name) for name in _EXTRA if hasattr(record, name)})
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=True)


def configure(level: str) -> None:
    """Sends log lines of `level` and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("lama_server.http.access").setLevel(logging.INFO if level == "debug" else logging.WARNING)
