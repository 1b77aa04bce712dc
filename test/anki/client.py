"""Drives the real Anki client: one JSON request per line on stdin, one JSON reply per line on stdout.

A request is {"id", "device", "do", ...}; a reply {"id", "value"} or {"id", "error"}. Devices work at the same time (one thread
each), requests of one device in order (but `abort`, at once). A device is a collection in a folder of its own, with its media folder beside it.
"""

import base64
import json
import os
import queue
import resource
import sqlite3
import sys
import threading
import time

from anki.collection import Collection
from anki.errors import NetworkError
from anki.sync import SyncAuth

LOCK = threading.Lock()
REQUIRED = {0: "nothing", 1: "normal", 2: "full", 3: "download", 4: "upload"}
# How often the client is asked whether its media sync still runs; it tells no other way.
POLL_SECONDS = 0.002
LOGINS_TRIED = 5


def reply(message):
    with LOCK:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class Device:
    """One collection, with the login it syncs under."""

    def __init__(self):
        self.col = None
        self.auth = None
        self.ticks = 0

    def open(self, home, endpoint):
        os.makedirs(home, exist_ok=True)
        self.home = home
        self.col = Collection(os.path.join(home, "collection.anki2"))
        self.endpoint = endpoint
        return self.media()

    def login(self, user, password):
        """As a user who is told to come back in a second: our server hears five logins in one, of all its accounts (AU05)."""
        for left in reversed(range(LOGINS_TRIED)):
            try:
                found = self.col.sync_login(user, password, self.endpoint)
                break
            except NetworkError as error:
                if left == 0 or "429" not in str(error):
                    raise
                time.sleep(1)
        self.auth = SyncAuth(hkey=found.hkey, endpoint=self.endpoint, io_timeout_secs=60)
        return found.hkey

    def endpoint_is(self, endpoint):
        """Another base URL for the same login, as when the user edits the custom server."""
        self.endpoint = endpoint
        self.auth = SyncAuth(hkey=self.auth.hkey, endpoint=endpoint, io_timeout_secs=60)

    def media(self):
        return self.col.media.dir()

    def touch_folder(self):
        """The client looks at the folder's mtime (milliseconds) alone: two changes in one tick of the kernel must differ too."""
        self.ticks += 1
        at = time.time_ns() + self.ticks * 1_000_000_000
        os.utime(self.media(), ns=(at, at))

    def write(self, name, data):
        """As an editor saves: a new file over the old one. The client compares whole seconds, so each save gets a second of its own."""
        path = os.path.join(self.media(), name)
        temp = os.path.join(self.home, "saving")
        with open(temp, "wb") as file:
            file.write(base64.b64decode(data))
        self.ticks += 1
        at = int(time.time()) + self.ticks
        os.utime(temp, (at, at))
        os.replace(temp, path)
        self.touch_folder()

    def remove(self, name):
        os.unlink(os.path.join(self.media(), name))
        self.touch_folder()

    def add(self, name, data):
        """Through Anki itself; returns the name that it chose."""
        return self.col.media.write_data(name, base64.b64decode(data))

    def note(self, text):
        """A change of the collection, so that the sync button has something to do."""
        model = self.col.models.by_name("Basic")
        note = self.col.new_note(model)
        note["Front"] = text
        self.col.add_note(note, self.col.decks.id("Default"))
        return self.col.note_count()

    def notes(self):
        return sorted(self.col.get_note(id)["Front"] for id in self.col.find_notes(""))

    def wait_for_media(self):
        while self.col.media_sync_status().active:
            time.sleep(POLL_SECONDS)

    def sync_media(self):
        """Only the media, as the desktop's timer does. Milliseconds."""
        begun = time.perf_counter()
        self.col.sync_media(self.auth)
        self.wait_for_media()
        return (time.perf_counter() - begun) * 1000

    def button(self, choose):
        """The desktop's sync button: the collection, the full upload or download that it asks for, then media."""
        out = self.col.sync_collection(self.auth, True)
        required = REQUIRED[out.required]
        if out.new_endpoint:
            self.endpoint_is(out.new_endpoint)
        if required in ("full", "upload", "download"):
            upload = required == "upload" or (required == "full" and choose == "upload")
            self.col.close_for_full_sync()
            self.col.full_upload_or_download(auth=self.auth, server_usn=out.server_media_usn, upload=upload)
            self.col.reopen(after_full_sync=True)
        self.wait_for_media()
        return {"required": required, "message": out.server_message}

    def abort(self):
        """Beside a sync that this device waits for."""
        self.col.abort_media_sync()

    def rows(self):
        """The client's own media database: name, SHA-1 or null, waits for upload."""
        with sqlite3.connect(f"file:{self.database()}?mode=ro", uri=True) as db:
            return [list(row) for row in db.execute("select fname, csum, dirty from media order by fname")]

    def database(self):
        return os.path.join(self.home, "collection.media.db2")

    def plant_deletion(self, name):
        """A deletion that waits for upload, of a name that the scan would never make."""
        with sqlite3.connect(self.database()) as db:
            db.execute("insert or replace into media (fname, csum, mtime, dirty) values (?, null, 0, 1)", (name,))

    def forget(self):
        """What logging out does: the media database goes."""
        self.col.close()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(self.database() + end):
                os.unlink(self.database() + end)
        self.col = Collection(os.path.join(self.home, "collection.anki2"))

    def usage(self):
        """Of the whole process: processor seconds, and the most memory it ever held."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {"cpuSeconds": used.ru_utime + used.ru_stime, "peakBytes": used.ru_maxrss * 1024}

    def finish(self):
        if self.col is not None:
            self.col.close()
            self.col = None


def answer(device, request):
    told = {"id": request.pop("id")}
    del request["device"]
    try:
        told["value"] = getattr(device, request.pop("do"))(**request)
    except Exception as error:  # the test decides what an error means
        told["error"] = f"{type(error).__name__}: {error}"
    reply(told)


def serve(device, inbox):
    while (request := inbox.get()) is not None:
        answer(device, request)
    device.finish()


def main():
    inboxes = {}
    devices = {}
    threads = []
    for line in sys.stdin:
        request = json.loads(line)
        name = request["device"]
        if name not in inboxes:
            inboxes[name] = queue.Queue()
            devices[name] = Device()
            threads.append(threading.Thread(target=serve, args=(devices[name], inboxes[name])))
            threads[-1].start()
        if request["do"] == "abort":
            answer(devices[name], request)
        else:
            inboxes[name].put(request)
    for inbox in inboxes.values():
        inbox.put(None)
    for thread in threads:
        thread.join()


main()
