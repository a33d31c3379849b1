"""Prints SageMaker's instance types, regions and limits of settings from botocore's data, as JSON.

Runs in the virtual environment of the local AWS, whose lock file pins botocore.
"""

import json
from typing import Any

import botocore
from botocore.loaders import Loader
from botocore.session import Session


def model() -> dict[str, Any]:
    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    session = Session()
    regions = {
        partition: sorted(session.get_available_regions("sagemaker", partition))
        for partition in session.get_available_partitions()
    }
    return {
        "botocore": botocore.__version__,
        "appInstanceTypes": shapes["AppInstanceType"]["enum"],
        "endpointInstanceTypes": shapes["ProductionVariantInstanceType"]["enum"],
        "processingInstanceTypes": shapes["ProcessingInstanceType"]["enum"],
        "regions": {partition: names for partition, names in regions.items() if names},
        "limits": {
            "processing": {
                "seconds": shapes["ProcessingMaxRuntimeInSeconds"]["max"],
                "volumeGb": shapes["ProcessingVolumeSizeInGB"]["max"],
                "name": shapes["ProcessingJobName"]["max"],
                "image": shapes["ImageUri"]["max"],
                "arguments": [shapes["ContainerArguments"]["max"], shapes["ContainerArgument"]["max"]],
            },
            "subnets": {key: shapes["Subnets"][key] for key in ("min", "max")},
            "idle": {key: shapes["IdleTimeoutInMinutes"][key] for key in ("min", "max")},
            "tagKey": shapes["TagKey"]["max"],
            "tagValue": shapes["TagValue"]["max"],
            "userProfileName": {key: shapes["UserProfileName"][key] for key in ("max", "pattern")},
            "lifecycleConfiguration": shapes["StudioLifecycleConfigContent"]["max"],
        },
    }


if __name__ == "__main__":
    print(json.dumps(model()))
