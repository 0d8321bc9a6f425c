"""Generated requests to DynamoDB, put to Fieldline and to another implementation.

The other is at PEER_ENDPOINT. Each case makes its requests from its own seed, which
is SEED/number, sends them to both and compares results, or the errors' codes and
messages. A case that differs is printed with its requests; KNOWN lists the
differences in which the other departs from AWS's documentation.
"""

import json
import os
import random
import re
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

SEED = os.environ.get("CASES_SEED", "1")
CASES = int(os.environ.get("CASES", "300"))

# Differences that stay, each with who is right and why.
KNOWN = [
    ("Ours is right: only strings, numbers and binaries have an order (reference of Condition, LE, LT, GE, GT, BETWEEN).",
     lambda request, mine, theirs: re.search(r"operator or function: ([<>]=?|BETWEEN), operand type", mine.get("message", ""))),
    ("Ours is right: SPECIFIC_ATTRIBUTES and a projection go together, and ALL_PROJECTED_ATTRIBUTES is for an index (reference of Query, Select).",
     lambda request, mine, theirs: "error" not in theirs and re.search("SPECIFIC_ATTRIBUTES|ALL_PROJECTED_ATTRIBUTES|Cannot specify the ProjectionExpression", mine.get("message", ""))),
    ("Ours is right: a local index's query fetches what is not projected from the table, at its cost (developer guide, Local Secondary Indexes).",
     lambda request, mine, theirs: request.get("IndexName") == "by-s" and ("ProjectionExpression" in request or "Select" in request)
     and "error" not in mine and mine.get("Count") == theirs.get("Count")),
    ("Ours is right: DeleteItem does not recognize any values other than NONE or ALL_OLD (reference of DeleteItem, ReturnValues).",
     lambda request, mine, theirs: request.get("ReturnValues") == "UPDATED_OLD" and mine.get("message") == "ReturnValues can only be ALL_OLD or NONE"),
    ("Ours is right: NOT takes any condition, also one with NOT (developer guide, Syntax for filter and condition expressions).",
     lambda request, mine, theirs: "NOT NOT" in repr(request) and "Syntax error" in theirs.get("message", "")),
    ("Ours is right: a number has 38 digits at most, also when it is computed (developer guide, Data types, Number).",
     lambda request, mine, theirs: "38 significant digits" in mine.get("message", "")),
    ("Not documented: which of two faults is told first.",
     lambda request, mine, theirs: mine.get("error") == "ResourceNotFoundException" and theirs.get("error") == "ValidationException"),
    ("Not documented: whether the sum of a list is refused before the condition is looked at.",
     lambda request, mine, theirs: "list_append" in request.get("UpdateExpression", "") and re.search("operator or function: [+-], operand type: L", mine.get("message", ""))),
    ("Not documented: what a page without items costs; we count the smallest read, half a unit.",
     lambda request, mine, theirs: mine.get("ScannedCount") == 0 and without_capacity(mine) == without_capacity(theirs)),
]


def without_capacity(result):
    return {k: v for k, v in result.items() if k != "ConsumedCapacity"}


config = Config(parameter_validation=False, retries={"max_attempts": 1, "mode": "standard"}, read_timeout=5)
ours = boto3.client("dynamodb", config=config)
peer = boto3.client("dynamodb", config=config, endpoint_url=os.environ["PEER_ENDPOINT"])

NAMES = ["a", "b", "c", "d", "size_", "Name", "m", "l", "n", "t.x", "-", "ä"]
WORDS = ["a", "ab", "abc", "b", "ä", "x" * 40]
NUMBERS = ["0", "-0", "1", "01", "1.50", "-3.25", "1e3", "1E-3", "99999999999999999999999999999999999999", "1e125", "-1e-130", "0.1", "10"]
BAD_NUMBERS = ["", " 1", "1 ", "abc", "1e", "0x1", "--1", "1e126", "1e-131", "123456789012345678901234567890123456789", "NaN", "1_0"]


def binary(r):
    return r.choice([b"\x00", b"\x00\xff", b"abc", b"\x80"])


