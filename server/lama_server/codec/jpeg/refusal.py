"""Why a JPEG cannot be edited in place."""


class NotPatchable(Exception):
    """The file is of a kind that is not patched, or damaged. The message is half a sentence, fit for a header."""
