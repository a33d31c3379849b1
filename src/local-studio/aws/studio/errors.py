"""The errors of the SageMaker API, under AWS's own codes."""

from moto.core.exceptions import ServiceException


class ValidationException(ServiceException):
    code = "ValidationException"


class SerializationException(ServiceException):
    """The body is not JSON, or a member has the wrong JSON type."""

    code = "SerializationException"


class ResourceInUse(ServiceException):
    code = "ResourceInUse"


class ResourceNotFound(ServiceException):
    code = "ResourceNotFound"


class ConflictException(ServiceException):
    code = "ConflictException"


class ResourceLimitExceeded(ServiceException):
    code = "ResourceLimitExceeded"


class UnknownOperationException(ServiceException):
    code = "UnknownOperationException"


class InternalFailure(ServiceException):
    """The local AWS failed, for example because the app host does not respond."""

    code = "InternalFailure"