def value(r, depth=2):
    """An attribute value; one in 60 is not valid."""
    if r.random() < 1 / 60:
        return r.choice([{}, {"N": r.choice(BAD_NUMBERS)}, {"SS": []}, {"SS": ["a", "a"]}, {"NS": ["1", "1.0"]}, {"NS": ["x"]}, {"BS": []},
                         {"NULL": False}, {"S": "a", "N": "1"}, {"BS": [b"a", b"a"]}, {"L": [{"N": "x"}]}, {"M": {"a": {"SS": []}}}, {"NS": []}])
    kind = r.choice(["S", "S", "N", "N", "N", "B", "BOOL", "NULL", "SS", "NS", "BS"] + ["M", "L"] * depth)
    match kind:
        case "S":
            return {"S": r.choice(WORDS)}
        case "N":
            return {"N": r.choice(NUMBERS)}
        case "B":
            return {"B": binary(r)}
        case "BOOL":
            return {"BOOL": r.random() < 0.5}
        case "NULL":
            return {"NULL": True}
        case "SS":
            return {"SS": r.sample(WORDS, r.randint(1, 3))}
        case "NS":
            return {"NS": r.sample(["1", "2", "3.5", "-1e2", "10"], r.randint(1, 3))}
        case "BS":
            return {"BS": r.sample([b"a", b"b", b"\x00", b"\xff"], r.randint(1, 3))}
        case "M":
            return {"M": {name: value(r, depth - 1) for name in r.sample(NAMES, r.randint(0, 3))}}
        case "L":
            return {"L": [value(r, depth - 1) for _ in range(r.randint(0, 3))]}


def attributes(r, low=2, high=6):
    return {name: value(r) for name in r.sample(NAMES, r.randint(low, high))}


