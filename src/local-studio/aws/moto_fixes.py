"""Fixes for requests that moto accepts and AWS rejects, or the reverse. Each fix has its reason."""

import json
from collections.abc import Callable
from inspect import signature
from types import SimpleNamespace
from typing import Any

from moto import backends
from moto.athena.responses import AthenaResponse
from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import EC2Backend
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.utils import generic_filter, is_tag_filter
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.iam.responses import IamResponse
from moto.kms.models import KmsBackend
from moto.s3.models import S3Backend
from moto.sagemaker.models import FakeEndpointConfig, SageMakerModelBackend

from studio.errors import ValidationException


def install() -> None:
    _keep_descriptions_of_group_rules()
    _refuse_deletions_with_dependents()
    _release_nat_gateways()
    _filter_nat_gateways_by_tags()
    _read_conditions_of_bucket_policies()
    _take_arns_of_keys()
    _list_all_roles_of_a_policy()
    _store_endpoint_configurations()
    _update_athena_workgroups()
    _list_no_tags_in_athena()
    _copy_only_listed_versions()
    _list_modules_once()


def _keep_descriptions_of_group_rules() -> None:
    """moto stores the description of a rule only for address ranges. For security groups and prefix lists it
    loses the description, so every later plan would set it again."""
    create = SecurityGroupRule.__init__
    parameters = signature(create)

    def create_with_description(rule: Any, *args: Any, **keywords: Any) -> None:
        create(rule, *args, **keywords)
        prefix_list = parameters.bind(rule, *args, **keywords).arguments.get("prefix_list_id")
        rule.prefix_list_description = (prefix_list or {}).get("Description")

    def description(rule: Any) -> str | None:
        other_side: dict[str, str] = rule.ip_range or rule.source_group
        return other_side.get("Description") or rule.prefix_list_description

    rule_class: Any = SecurityGroupRule
    rule_class.__init__ = create_with_description
    rule_class.description = property(description)


def _network_interfaces(ec2: EC2Backend, keep: Callable[[Any], bool]) -> list[Any]:
    return [interface for interface in ec2.enis.values() if keep(interface)]


def _refuse_deletions_with_dependents() -> None:
    """AWS does not delete a VPC, subnet or security group that is in use. Without this check,
    `terraform destroy` would succeed here and fail on AWS, where the file system of a Studio domain leaves
    network interfaces and security groups."""
    delete_vpc, delete_subnet = EC2Backend.delete_vpc, EC2Backend.delete_subnet
    delete_security_group = EC2Backend._delete_security_group
    detach_internet_gateway = EC2Backend.detach_internet_gateway

    def checked_delete_vpc(ec2: EC2Backend, vpc_id: str) -> Any:
        groups = [group for group in ec2.groups.get(vpc_id, {}).values() if group.name != "default"]
        gateways = [
            gateway for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id
        ]
        interfaces = _network_interfaces(ec2, lambda interface: interface.subnet.vpc_id == vpc_id)
        if groups or gateways or interfaces:
            # Source: gruntwork-io/cloud-nuke#345 (including the wording).
            raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        return delete_vpc(ec2, vpc_id)

    def checked_delete_subnet(ec2: EC2Backend, subnet_id: str) -> Any:
        if _network_interfaces(ec2, lambda interface: interface.subnet.id == subnet_id):
            # Source: hashicorp/terraform#31658 (including the wording).
            raise DependencyViolationError(
                f"The subnet '{subnet_id}' has dependencies and cannot be deleted."
            )
        return delete_subnet(ec2, subnet_id)

    def checked_delete_security_group(ec2: EC2Backend, vpc_id: str | None, group_id: str) -> None:
        referring = [
            group
            for groups in ec2.groups.values()
            for group in groups.values()
            if group.id != group_id
            and any(
                rule.source_group.get("GroupId") == group_id
                for rule in [*group.ingress_rules, *group.egress_rules]
            )
        ]
        using = _network_interfaces(
            ec2, lambda interface: group_id in [group.id for group in interface.group_set]
        )
        if referring or using:
            # Source: hashicorp/terraform#31658 (including the wording).
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        delete_security_group(ec2, vpc_id, group_id)

    def checked_detach_internet_gateway(ec2: EC2Backend, internet_gateway_id: str, vpc_id: str) -> None:
        if any(
            gateway.vpc_id == vpc_id and gateway.state != "deleted" for gateway in ec2.nat_gateways.values()
        ):
            # Source: hashicorp/terraform#31658 (including the wording).
            raise DependencyViolationError(
                f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) "
                "before detaching the gateway."
            )
        detach_internet_gateway(ec2, internet_gateway_id, vpc_id)

    backend: Any = EC2Backend
    backend.delete_vpc = checked_delete_vpc
    backend.delete_subnet = checked_delete_subnet
    backend._delete_security_group = checked_delete_security_group
    backend.detach_internet_gateway = checked_detach_internet_gateway


