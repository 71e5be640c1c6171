"""IOPaint's own API, and the two endpoints of lama-cleaner that scripts call, so that what was written for them works.

Facts are those of IOPaint 1.6.0 and lama-cleaner 1.2.5. docs/iopaint.md has a row for each endpoint, with what differs.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends

from . import files, forms, masks, media, models, plugins, progress
from .common import errors_as_text

router = APIRouter(include_in_schema=False, dependencies=[Depends(errors_as_text)])
for part in (files, forms, masks, media, models, plugins, progress):
    router.include_router(part.router)