class Expressions:
    """Expressions of one request with the names and values that they use."""

    def __init__(self, r):
        self.r, self.names, self.values = r, {}, {}

    def members(self):
        """The request's members; now and then with one too many, or one missing."""
        r = self.r
        names, values = dict(self.names), dict(self.values)
        if r.random() < 0.02:
            names["#unused"] = "a"
        if r.random() < 0.02:
            values[":unused"] = {"S": "a"}
        if r.random() < 0.02 and names:
            del names[r.choice(list(names))]
        if r.random() < 0.02 and values:
            del values[r.choice(list(values))]
        if r.random() < 0.01:
            names["noHash"] = "a"
        return {k: v for k, v in (("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)) if v}

    def only_names(self):
        return {k: v for k, v in self.members().items() if k == "ExpressionAttributeNames"}

    def name(self, name):
        if self.r.random() < 0.5 and name.replace("_", "").isascii() and name.replace("_", "").isalpha():
            return name
        placeholder = f"#n{len(self.names)}"
        self.names[placeholder] = name
        return placeholder

    def path(self):
        r = self.r
        text = self.name(r.choice(NAMES))
        while r.random() < 0.25:
            text += r.choice([f"[{r.randint(0, 3)}]", "." + self.name(r.choice(NAMES))])
        return text

    def literal(self, v=None):
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value(self.r) if v is None else v
        return placeholder

    def operand(self):
        r = self.r.random()
        if r < 0.45:
            return self.path()
        if r < 0.9:
            return self.literal()
        if r < 0.97:
            return f"size({self.path()})"
        return f"({self.path()})"

    def condition(self, depth=2):
        r = self.r
        if depth > 0 and r.random() < 0.5:
            inner = self.condition(depth - 1)
            match r.choice(["AND", "OR", "NOT", "()"]):
                case "NOT":
                    return f"NOT {inner}"
                case "()":
                    return f"({inner})"
                case word:
                    return f"{inner} {word} {self.condition(depth - 1)}"
        match r.choice(["compare", "compare", "between", "in", "exists", "not_exists", "type", "begins", "contains", "size"]):
            case "compare":
                sides = [self.operand(), self.literal()]  # what two missing operands are to each other is not documented
                r.shuffle(sides)
                return f"{sides[0]} {r.choice(['=', '<>', '<', '<=', '>', '>='])} {sides[1]}"
            case "between":
                return f"{self.operand()} BETWEEN {self.literal()} AND {self.literal()}"
            case "in":
                # Values only, as above: dynalite 4.0.0 ends at an operand that the item lacks.
                return f"{self.operand()} IN ({', '.join(self.literal() for _ in range(r.randint(1, 3)))})"
            case "exists":
                return f"attribute_exists({self.path()})"
            case "not_exists":
                return f"attribute_not_exists({self.path()})"
            case "type":
                kind = r.choice(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS", "X"])
                return f"attribute_type({self.path()}, {self.literal({'S': kind})})"
            case "begins":
                return f"begins_with({self.operand()}, {self.literal()})"
            case "contains":
                return f"contains({self.operand()}, {self.literal()})"
            case "size":
                return f"size({self.operand()}) {r.choice(['=', '<', '>'])} {self.literal({'N': str(r.randint(0, 4))})}"

    def term(self, depth=1):
        r = self.r
        match r.choice(["path", "value", "value", "if", "append"] if depth else ["path", "value"]):
            case "path":
                return self.path()
            case "value":
                return self.literal()
            case "if":
                return f"if_not_exists({self.path()}, {self.term(depth - 1)})"
            case "append":
                return f"list_append({self.term(depth - 1)}, {self.term(depth - 1)})"

    def update(self):
        r, sections = self.r, []
        for section in r.sample(["SET", "SET", "REMOVE", "ADD", "DELETE"], r.choice([1, 1, 1, 2, 2, 3])):
            actions = []
            for _ in range(r.randint(1, 2)):
                match section:
                    case "SET":
                        sign = r.choice(["", "", "", "+", "-"])
                        term = self.term() + (f" {sign} {self.term(0)}" if sign else "")
                        actions.append(f"{self.path()} = {term}")
                    case "REMOVE":
                        actions.append(self.path())
                    case _:
                        actions.append(f"{self.path()} {self.literal()}")
            sections.append(f"{section} {', '.join(actions)}")
        return " ".join(sections)

    def projection(self):
        return ", ".join(self.path() for _ in range(self.r.randint(1, 3)))

    def key_condition(self, partition, sort_key, sort_values):
        """A condition on p and a sort key, one in ten of them wrong."""
        r = self.r
        if r.random() < 0.1:
            return self.condition(1)
        text = f"{self.name('p')} = {self.literal(partition)}"
        if r.random() < 0.2:
            return text
        k, v = self.name(sort_key), lambda: self.literal(r.choice(sort_values))
        match r.choice(["=", "<", "<=", ">", ">=", "BETWEEN", "begins_with", "<>"]):
            case "BETWEEN":
                second = f"{k} BETWEEN {v()} AND {v()}"
            case "begins_with":
                second = f"begins_with({k}, {v()})"
            case operator:
                second = f"{k} {operator} {v()}"
        return f"{text} AND {second}" if r.random() < 0.8 else f"{second} AND {text}"


def mangled(r, text):
    """An expression; one in twelve has something cut out, doubled or put in."""
    if r.random() > 1 / 12:
        return text
    at, length = r.randrange(len(text)), r.randint(1, 4)
    return r.choice([text[:at] + text[at + length:], text[:at] + text[at:at + length] * 2 + text[at + length:],
                     text[:at] + r.choice([" ", ",", "(", ")", "=", ".", "[", "#", ":", "'", "AND ", "0"]) + text[at:], ""])


def key(n, sort=None):
    return {"p": {"S": f"p{n}"}} | ({} if sort is None else {"r": {"N": str(sort)}})


def maybe(r, member, *values, chance=0.3):
    return {member: r.choice(values)} if r.random() < chance else {}


def put_case(r, n):
    bad_key = r.choice([{}, {"p": {"S": ""}}, {"p": {"N": "1"}}, {"p": {"S": f"p{n}"}, "r": {"S": "x"}}])
    empty = maybe(r, "empty", {"S": ""}, {"B": b""}, {"SS": [""]})  # its size, and what it equals, are unknown to dynalite
    yield "PutItem", {"TableName": "Single", "Item": attributes(r) | empty | (bad_key if r.random() < 0.05 else key(n)), **capacity(r)}
    yield "GetItem", {"TableName": "Single", "Key": key(n), **capacity(r), **maybe(r, "ConsistentRead", True, False)}
    yield "PutItem", {"TableName": "Single", "Item": attributes(r) | key(n), **maybe(r, "ReturnValues", "NONE", "ALL_OLD", "ALL_NEW", "X", chance=0.6)}
    yield "DeleteItem", {"TableName": "Single", "Key": bad_key if r.random() < 0.1 else key(n), **maybe(r, "ReturnValues", "ALL_OLD", "UPDATED_OLD", chance=0.6)}
    yield "GetItem", {"TableName": r.choice(["Single", "Missing", "x", "a b"]), "Key": key(n, r.choice([None, 1]))}


def condition_case(r, n):
    yield "PutItem", {"TableName": "Single", "Item": attributes(r) | key(n)}
    for _ in range(4):
        e = Expressions(r)
        condition = mangled(r, e.condition())
        which = r.choice(["PutItem", "DeleteItem"])
        target = {"Item": {"a": {"S": "kept"}} | key(n)} if which == "PutItem" else {"Key": key(n)}
        yield which, {"TableName": "Single", **target, "ConditionExpression": condition, **e.members(), **maybe(r, "ReturnValues", "ALL_OLD")}
        yield "PutItem", {"TableName": "Single", "Item": attributes(r) | key(n)}


def update_case(r, n):
    for _ in range(4):
        if r.random() < 0.8:
            yield "PutItem", {"TableName": "Single", "Item": attributes(r) | key(n)}
        e = Expressions(r)
        request = {"TableName": "Single", "Key": key(n), "UpdateExpression": mangled(r, e.update())}
        if r.random() < 0.2:
            request["ConditionExpression"] = e.condition(1)
        returns = maybe(r, "ReturnValues", "NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW", chance=0.9)
        yield "UpdateItem", request | e.members() | returns | capacity(r)
        yield "GetItem", {"TableName": "Single", "Key": key(n)}


def projection_case(r, n):
    yield "PutItem", {"TableName": "Single", "Item": attributes(r, 4, 8) | key(n)}
    for _ in range(6):
        e = Expressions(r)
        yield "GetItem", {"TableName": "Single", "Key": key(n), "ProjectionExpression": mangled(r, e.projection()), **e.only_names()}


def partition(r, n, size):
    """Requests that fill a partition of Sorted."""
    for chunk in range(0, size, 20):
        items = [attributes(r, 0, 3) | key(n, i) | {"g": {"S": f"g{i % 3}-{n}"}, "s": {"S": r.choice(["a", "ab", "b", "ba"]) + str(i)}} for i in range(chunk, min(size, chunk + 20))]
        for item in items:
            if r.random() < 0.2:
                del item["g"]
        yield "BatchWriteItem", {"RequestItems": {"Sorted": [{"PutRequest": {"Item": i}} for i in items]}}


def query_case(r, n):
    yield from partition(r, n, 12)
    for _ in range(4):
        e = Expressions(r)
        request = {"TableName": "Sorted", **maybe(r, "ScanIndexForward", True, False, chance=0.6), **maybe(r, "Limit", 1, 2, 5, 100, 0), **capacity(r)}
        index = r.choice([None, None, "by-s", "by-g"])
        if index:
            request["IndexName"] = index
        text = e.key_condition({"S": f"p{n}"}, "s", [{"S": w} for w in ["a", "ab", "b", "c"]]) if index == "by-s" else \
            e.key_condition({"S": f"p{n}"}, "r", [{"N": str(i)} for i in range(-1, 13)])
        if index == "by-g":
            text = f"g = {e.literal({'S': f'g1-{n}'})}" + (f" AND r > {e.literal({'N': '3'})}" if r.random() < 0.5 else "")
        request["KeyConditionExpression"] = mangled(r, text)
        if r.random() < 0.4:
            request["FilterExpression"] = mangled(r, e.condition(1))
        if r.random() < 0.3:
            request["ProjectionExpression"] = e.projection()
        request |= maybe(r, "Select", "COUNT", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "X", chance=0.2)
        request |= maybe(r, "ConsistentRead", True, chance=0.2)
        if r.random() < 0.1:
            request["ExclusiveStartKey"] = r.choice([key(n, 5), key(n + 1, 5), key(n), key(n, 50), {"p": {"S": f"p{n}"}, "r": {"S": "x"}}, key(n, 5) | {"s": {"S": "ab"}}])
        yield "Query", request | e.members()


def scan_case(r, n):
    """Whole scans; each side pages by itself, for the order of partitions is its own."""
    yield from partition(r, n, 5)
    for _ in range(2):
        e = Expressions(r)
        request = {"TableName": "Sorted", **maybe(r, "Limit", 7, 50, 0, chance=0.5), **capacity(r)}
        request |= maybe(r, "IndexName", "by-s", "by-g", "none")
        if r.random() < 0.5:
            request["FilterExpression"] = mangled(r, f"p = {e.literal({'S': f'p{n}'})} AND {e.condition(1)}")
        if r.random() < 0.3:
            request["ProjectionExpression"] = mangled(r, e.projection())
        if r.random() < 0.3:
            request |= r.choice([{"Segment": 0, "TotalSegments": 3}, {"Segment": 3, "TotalSegments": 3}, {"Segment": 1}, {"TotalSegments": 2}])
        request |= maybe(r, "Select", "COUNT", "ALL_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", chance=0.2)
        yield "Scan", request | e.members()


def batch_case(r, n):
    puts = [{"PutRequest": {"Item": attributes(r) | key(n + i / 10)}} for i in range(r.choice([0, 1, 3, 3, 3, 26]))]
    if r.random() < 0.2:
        puts = puts + puts[:1]
    yield "BatchWriteItem", {"RequestItems": {"Single": puts} if r.random() < 0.9 else {}, **capacity(r)}
    e = Expressions(r)
    asked = {"Keys": [key(n + i / 10) for i in range(r.choice([0, 1, 3, 3, 5]))]}
    if r.random() < 0.1:
        asked["Keys"] += asked["Keys"][:1]
    if r.random() < 0.5:
        asked |= {"ProjectionExpression": e.projection(), **e.only_names()}
    yield "BatchGetItem", {"RequestItems": {r.choice(["Single", "Single", "Single", "Missing"]): asked}, **capacity(r)}
    yield "BatchWriteItem", {"RequestItems": {"Single": [{"DeleteRequest": {"Key": key(n + i / 10)}} for i in range(3)] + ([{}] if r.random() < 0.1 else [])}}


def table_case(r, n):
    attribute = lambda name, kind="S": {"AttributeName": name, "AttributeType": kind}
    element = lambda name, kind="HASH": {"AttributeName": name, "KeyType": kind}
    index = lambda *keys, name="by": {"IndexName": name, "KeySchema": list(keys), "Projection": r.choice([{"ProjectionType": "ALL"}, {"ProjectionType": "KEYS_ONLY"}, {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}, {"ProjectionType": "INCLUDE"}, {}])}
    request = {"TableName": f"Made{n}", "KeySchema": [element("p")] + r.choice([[], [element("r", "RANGE")], [element("r")], [element("p", "RANGE")]]),
               "AttributeDefinitions": r.choice([[attribute("p")], [attribute("p"), attribute("r", "N")], [attribute("p"), attribute("r"), attribute("g")], [attribute("p", "M")]])}
    request |= r.choice([{"BillingMode": "PAY_PER_REQUEST"}, {"BillingMode": "PAY_PER_REQUEST"}, {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, {}, {"BillingMode": "PROVISIONED"}])
    request |= maybe(r, "LocalSecondaryIndexes", [index(element("p"), element("g", "RANGE"))], [index(element("g"))], [])
    request |= maybe(r, "GlobalSecondaryIndexes", [index(element("g"))], [index(element("g"), element("r", "RANGE"))], [])
    yield "CreateTable", request
    yield "DescribeTable", {"TableName": f"Made{n}"}
    yield "DeleteTable", {"TableName": f"Made{n}"}


def capacity(r):
    return maybe(r, "ReturnConsumedCapacity", "TOTAL", "INDEXES", "NONE", chance=0.25)


KINDS = [put_case, condition_case, condition_case, update_case, update_case, update_case, projection_case, query_case, query_case, scan_case, batch_case, table_case]


def send(client, operation, request):
    """The result without what may differ by nature, or the error's code and message."""
    method = getattr(client, {"PutItem": "put_item", "GetItem": "get_item", "DeleteItem": "delete_item", "UpdateItem": "update_item", "Query": "query", "Scan": "scan",
                              "BatchWriteItem": "batch_write_item", "BatchGetItem": "batch_get_item", "CreateTable": "create_table", "DescribeTable": "describe_table", "DeleteTable": "delete_table"}[operation])
    try:
        if operation == "Scan":
            return scanned(method, request)
        result = method(**request)
    except ClientError as e:
        return {"error": e.response["Error"]["Code"], "message": e.response["Error"].get("Message", "")}
    del result["ResponseMetadata"]
    if operation.endswith("Table"):
        return shape(result.get("Table") or result["TableDescription"])
    if not result.get("Attributes"):  # whether an empty one is there is not documented
        result.pop("Attributes", None)
    result = normal(result)
    for items in result.get("Responses", {}).values():
        items.sort(key=repr)
    return result


def scanned(method, request):
    """All pages of all segments of a scan as one result, in an order of our own."""
    items, matched, read = [], 0, 0
    for segment in range(request.get("TotalSegments", 1)):
        start = {"Segment": segment} if "Segment" in request and request["Segment"] < request.get("TotalSegments", 0) else {}
        while start is not None:
            result = method(**request | start)
            items += result.get("Items", [])
            matched, read = matched + result["Count"], read + result["ScannedCount"]
            start = start | {"ExclusiveStartKey": result["LastEvaluatedKey"]} if "LastEvaluatedKey" in result else None
    return {"Items": sorted(map(repr, map(normal, items))), "Count": matched, "ScannedCount": read}


def shape(table):
    """What a table's description says that its definition decides."""
    members = ("TableName", "KeySchema", "AttributeDefinitions")
    indexes = {kind: sorted((i["IndexName"], repr(i["KeySchema"]), repr(i["Projection"])) for i in table.get(kind, [])) for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")}
    out = {m: table[m] for m in members} | indexes
    out["AttributeDefinitions"].sort(key=repr)
    return out


def normal(v, sets=("SS", "NS", "BS")):
    """A result with its sets in order, for theirs says nothing."""
    if isinstance(v, dict):
        return {k: sorted(x) if k in sets and isinstance(x, list) and all(isinstance(y, (str, bytes)) for y in x) else normal(x) for k, x in sorted(v.items())}
    return [normal(x) for x in v] if isinstance(v, list) else v


def create_tables(client):
    attribute = [{"AttributeName": n, "AttributeType": t} for n, t in (("p", "S"), ("r", "N"), ("s", "S"), ("g", "S"))]
    element = lambda name, kind: {"AttributeName": name, "KeyType": kind}
    client.create_table(TableName="Single", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=attribute[:1], KeySchema=[element("p", "HASH")])
    client.create_table(
        TableName="Sorted", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=attribute, KeySchema=[element("p", "HASH"), element("r", "RANGE")],
        LocalSecondaryIndexes=[{"IndexName": "by-s", "KeySchema": [element("p", "HASH"), element("s", "RANGE")], "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        GlobalSecondaryIndexes=[{"IndexName": "by-g", "KeySchema": [element("g", "HASH"), element("r", "RANGE")], "Projection": {"ProjectionType": "ALL"}}])
    for name in ("Single", "Sorted"):
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


def agree(mine, theirs):
    """Whether two results are one. Of a request with several faults each may tell
    another, so messages are compared when both begin to say the same, but for those
    whose beginning does not tell the fault or whose details are in no order."""
    if "error" not in mine or mine["error"] != theirs.get("error"):
        return mine == theirs
    a, b = mine["message"], theirs["message"]
    details = "Syntax error|validation error|AttributeValue: {|operand type|document paths|can only be specified|One or more parameter values"
    return a == b or a.split()[:6] != b.split()[:6] or re.search(details, a)


def known(request, mine, theirs):
    return any(applies(request, mine, theirs) for _, applies in KNOWN)


def main():
    create_tables(ours)
    create_tables(peer)
    different, excused, requests, refused, broken = 0, 0, 0, 0, 0
    for n in range(1, CASES + 1):
        r = random.Random(f"{SEED}/{n}")
        for operation, request in r.choice(KINDS)(r, n):
            try:
                theirs = send(peer, operation, request)
            except BotoCoreError:  # it broke, and may hold the item's lock
                broken += 1
                break
            mine = send(ours, operation, request)
            requests += 1
            refused += "error" in mine
            if agree(mine, theirs):
                continue
            if known(request, mine, theirs):
                excused += 1
                break  # the items differ now
            different += 1
            print(f"case {SEED}/{n}: {operation} {json.dumps(request, default=repr)}\n  fieldline: {mine}\n  the other: {theirs}")
            break
        if n % 50 == 0:
            print(f"ok {n} cases, {requests} requests of which {refused} refused, {excused} known differences, {different} others; the other broke at {broken}", flush=True)
    sys.exit(different > 0)


main()
