"""What `marimo-job` says about a training job, in addition to what it says about every job."""

from collections.abc import Iterator

from sagemaker_marimo.jobs import prices
from sagemaker_marimo.jobs.descriptions import Description, interruptions, is_on_spot, is_training

Facts = dict[str, object]


def facts(description: Description) -> Facts:
    """For --json."""
    if not is_training(description):
        return {}
    return {
        "kind": "training",
        "instances": description["ResourceConfig"]["InstanceCount"],
        "spot": is_on_spot(description),
        "interruptions": interruptions(description),
        "trainingSeconds": description.get("TrainingTimeInSeconds"),
        "billedSeconds": description.get("BillableTimeInSeconds"),
        "savedShare": saved_share(description),
        "checkpoints": description.get("CheckpointConfig", {}).get("S3Uri"),
        "warmPool": description.get("WarmPoolStatus", {}).get("Status"),
    }


def saved_share(description: Description) -> float | None:
    """The formula is SageMaker's own (SageMaker API, BillableTimeInSeconds)."""
    ran, billed = description.get("TrainingTimeInSeconds"), description.get("BillableTimeInSeconds")
    return None if not ran or billed is None else 1 - billed / ran


def lines(description: Description) -> Iterator[str]:
    """Nothing for a processing job."""
    if not is_training(description):
        return
    if is_on_spot(description):
        yield _spot(description)
    if checkpoints := description.get("CheckpointConfig"):
        yield f"Checkpoints: {checkpoints['S3Uri']}/"
    if "KeepAlivePeriodInSeconds" in description["ResourceConfig"]:
        yield from _warm_pool(description)


def _spot(description: Description) -> str:
    count = interruptions(description)
    times = "once" if count == 1 else f"{count} times"
    text = f"Spot: {f'interrupted {times}' if count else 'never interrupted'}"
    share = saved_share(description)
    if share is None:
        return text
    resources, billed = description["ResourceConfig"], description["BillableTimeInSeconds"]
    ran = description["TrainingTimeInSeconds"]
    dollars = prices.cost(resources["InstanceType"], ran - billed, resources["InstanceCount"])
    saved = f"saved {share:.0%}" + ("" if dollars is None else f", {dollars:.4f} USD")
    return f"{text}; billed {billed} s of {ran} s: {saved}"


def _warm_pool(description: Description) -> Iterator[str]:
    pool = description.get("WarmPoolStatus")
    instance = description["ResourceConfig"]["InstanceType"]
    if pool is not None:
        words = {
            "Available": "waits for the next job with the same instances and volume, and is billed",
            "Terminated": "has ended",
            "Reused": f"went on to {pool.get('ReusedByJob', 'another job')}",
            "InUse": "runs this job",
        }
        billed = pool.get("ResourceRetainedBillableTimeInSeconds")
        waited = "" if billed is None else f" ({billed} s billed for waiting)"
        yield f"Warm pool: {words.get(pool['Status'], pool['Status'])}{waited}"
    elif description["TrainingJobStatus"] == "Completed":
        # Guess: without a quota, DescribeTrainingJob has no WarmPoolStatus.
        yield (
            f"Warm pool: AWS kept none. Ask an administrator for the quota '{instance} for training warm "
            "pool usage' in Service Quotas, which is 0 by default"
        )