def _release_nat_gateways() -> None:
    """moto keeps the network interface of a deleted NAT gateway, so the subnet could never be deleted. moto
    also keeps the public address associated, so no other gateway could use it.
    Source: Amazon EC2 API reference, DeleteNatGateway: the address is disassociated, but not released."""
    delete_nat_gateway = EC2Backend.delete_nat_gateway

    def delete_with_interface(ec2: EC2Backend, nat_gateway_id: str) -> NatGateway:
        gateway = delete_nat_gateway(ec2, nat_gateway_id)
        for address in ec2.addresses:
            if address.eni is gateway._eni:
                ec2.disassociate_address(address=address.public_ip)
        ec2.enis.pop(gateway._eni.id, None)
        return gateway

    backend: Any = EC2Backend
    backend.delete_nat_gateway = delete_with_interface


def _filter_nat_gateways_by_tags() -> None:
    """moto ignores these filters, so the gateways of one environment would be those of all.
    Source: Amazon EC2 API reference, DescribeNatGateways, Filter: `tag:<key>` and `tag-key`."""
    describe_nat_gateways = EC2Backend.describe_nat_gateways

    def describe_filtered(
        ec2: EC2Backend, filters: Any, nat_gateway_ids: list[str] | None
    ) -> list[NatGateway]:
        of_tags = {name: values for name, values in (filters or {}).items() if is_tag_filter(name)}
        return generic_filter(of_tags, describe_nat_gateways(ec2, filters, nat_gateway_ids))

    backend: Any = EC2Backend
    backend.describe_nat_gateways = describe_filtered


def _read_conditions_of_bucket_policies() -> None:
    """moto applies every Deny whose condition it cannot evaluate, so a policy that denies plain HTTP
    (aws:SecureTransport false) would reject all requests with 403. This endpoint replaces an HTTPS endpoint
    of AWS, so that condition is never true. moto has no values for other conditions either, so a Deny with a
    condition is ignored here."""
    is_action_permitted = IAMPolicyStatement.is_action_permitted

    def with_conditions(statement: IAMPolicyStatement, *args: Any, **keywords: Any) -> PermissionResult:
        if statement._statement.get("Effect") == "Deny" and statement._statement.get("Condition"):
            return PermissionResult.NEUTRAL
        return is_action_permitted(statement, *args, **keywords)

    statement_class: Any = IAMPolicyStatement
    statement_class.is_action_permitted = with_conditions


