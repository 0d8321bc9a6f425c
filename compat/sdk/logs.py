"""CloudWatch Logs on boto3: every operation that Fieldline has, with its errors."""

import time

import boto3
from botocore.exceptions import ClientError

logs = boto3.client("logs")
GROUP = "/compat/python"


def ok(what, holds=True, got=None):
    if not holds:
        raise SystemExit(f"not so: {what}: {got}")
    print("ok", what)


def refused(what, code, call, **members):
    try:
        got = call(**members)
    except ClientError as e:
        ok(what, e.response["Error"]["Code"] == code, e)
    else:
        raise SystemExit(f"not refused: {what}: {got}")


def messages(answer):
    return [e["message"] for e in answer["events"]]


# Groups, their retention and tags.
logs.create_log_group(logGroupName=GROUP, tags={"team": "compat"})
refused("a group that exists", "ResourceAlreadyExistsException", logs.create_log_group, logGroupName=GROUP)
refused("a name with a blank", "InvalidParameterException", logs.create_log_group, logGroupName="a b")
for i in range(3):
    logs.create_log_group(logGroupName=f"/compat/many/{i}")
pages = list(logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/compat/", PaginationConfig={"PageSize": 2}))
names = [g["logGroupName"] for p in pages for g in p["logGroups"]]
ok("groups in pages", len(pages) == 2 and names == ["/compat/many/0", "/compat/many/1", "/compat/many/2", GROUP], names)
found = logs.describe_log_groups(logGroupNamePattern="many/1")["logGroups"]
ok("groups by a part of their name", [g["logGroupName"] for g in found] == ["/compat/many/1"], found)
logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
group = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]
ok("the retention", group["retentionInDays"] == 30 and group["arn"].endswith(f":log-group:{GROUP}:*"), group)
refused("a retention of two days", "InvalidParameterException", logs.put_retention_policy, logGroupName=GROUP, retentionInDays=2)
refused("the retention of no group", "ResourceNotFoundException", logs.put_retention_policy, logGroupName="/none", retentionInDays=1)
logs.delete_retention_policy(logGroupName=GROUP)
ok("no retention", "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0])

arn = group["logGroupArn"]
logs.tag_resource(resourceArn=arn, tags={"room": "7"})
ok("tags", logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "compat", "room": "7"})
logs.untag_resource(resourceArn=arn, tagKeys=["team"])
ok("tags by the older call", logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"room": "7"})
logs.tag_log_group(logGroupName=GROUP, tags={"x": "y"})
logs.untag_log_group(logGroupName=GROUP, tags=["room"])
ok("tags changed by the older calls", logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"x": "y"})
refused("51 tags", "TooManyTagsException", logs.tag_resource, resourceArn=arn, tags={f"k{i}": "v" for i in range(50)})

# Streams.
for name in ("a", "b", "c"):
    logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
refused("a stream that exists", "ResourceAlreadyExistsException", logs.create_log_stream, logGroupName=GROUP, logStreamName="a")
refused("a stream of no group", "ResourceNotFoundException", logs.create_log_stream, logGroupName="/none", logStreamName="a")

# Events.
now = int(time.time() * 1000)
logs.put_log_events(logGroupName=GROUP, logStreamName="b", logEvents=[{"timestamp": now + i, "message": f"b{i}"} for i in range(10)])
answer = logs.put_log_events(logGroupName=GROUP, logStreamName="a", sequenceToken="of old", logEvents=[
    {"timestamp": now - 20 * 86400_000, "message": "too old"},
    {"timestamp": now + 5, "message": '{"level":"error","n":7}'},
    {"timestamp": now + 3 * 3600_000, "message": "too new"},
])
info = answer["rejectedLogEventsInfo"]
ok("what is rejected", info == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}, info)
refused("events out of order", "InvalidParameterException", logs.put_log_events, logGroupName=GROUP, logStreamName="a",
        logEvents=[{"timestamp": now + 1, "message": "x"}, {"timestamp": now, "message": "y"}])
refused("a batch of more than 1 MB", "InvalidParameterException", logs.put_log_events, logGroupName=GROUP, logStreamName="a",
        logEvents=[{"timestamp": now, "message": "x" * 250_000} for _ in range(5)])
refused("events for no stream", "ResourceNotFoundException", logs.put_log_events, logGroupName=GROUP, logStreamName="z",
        logEvents=[{"timestamp": now, "message": "x"}])

order = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
ok("streams by their last event", [s["logStreamName"] for s in order] == ["b", "a", "c"], order)
pages = list(logs.get_paginator("describe_log_streams").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 1}))
ok("streams in pages", [p["logStreams"][0]["logStreamName"] for p in pages] == ["a", "b", "c"], pages)
ok("the times of a stream", order[0]["firstEventTimestamp"] == now and order[0]["lastEventTimestamp"] == now + 9, order[0])
refused("streams of no group", "ResourceNotFoundException", logs.describe_log_streams, logGroupName="/none")

