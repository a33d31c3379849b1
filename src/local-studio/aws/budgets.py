"""Adds the parts of AWS Budgets that Terraform's provider needs and moto does not have: tags, subscribers of
alerts, and actions. Nothing is ever spent here, so an action stays in STANDBY and attaches no policy."""

import json
import uuid
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.models import BudgetsBackend
from moto.budgets.responses import BudgetsResponse

Request = dict[str, Any]


class Actions:
    """The actions and tags of one backend. moto has a backend for each account and partition."""

    def __init__(self) -> None:
        self.by_budget: dict[str, dict[str, Request]] = {}
        self.tags: dict[str, dict[str, str]] = {}

    def find(self, request: Request) -> Request:
        action = self.by_budget.get(request["BudgetName"], {}).get(request["ActionId"])
        if action is None:
            raise NotFoundException(f"Unable to find action {request['ActionId']}.")
        return action


def actions_of(backend: BudgetsBackend) -> Actions:
    found: Actions = vars(backend).setdefault("local_aws_actions", Actions())
    return found


def _tag(backend: BudgetsBackend, arn: str, tags: list[dict[str, str]]) -> None:
    actions_of(backend).tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})


def _arn(response: Any, request: Request, action: str = "") -> str:
    name = request.get("BudgetName") or request["Budget"]["BudgetName"]
    return f"arn:{response.partition}:budgets::{request['AccountId']}:budget/{name}{action}"


def _create_budget(response: Any, request: Request) -> Request:
    response.backend.create_budget(
        request["AccountId"], request["Budget"], request.get("NotificationsWithSubscribers", [])
    )
    _tag(response.backend, _arn(response, request), request.get("ResourceTags", []))
    return {}


def _update_budget(response: Any, request: Request) -> Request:
    new = request["NewBudget"]
    response.backend.describe_budget(request["AccountId"], new["BudgetName"])
    response.backend.budgets[request["AccountId"]][new["BudgetName"]].budget.update(new)
    return {}


def _delete_budget(response: Any, request: Request) -> Request:
    # The documentation of DeleteBudget says that it also deletes notifications and subscribers. Guess: and
    # actions.
    response.backend.delete_budget(request["AccountId"], request["BudgetName"])
    actions_of(response.backend).by_budget.pop(request["BudgetName"], None)
    return {}


def _describe_subscribers(response: Any, request: Request) -> Request:
    budget = response.backend.budgets[request["AccountId"]].get(request["BudgetName"])
    for notification in budget.notifications if budget else []:
        if notification.details == request["Notification"]:
            return {"Subscribers": notification.subscribers}
    raise NotFoundException("Unable to find the notification.")


def _create_action(response: Any, request: Request) -> Request:
    backend = response.backend
    backend.describe_budget(request["AccountId"], request["BudgetName"])
    action_id = str(uuid.uuid4())
    kept = {key: value for key, value in request.items() if key not in ("AccountId", "ResourceTags")}
    actions = actions_of(backend).by_budget.setdefault(request["BudgetName"], {})
    actions[action_id] = {**kept, "ActionId": action_id, "Status": "STANDBY"}
    _tag(backend, _arn(response, request, f"/action/{action_id}"), request.get("ResourceTags", []))
    return {key: request[key] for key in ("AccountId", "BudgetName")} | {"ActionId": action_id}


def _describe_action(response: Any, request: Request) -> Request:
    action = actions_of(response.backend).find(request)
    return {key: request[key] for key in ("AccountId", "BudgetName")} | {"Action": action}


def _describe_actions(response: Any, request: Request) -> Request:
    actions = actions_of(response.backend).by_budget.get(request["BudgetName"], {})
    return {"AccountId": request["AccountId"], "BudgetName": request["BudgetName"]} | {
        "Actions": list(actions.values())
    }


def _update_action(response: Any, request: Request) -> Request:
    action = actions_of(response.backend).find(request)
    old = dict(action)
    action.update({key: value for key, value in request.items() if key != "AccountId"})
    return {key: request[key] for key in ("AccountId", "BudgetName")} | {
        "OldAction": old,
        "NewAction": action,
    }


def _delete_action(response: Any, request: Request) -> Request:
    action = actions_of(response.backend).find(request)
    del actions_of(response.backend).by_budget[request["BudgetName"]][request["ActionId"]]
    return {key: request[key] for key in ("AccountId", "BudgetName")} | {"Action": action}


def _list_tags(response: Any, request: Request) -> Request:
    tags = actions_of(response.backend).tags.get(request["ResourceARN"], {})
    return {"ResourceTags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tag_resource(response: Any, request: Request) -> Request:
    _tag(response.backend, request["ResourceARN"], request["ResourceTags"])
    return {}


def _untag_resource(response: Any, request: Request) -> Request:
    tags = actions_of(response.backend).tags.get(request["ResourceARN"], {})
    for key in request["ResourceTagKeys"]:
        tags.pop(key, None)
    return {}


def install() -> None:
    for name, answer in {
        "create_budget": _create_budget,
        "update_budget": _update_budget,
        "delete_budget": _delete_budget,
        "describe_subscribers_for_notification": _describe_subscribers,
        "create_budget_action": _create_action,
        "describe_budget_action": _describe_action,
        "describe_budget_actions_for_budget": _describe_actions,
        "update_budget_action": _update_action,
        "delete_budget_action": _delete_action,
        "list_tags_for_resource": _list_tags,
        "tag_resource": _tag_resource,
        "untag_resource": _untag_resource,
    }.items():

        def method(response: Any, answer: Any = answer) -> str:
            return json.dumps(answer(response, json.loads(response.body)))

        setattr(BudgetsResponse, name, method)