def _take_arns_of_keys() -> None:
    """In these requests AWS also accepts the ARN of a key, but moto fails.
    Source: AWS KMS API reference, "KeyId" of each operation."""

    def taking_arns(method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda kms, key_id, *args: method(kms, key_id.split(":key/")[-1], *args)

    backend: Any = KmsBackend
    for name in ("cancel_key_deletion", "disable_key", "enable_key", "schedule_key_deletion"):
        setattr(backend, name, taking_arns(getattr(backend, name)))


def _list_all_roles_of_a_policy() -> None:
    """moto looks at the first 100 roles of the account only: with more people, each plan would attach the
    policies again."""
    list_entities = IamResponse.list_entities_for_policy

    def list_all(response: Any) -> Any:
        roles = [role for role in response.backend.roles.values() if _is_asked_for(response, role)]
        answer: Any = list_entities(response)
        answer.result["PolicyRoles"] = roles
        return answer

    response_class: Any = IamResponse
    response_class.list_entities_for_policy = list_all


def _is_asked_for(response: Any, role: Any) -> bool:
    return (
        response._get_param("EntityFilter") in (None, "Role")
        and role.path.startswith(response._get_param("PathPrefix") or "/")
        and response._get_param("PolicyArn") in role.managed_policies
    )


def _store_endpoint_configurations() -> None:
    """moto replaces an existing configuration, and rejects instance types that its list lacks. Requests are
    held to botocore's list."""
    create = SageMakerModelBackend.create_endpoint_config

    def create_once(backend: Any, endpoint_config_name: str, *args: Any, **keywords: Any) -> Any:
        if existing := backend.endpoint_configs.get(endpoint_config_name):
            # Source: awslabs/spot-tagging-bot-for-digital-assets#2 (including the wording).
            raise ValidationException(
                f'Cannot create already existing endpoint configuration "{existing.endpoint_config_arn}".'
            )
        return create(backend, endpoint_config_name, *args, **keywords)

    backend_class: Any = SageMakerModelBackend
    backend_class.create_endpoint_config = create_once
    config_class: Any = FakeEndpointConfig
    config_class.validate_instance_type = lambda _, __: None


def _update_athena_workgroups() -> None:
    """moto has no UpdateWorkGroup, which Terraform sends when the limit of a query changes."""

    def update(response: Any) -> str:
        configuration = response.athena_backend.work_groups[response._get_param("WorkGroup")].configuration
        updates = dict(response._get_param("ConfigurationUpdates") or {})
        results = updates.pop("ResultConfigurationUpdates", {})
        configuration.update(updates)
        configuration.setdefault("ResultConfiguration", {}).update(results)
        return "{}"

    response_class: Any = AthenaResponse
    response_class.update_work_group = update


def _list_no_tags_in_athena() -> None:
    """moto answers with an error for a workgroup without tags.
    Source: Amazon Athena API reference, ListTagsForResource: a list of tags."""

    def list_tags(response: Any) -> str:
        return json.dumps(
            response.athena_backend.tagger.list_tags_for_resource(response._get_param("ResourceARN"))
        )

    response_class: Any = AthenaResponse
    response_class.list_tags_for_resource = list_tags


def _copy_only_listed_versions() -> None:
    """moto copies every object of the bucket, with its content, to list the versions of one. Terraform lists
    them whenever it deletes an object, which took half of this server's time in a destroy."""
    list_versions = S3Backend.list_object_versions
    parameters = signature(list_versions)

    def list_matching(s3: Any, bucket_name: str, *args: Any, **keywords: Any) -> Any:
        prefix = parameters.bind(s3, bucket_name, *args, **keywords).arguments.get("prefix") or ""
        keys = s3.get_bucket(bucket_name).keys
        matching = [(name, versions) for name, versions in keys.iterlists() if name.startswith(prefix)]
        bucket = SimpleNamespace(keys=SimpleNamespace(iterlists=lambda: matching))
        with_matching: Any = SimpleNamespace(get_bucket=lambda _: bucket)
        return list_versions(with_matching, bucket_name, *args, **keywords)

    s3_class: Any = S3Backend
    s3_class.list_object_versions = list_matching


def _list_modules_once() -> None:
    """moto reads its own folder for each request."""
    modules = tuple(backends.list_of_moto_modules())
    backends_module: Any = backends
    backends_module.list_of_moto_modules = lambda: modules
