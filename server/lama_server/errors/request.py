"""What is wrong with a request, from its target to the values of its fields."""

from __future__ import annotations

from .base import ApiError


class BadTarget(ApiError, code="request.bad_target", status=400):
    """The request target is not a path"""


class RequestMalformed(ApiError, code="request.malformed", status=400):
    """The request is malformed"""


class HeadersTooLarge(ApiError, code="request.headers_too_large", status=431):
    """The request's headers are too large"""


class UriTooLong(ApiError, code="request.uri_too_long", status=414):
    """The request target is too long"""


class UploadTimeout(ApiError, code="upload.timeout", status=408, retryable=True):
    """The upload was too slow"""


class HostInvalid(ApiError, code="host.invalid", status=400):
    """The Host header is missing, repeated or malformed"""


class HostNotAllowed(ApiError, code="host.not_allowed", status=403):
    """The server does not answer under this host name"""


class OriginForbidden(ApiError, code="origin.forbidden", status=403):
    """Another site's page may not call this server"""


class AuthRequired(ApiError, code="auth.required", status=401):
    """A token is needed"""


class AuthInvalid(ApiError, code="auth.invalid", status=401):
    """The token is wrong"""


class AuthRateLimited(ApiError, code="auth.rate_limited", status=429, retryable=True):
    """Too many wrong tokens"""


class RouteNotFound(ApiError, code="route.not_found", status=404):
    """There is nothing at this address"""


class MethodNotAllowed(ApiError, code="route.method_not_allowed", status=405):
    """The address does not know this method"""


class BodyTooLarge(ApiError, code="body.too_large", status=413):
    """The body is too large"""


class BodyUnsupportedType(ApiError, code="body.unsupported_type", status=415):
    """The body is of an unsupported type"""


class BodyUnsupportedEncoding(ApiError, code="body.unsupported_encoding", status=415):
    """The body is compressed"""


class MultipartMalformed(ApiError, code="multipart.malformed", status=400):
    """The form cannot be read"""


class TooManyFiles(ApiError, code="multipart.too_many_files", status=413):
    """The form has too many files"""


class TooManyFields(ApiError, code="multipart.too_many_fields", status=413):
    """The form has too many fields"""


class FieldMissing(ApiError, code="field.missing"):
    """A field is missing"""


class FieldDuplicate(ApiError, code="field.duplicate"):
    """A field is there twice"""


class FieldTooLarge(ApiError, code="field.too_large", status=413):
    """A field is too large"""


class FieldNotAFile(ApiError, code="field.not_a_file"):
    """A field must be a file"""


class ParamsMalformed(ApiError, code="params.malformed"):
    """The parameters cannot be read"""


class ParamUnknown(ApiError, code="param.unknown"):
    """There is no such parameter"""


class ParamWrongType(ApiError, code="param.wrong_type"):
    """A parameter is of the wrong type"""


class ParamOutOfRange(ApiError, code="param.out_of_range"):
    """A parameter is out of its range"""


class ParamUnknownValue(ApiError, code="param.unknown_value"):
    """A parameter has no such value"""


class ParamTooLong(ApiError, code="param.too_long"):
    """A parameter is too long"""


class ParamInvalid(ApiError, code="param.invalid"):
    """A parameter cannot be used"""


class MaskBitmapInvalid(ParamInvalid):
    """A bitmap shape whose text is not base64."""


class FormatCannotHold(ParamInvalid):
    """The wanted output format cannot hold this image."""


class BatchInvalid(ParamInvalid):
    """A batch that cannot be planned, or a picture without a mask."""
