"""Amazon Athena: queries, and the metadata of the Glue Data Catalog. Workgroups and all else are moto's.

DuckDB runs the statements on the files of the Glue tables in the local S3. The results are a CSV file in S3,
without the file `.metadata` beside it, and the rows of GetQueryResults. With --iam a query may read and write
what its caller may: Amazon Athena User Guide, "Control access to Amazon S3 from Athena".
"""

import re
from datetime import datetime
from typing import Any

from moto.athena.models import athena_backends
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.glue.models import glue_backends
from moto.s3.models import s3_backends
from werkzeug.wrappers import Response

from athena_catalog import database_of, metadata_of, not_found
from athena_query import Denies, Query, Runner, interrupt
from athena_sql import MalformedQueryError, Select, parse
from athena_tables import Json
from aws_request import AwsRequest
from request_refusals import members_of
from studio.state import Studio

OPERATIONS = frozenset(
    f"athena:{name}"
    for name in (
        *("BatchGetQueryExecution", "GetDatabase", "GetQueryExecution", "GetQueryResults"),
        *("GetTableMetadata", "ListDatabases", "ListTableMetadata", "StartQueryExecution"),
        "StopQueryExecution",
    )
)


class AthenaError(Exception):
    def __init__(self, message: str, code: str = "InvalidRequestException") -> None:
        super().__init__(message)
        self.code = code


def answer(studio: Studio, request: AwsRequest, denies: Denies) -> Response:
    """The caller holds the lock of moto."""
    members = members_of(request)
    try:
        result = getattr(_Athena(studio, denies), _snake(request.operation.name))(members)
    except AthenaError as error:
        return request.refuse(400, error.code, str(error))
    serializer: Any = get_serializer_class(request.service_name, request.protocol)
    sent = serializer(request.operation, SerializationContext(request_id="")).serialize(result)
    return Response(sent["body"], sent["status_code"], sent["headers"])


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class _Athena:
    def __init__(self, studio: Studio, denies: Denies) -> None:
        self._studio, self._denies = studio, denies
        self._athena: Any = athena_backends[studio.account][studio.region]
        self._glue: Any = glue_backends[studio.account][studio.region]
        self._s3: Any = s3_backends[studio.account][studio.partition]

    def start_query_execution(self, members: Json) -> Json:
        token = members.get("ClientRequestToken")
        for query in self._athena.executions.values():
            if token and query.request.get("ClientRequestToken") == token:
                return {"QueryExecutionId": query.id}
        try:
            statement = parse(members["QueryString"])
        except MalformedQueryError as error:
            # Source: guardian/athena-cli#39.
            raise AthenaError(str(error)) from None
        workgroup = self._athena.work_groups.get(members.get("WorkGroup") or "primary")
        if workgroup is None:
            # Guess: the wording.
            raise AthenaError(f"WorkGroup {members['WorkGroup']} is not found.")
        folder = self._output_folder(members, workgroup)
        query = Query(members, workgroup, folder, isinstance(statement, Select))
        # Source: aoyagikouhei/athena-local, README.md, "Result files".
        query.location = f"{folder.rstrip('/')}/{query.id}.{'csv' if query.is_select else 'txt'}"
        self._athena.executions[query.id] = query
        Runner(self._studio, self._denies).start(query, statement)
        return {"QueryExecutionId": query.id}

    def _output_folder(self, members: Json, workgroup: Any) -> str:
        """Source: Amazon Athena User Guide, "Override client-side settings"."""
        own = (workgroup.configuration.get("ResultConfiguration") or {}).get("OutputLocation")
        given = (members.get("ResultConfiguration") or {}).get("OutputLocation")
        enforced = workgroup.configuration.get("EnforceWorkGroupConfiguration")
        folder: str | None = own if enforced else given or own
        if not folder:
            # Source: uber/athenadriver, README.md.
            raise AthenaError(
                "No output location provided. An output location is required either through the Workgroup "
                "result configuration setting or as an API input."
            )
        found = re.fullmatch(r"s3://([^/]+)(/.*)?", folder)
        if not found:
            # Source: aoyagikouhei/athena-local, README.md.
            raise AthenaError("outputLocation is not a valid S3 path.")
        denied = self._denies("s3", "GetBucketLocation", {"Bucket": found[1]})
        if denied or found[1] not in self._s3.buckets:
            # Source: AWS re:Post knowledge center, athena-output-bucket-error. Guess: the parenthesis.
            raise AthenaError(
                f"Unable to verify/create output bucket {found[1]}{f' ({denied})' if denied else ''}"
            )
        return folder

    def stop_query_execution(self, members: Json) -> Json:
        query = self._query(members["QueryExecutionId"])
        # Source: aoyagikouhei/athena-local, README.md.
        query.end("CANCELLED", "Query cancelled by user")
        interrupt(query)
        return {}

    def get_query_execution(self, members: Json) -> Json:
        return {"QueryExecution": _described(self._query(members["QueryExecutionId"]))}

    def batch_get_query_execution(self, members: Json) -> Json:
        wanted = members["QueryExecutionIds"]
        known = [one for one in wanted if one in self._athena.executions]
        return {
            "QueryExecutions": [_described(self._query(one)) for one in known],
            "UnprocessedQueryExecutionIds": [
                {"QueryExecutionId": one, "ErrorCode": "INVALID_INPUT"} for one in wanted if one not in known
            ],
        }

    def get_query_results(self, members: Json) -> Json:
        query = self._query(members["QueryExecutionId"])
        if query.status != "SUCCEEDED":
            # Source: aoyagikouhei/athena-local, README.md.
            raise AthenaError(
                {
                    "FAILED": "Query did not finish successfully. Final query state: FAILED",
                    "CANCELLED": "Could not find results",
                }.get(query.status, f"Query has not yet finished. Current state: {query.status}")
            )
        bucket, _, key = query.location.removeprefix("s3://").partition("/")
        if denied := self._denies("s3", "GetObject", {"Bucket": bucket, "Key": key}):
            # Source: Amazon Athena API Reference, GetQueryResults. Guess: code and wording.
            raise AthenaError(denied, "AccessDeniedException")
        # The first row of a SELECT has the names of the columns.
        header = [[one["Name"] for one in query.columns]] if query.is_select else []
        rows, token = _page([*header, *query.rows], members, 1000)
        return {
            "UpdateCount": 0,
            "ResultSet": {
                "Rows": [
                    {"Data": [{} if value is None else {"VarCharValue": value} for value in row]}
                    for row in rows
                ],
                "ResultSetMetadata": {"ColumnInfo": query.columns},
            },
            **token,
        }

    def get_database(self, members: Json) -> Json:
        self._check("GetDatabase", {"Name": members["DatabaseName"]})
        return {"Database": database_of(self._glue_database(members["DatabaseName"]))}

    def list_databases(self, members: Json) -> Json:
        self._check("GetDatabases", {})
        found, token = _page(list(self._glue.databases.values()), members, 50)
        return {"DatabaseList": [database_of(one) for one in found], **token}

    def get_table_metadata(self, members: Json) -> Json:
        self._check("GetTable", {"DatabaseName": members["DatabaseName"], "Name": members["TableName"]})
        table = self._glue_database(members["DatabaseName"]).tables.get(members["TableName"].lower())
        if table is None:
            # Source: moto's GetDatabase. Guess: of a table.
            raise AthenaError(not_found("Table", members["TableName"]), "MetadataException")
        return {"TableMetadata": metadata_of(table.as_dict())}

    def list_table_metadata(self, members: Json) -> Json:
        self._check("GetTables", {"DatabaseName": members["DatabaseName"]})
        pattern = re.compile(members.get("Expression") or ".*")
        tables = self._glue_database(members["DatabaseName"]).tables
        found, token = _page([one for one in tables.values() if pattern.search(one.name)], members, 50)
        return {"TableMetadataList": [metadata_of(one.as_dict()) for one in found], **token}

    def _check(self, operation: str, members: Json) -> None:
        if denied := self._denies("glue", operation, members):
            # Source: Amazon Athena User Guide, "Configure access to databases and tables in AWS Glue": Athena
            # asks Glue as the caller. Guess: the code.
            raise AthenaError(denied, "MetadataException")

    def _glue_database(self, name: str) -> Any:
        found = self._glue.databases.get(name.lower())
        if found is None:
            # Source: moto's GetDatabase.
            raise AthenaError(not_found("Database", name), "MetadataException")
        return found

    def _query(self, id: str) -> Query:
        found: Query | None = self._athena.executions.get(id)
        if found is None:
            # Source: aoyagikouhei/athena-local, README.md.
            raise AthenaError(f"QueryExecution {id} was not found")
        return found


