"""What IAM is asked for a request to S3 (Amazon S3 User Guide, "Required permissions for Amazon S3 API
operations"), with the key of the bucket, which S3 uses as its caller."""

from typing import Any
from urllib.parse import unquote

from moto.s3.models import s3_backends

from policy_evaluation import Access, as_list

_OBJECT_ACTIONS = {
    **dict.fromkeys(
        ("CompleteMultipartUpload", "CreateMultipartUpload", "PutObject", "UploadPart"), "PutObject"
    ),
    "AbortMultipartUpload": "AbortMultipartUpload",
    "DeleteObject": "DeleteObject",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "GetObject": "GetObject",
    "GetObjectAcl": "GetObjectAcl",
    "GetObjectAttributes": "GetObjectAttributes",
    "GetObjectTagging": "GetObjectTagging",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PutObjectAcl": "PutObjectAcl",
    "PutObjectTagging": "PutObjectTagging",
    "RestoreObject": "RestoreObject",
    "CopyObject": "PutObject",
    "UploadPartCopy": "PutObject",
}
_BUCKET_ACTIONS = {
    **dict.fromkeys(("HeadBucket", "ListObjects", "ListObjectsV2"), "ListBucket"),
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    **{
        name: name
        for name in (
            *("CreateBucket", "DeleteBucket", "DeleteBucketPolicy", "GetBucketLocation", "GetBucketPolicy"),
            *("GetBucketTagging", "GetBucketVersioning", "PutBucketPolicy", "PutBucketVersioning"),
        )
    },
}
# With the id of a version these actions have other names.
_OF_VERSIONS = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObject": "s3:GetObjectVersion",
}
_KEY_ACTIONS = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}


def accesses(
    operation: str, members: dict[str, Any], account: str, region: str, partition: str
) -> list[Access] | None:
    """None: the table does not know the operation."""
    if operation == "ListBuckets":
        return [Access("s3:ListAllMyBuckets", "*")]
    bucket, version = members.get("Bucket", ""), members.get("VersionId")
    arn = f"arn:{partition}:s3:::{bucket}"
    if operation in _BUCKET_ACTIONS:
        listed = {"s3:prefix": members["Prefix"]} if members.get("Prefix") is not None else {}
        return [Access(f"s3:{_BUCKET_ACTIONS[operation]}", arn, listed)]
    if operation == "DeleteObjects":
        objects = members.get("Delete", {}).get("Objects", [])
        found = [
            _of_object("s3:DeleteObject", f"{arn}/{one['Key']}", one.get("VersionId")) for one in objects
        ]
    elif operation in _OBJECT_ACTIONS:
        found = [_of_object(f"s3:{_OBJECT_ACTIONS[operation]}", f"{arn}/{members.get('Key', '')}", version)]
    else:
        return None
    if members.get("Tagging") is not None and operation != "PutObjectTagging":
        found.append(Access("s3:PutObjectTagging", found[0].resource))
    if isinstance(source := members.get("CopySource"), str):
        path, _, copied = unquote(source).removeprefix("/").partition("?versionId=")
        found.append(_of_object("s3:GetObject", f"arn:{partition}:s3:::{path}", copied or None))
    key = members.get("SSEKMSKeyId") or _default_key(bucket, account, partition)
    if key:
        via = {"kms:viaservice": f"s3.{region}.amazonaws.com", "aws:viaawsservice": "true"}
        used = {_KEY_ACTIONS[one.action] for one in found if one.action in _KEY_ACTIONS}
        found += [Access(action, key, via) for action in sorted(used)]
    return found


def _of_object(action: str, arn: str, version: str | None) -> Access:
    return Access(_OF_VERSIONS.get(action, action) if version else action, arn)


def _default_key(bucket: str, account: str, partition: str) -> str | None:
    found = s3_backends[account][partition].buckets.get(bucket)
    rules: Any = (found.encryption or {}).get("Rule") if found else None
    for rule in as_list(rules):
        key: str | None = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
        return key
    return None
