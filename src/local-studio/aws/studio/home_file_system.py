"""A domain's home file system and its NFS security groups. SageMaker creates them in the caller's account."""

from dataclasses import dataclass
from typing import Any

from .state import Members, Studio

# Ports of Amazon FSx for Lustre (988, 1018-1023) and NFS (2049).
_PORTS = ((988, 988), (1018, 1023), (2049, 2049))


@dataclass(frozen=True)
class HomeFileSystem:
    studio: Studio
    domain_id: str
    domain_arn: str

    @property
    def _tags(self) -> dict[str, str]:
        return {"ManagedByAmazonSageMakerResource": self.domain_arn}

    def create(self, request: Members) -> str:
        inbound = self._create_security_groups(request["VpcId"])
        efs = self.studio.efs
        file_system = efs.create_file_system(
            creation_token=self.domain_id,
            performance_mode="generalPurpose",
            encrypted=True,
            kms_key_id=request.get("KmsKeyId") or request.get("HomeEfsFileSystemKmsKeyId") or "",
            throughput_mode="bursting",
            provisioned_throughput_in_mibps=0,
            availability_zone_name="",
            backup=False,
            tags=[{"Key": key, "Value": value} for key, value in self._tags.items()],
        )
        zones = set()  # EFS allows one mount target per Availability Zone
        for subnet_id in request["SubnetIds"]:
            zone = self.studio.ec2.get_subnet(subnet_id).availability_zone
            if zone not in zones:
                zones.add(zone)
                efs.create_mount_target(file_system.file_system_id, subnet_id, security_groups=[inbound])
        return str(file_system.file_system_id)

    def _create_security_groups(self, vpc_id: str) -> str:
        """The groups refer to each other, so their rules must be revoked before a group can be deleted."""
        ec2 = self.studio.ec2
        inbound, outbound = (
            ec2.create_security_group(
                f"security-group-for-{direction}-nfs-{self.domain_id}",
                f"[DO NOT DELETE] Security Group that allows {direction} NFS traffic for SageMaker Studio "
                f"Domain [{self.domain_id}]",
                vpc_id,
                tags=self._tags,
            )
            for direction in ("inbound", "outbound")
        )
        outbound.egress_rules.clear()
        for first, last in _PORTS:
            ports: tuple[str, str, str, list[Any]] = ("tcp", str(first), str(last), [])
            ec2.authorize_security_group_ingress(inbound.id, *ports, source_groups=[{"GroupId": outbound.id}])
            ec2.authorize_security_group_egress(outbound.id, *ports, source_groups=[{"GroupId": inbound.id}])
        return str(inbound.id)

    def delete(self, file_system_id: str | None) -> None:
        """Retention `Delete` deletes the file system. As on AWS, the two security groups are not deleted, and
        prevent the deletion of the VPC (singlestore-labs/private-llm-aws#9)."""
        efs = self.studio.efs
        if file_system_id not in efs.file_systems_by_id:
            return
        for target in list(efs.mount_targets_by_id.values()):
            if target.file_system_id == file_system_id:
                efs.delete_mount_target(target.mount_target_id)
        efs.delete_file_system(file_system_id)