def _described(query: Query) -> Json:
    def milliseconds(start: datetime | None, end: datetime | None) -> int:
        return int((end - start).total_seconds() * 1000) if start and end else 0

    status: Json = {"State": query.status, "SubmissionDateTime": query.submitted}
    if query.completed:
        status["CompletionDateTime"] = query.completed
    if query.reason:
        status["StateChangeReason"] = query.reason
    if query.error_kind:
        status["AthenaError"] = {
            # Source: Amazon Athena API Reference, AthenaError: 1 is of the system, 2 of the user.
            "ErrorCategory": 1 if query.error_kind < 1000 else 2,
            "ErrorType": query.error_kind,
            "Retryable": False,
            "ErrorMessage": query.reason,
        }
    context = query.request.get("QueryExecutionContext") or {}
    parameters = query.request.get("ExecutionParameters")
    return {
        "QueryExecutionId": query.id,
        "Query": query.request["QueryString"],
        "StatementType": "DML" if query.is_select else "UTILITY",
        "ResultConfiguration": {"OutputLocation": query.location},
        "QueryExecutionContext": context,
        "Status": status,
        "Statistics": {
            "DataScannedInBytes": query.scanned,
            "EngineExecutionTimeInMillis": milliseconds(query.started, query.completed),
            "QueryQueueTimeInMillis": milliseconds(query.submitted, query.started),
            "TotalExecutionTimeInMillis": milliseconds(query.submitted, query.completed),
        },
        "WorkGroup": query.workgroup.name,
        "EngineVersion": query.workgroup.configuration["EngineVersion"],
        **({"ExecutionParameters": parameters} if parameters else {}),
    }


def _page(items: list[Any], members: Json, most: int) -> tuple[list[Any], Json]:
    first = int(members.get("NextToken") or 0)
    end = first + (members.get("MaxResults") or most)
    return items[first:end], {"NextToken": str(end)} if end < len(items) else {}
