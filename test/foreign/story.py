"""Add folder, login, sync, stream events, resolve a conflict. Talks to its starter in lines of JSON; the starter plays the other device."""

import sys
from pathlib import Path

from satchel_api import Api, ApiError, heard, say

service_file, root, server_url = sys.argv[1:4]
asked = heard()
api = Api(service_file)
say(step="hello", version=api.hello["protocolVersion"], scope=api.hello["scope"])

try:
    api.call("remotes/login", url=server_url, user=asked["user"], password="wrong")
except ApiError as error:
    say(step="refused", code=error.code)
remote = api.call("remotes/login", url=server_url, user=asked["user"], password=asked["password"])["remote"]
folder = api.call("folders/add", root=root, remote=remote)["folder"]
log = api.call("events/subscribe", since=0, progress=True)["log"]
say(step="added", remote=remote, sameLog=log == api.hello["log"])

picture = Path(root, "photo.png")
picture.write_bytes(b"first")
run = api.call("sync/run", folder=folder, progressToken="mine")["runs"][0]
say(step="synced", result=run["result"], error=run["error"])

heard()  # the other device has the picture
api.call("sync/pause", folder=folder)
picture.write_bytes(b"mine")
say(step="changed")
heard()  # the other device has sent its own
api.call("sync/resume", folder=folder)
api.call("sync/run", folder=folder)
while (event := api.notice("event"))["kind"] != "conflict":
    pass
conflict = api.call("conflicts/get", id=event["data"]["id"])
say(step="conflict", path=conflict["path"], stands=picture.read_bytes().decode())
api.call("conflicts/resolve", id=conflict["id"], keep="mine")
run = api.call("sync/run", folder=folder)["runs"][0]
say(step="resolved", result=run["result"], stands=picture.read_bytes().decode(), open=len(api.call("conflicts/list")["conflicts"]))

stored = api.call("events/list")["events"]
api.call("events/subscribe", since=0, log=log)
api.notices.clear()
streamed = [api.notice("event") for _ in stored]
say(step="streamed", same=streamed == stored, kinds=sorted({event["kind"] for event in stored}))
