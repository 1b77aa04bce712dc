"""Prints the number of every event from the first on, for ever: over any end of the service, none left out and none twice."""

import json
import sys
import time

from satchel_api import Api, WebSocketException, say

service_file, over = sys.argv[1:3]
place = {"since": 0}
while True:
    try:
        api = Api(service_file, over)
        place["log"] = api.call("events/subscribe", **place)["log"]
        while True:
            event = api.notice("event")
            say(seq=event["seq"], kind=event["kind"])
            place["since"] = event["seq"]
    except (WebSocketException, OSError, EOFError, json.JSONDecodeError) as error:
        say(lost=type(error).__name__)
        time.sleep(0.02)