latest = logs.get_log_events(logGroupName=GROUP, logStreamName="b", limit=3)
ok("the latest events", messages(latest) == ["b7", "b8", "b9"], latest)
earlier = logs.get_log_events(logGroupName=GROUP, logStreamName="b", limit=3, nextToken=latest["nextBackwardToken"])
ok("those before", messages(earlier) == ["b4", "b5", "b6"], earlier)
first = logs.get_log_events(logGroupName=GROUP, logStreamName="b", limit=6, startFromHead=True)
rest = logs.get_log_events(logGroupName=GROUP, logStreamName="b", startFromHead=True, nextToken=first["nextForwardToken"])
ok("forward from the head", messages(first) + messages(rest) == [f"b{i}" for i in range(10)], (first, rest))
end = logs.get_log_events(logGroupName=GROUP, logStreamName="b", startFromHead=True, nextToken=rest["nextForwardToken"])
ok("at the end the same token", end["events"] == [] and end["nextForwardToken"] == rest["nextForwardToken"], end)
part = logs.get_log_events(logGroupName=GROUP, logStreamName="b", startTime=now + 2, endTime=now + 4, startFromHead=True)
ok("a range without its end", messages(part) == ["b2", "b3"], part)
refused("a token of another kind", "InvalidParameterException", logs.get_log_events, logGroupName=GROUP, logStreamName="b", nextToken="x")
refused("events of no stream", "ResourceNotFoundException", logs.get_log_events, logGroupName=GROUP, logStreamName="z")

pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 4}))
events = [e for p in pages for e in p["events"]]
ok("events of all streams in pages", len(pages) == 3 and len(events) == 11 and len({e["eventId"] for e in events}) == 11, events)
ok("in the order of time", [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events), events)
part = logs.filter_log_events(logGroupName=GROUP, startTime=now + 2, endTime=now + 3)
ok("a range with its end", messages(part) == ["b2", "b3"], part)
found = logs.filter_log_events(logGroupIdentifier=arn, filterPattern='{ $.level = "err*" && $.n > 6 }')
ok("a JSON pattern", [e["logStreamName"] for e in found["events"]] == ["a"], found)
found = logs.filter_log_events(logGroupName=GROUP, logStreamNames=["b"], filterPattern="?b1 ?b2")
ok("terms in one stream", messages(found) == ["b1", "b2"], found)
ok("a prefix of streams", len(logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="a")["events"]) == 1)
refused("a bare colon", "InvalidParameterException", logs.filter_log_events, logGroupName=GROUP, filterPattern="a:b")
refused("a space-delimited pattern", "InvalidParameterException", logs.filter_log_events, logGroupName=GROUP, filterPattern="[a, b]")
refused("names and prefix at once", "InvalidParameterException", logs.filter_log_events, logGroupName=GROUP, logStreamNames=["b"], logStreamNamePrefix="a")
refused("Insights", "UnsupportedOperationException", logs.start_query, logGroupName=GROUP, startTime=0, endTime=1, queryString="fields @message")
group = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]
ok("stored bytes", group["storedBytes"] == 10 * 28 + 26 + 23, group)

# Following a group as version 2 of the CLI does: from the latest time on, without
# the events that it has seen at it.
seen, start = {}, now
heard = []
for n in range(4):
    logs.put_log_events(logGroupName=GROUP, logStreamName="c", logEvents=[{"timestamp": now + 100 + n // 2, "message": f"follow {n}"}])
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, startTime=start, interleaved=True):
        for e in page["events"]:
            if e["eventId"] not in seen:
                seen[e["eventId"]] = True
                heard.append(e["message"])
                start = max(start, e["timestamp"])
ok("following hears each event once", heard[11:] == [f"follow {n}" for n in range(4)], heard)
logs.delete_log_stream(logGroupName=GROUP, logStreamName="c")

# The end.
logs.delete_log_stream(logGroupName=GROUP, logStreamName="b")
ok("a deleted stream", len(logs.filter_log_events(logGroupName=GROUP)["events"]) == 1)
refused("deleting it again", "ResourceNotFoundException", logs.delete_log_stream, logGroupName=GROUP, logStreamName="b")
logs.delete_log_group(logGroupName=GROUP)
refused("deleting a group again", "ResourceNotFoundException", logs.delete_log_group, logGroupName=GROUP)
refused("events of a deleted group", "ResourceNotFoundException", logs.filter_log_events, logGroupName=GROUP)
