"""The part of the AWS Cloud Control API with which Terraform reads a Studio domain. moto does not have it."""

import json

from werkzeug.wrappers import Response

from aws_request import AwsRequest
from studio.responses import ControlPlane

_ACCOUNT = "123456789012"
_DOMAIN = "AWS::SageMaker::Domain"
# Properties of the resource type, which have the same names in DescribeDomain (CloudFormation Template
# Reference, AWS::SageMaker::Domain). The type has no status.
_PROPERTIES = (
    "AppNetworkAccessType",
    "AuthMode",
    "DefaultSpaceSettings",
    "DefaultUserSettings",
    "DomainArn",
    "DomainId",
    "DomainName",
    "HomeEfsFileSystemId",
    "KmsKeyId",
    "SubnetIds",
    "Url",
    "VpcId",
)


def answer(control_plane: ControlPlane, request: AwsRequest) -> Response:
    """Errors have the codes of GetResource. Guess: their wording."""
    members = json.loads(request.http.get_data())
    type_name, identifier = members.get("TypeName"), members.get("Identifier")
    if request.operation.name != "GetResource":
        name = request.operation.name
        return request.refuse(400, "UnsupportedActionException", f"The local AWS does not implement {name}.")
    if type_name != _DOMAIN:
        return request.refuse(400, "TypeNotFoundException", f"The local AWS does not support {type_name}.")
    with control_plane.lock:
        domain = control_plane.studio(_ACCOUNT, request.region, "aws").domains.get(identifier)
        if domain is None or domain.status == "Deleted":
            message = f"Resource of type '{_DOMAIN}' with identifier '{identifier}' was not found."
            return request.refuse(400, "ResourceNotFoundException", message)
        found = {name: domain.members[name] for name in _PROPERTIES if name in domain.members}
    description = {"Identifier": identifier, "Properties": json.dumps(found)}
    body = json.dumps({"TypeName": type_name, "ResourceDescription": description})
    return Response(body, mimetype="application/x-amz-json-1.0")
