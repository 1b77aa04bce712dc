"""The API as somebody else's program speaks it: the `websockets` library, service.json, and what SPEC.md §5 says. Nothing of ours."""

import hashlib
import hmac
import json
import secrets
import sys
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect, unix_connect


class ApiError(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]


class Api:
    """One connection. Notifications that arrive while an answer is waited for are kept in `notices`."""

    def __init__(self, file, over="tcp"):
        told = json.loads(Path(file).read_text())
        headers = {"Authorization": f"Bearer {told['token']}"}
        options = {"additional_headers": headers, "subprotocols": ["satchel.v1"], "compression": None, "max_size": None}
        if over == "tcp":
            self.socket = connect(f"ws://127.0.0.1:{told['port']}/", **options)
        else:
            self.socket = unix_connect(told["socket"], "ws://localhost/", **options)
        self.notices = []
        self.last_id = 0
        self.hello = self.prove(told["serviceKey"])

    def prove(self, service_key):
        nonce = secrets.token_hex(16)
        hello = self.call("service/hello", nonce=nonce, client="python websockets")
        proof = hmac.new(service_key.encode(), b"satchel-hello:" + nonce.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof, hello["proof"]):
            raise SystemExit("this is not the service that wrote service.json")
        return hello

    def call(self, method, **params):
        self.last_id += 1
        self.socket.send(json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if "method" in message:
                self.notices.append(message)
            elif message["id"] == self.last_id:
                if "error" in message:
                    raise ApiError(message["error"])
                return message["result"]

    def notice(self, name):
        """The next notification of this name; others are thrown away."""
        while True:
            message = self.notices.pop(0) if self.notices else json.loads(self.socket.recv())
            if message.get("method") == name:
                return message["params"]


def say(**told):
    print(json.dumps(told), flush=True)


def heard():
    """A line from whoever started us. Ends the program when there is none."""
    line = sys.stdin.readline()
    if line == "":
        raise SystemExit(0)
    return json.loads(line)


__all__ = ["Api", "ApiError", "WebSocketException", "heard", "say"]
