"""A foreign editor: a scripted language-server session over stdio, with nothing but Python's own library.

usage: lsp_session.py WORKSPACE FOLDER COMMAND...    FOLDER: the media folder below WORKSPACE. Prints one line per step.
"""
import json
import os
import posixpath
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

WAIT_S = 60


class Editor:
    """Speaks the protocol's framing; applies the edits that the server sends, as an editor would."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.changed = threading.Condition()
        self.answers, self.diagnostics, self.asked, self.texts, self.versions = {}, {}, [], {}, {}
        self.last_id = 0
        self.ended = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        stream = self.child.stdout
        while True:
            length = None
            while (line := stream.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if length is None:
                break
            message = json.loads(stream.read(length))
            with self.changed:
                self.take(message)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def take(self, message):
        if "method" not in message:
            self.answers[message["id"]] = message
        elif "id" in message:
            self.asked.append(message)
            self.write({"id": message["id"], "result": self.answer(message["method"], message["params"])})
        elif message["method"] == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]

    def answer(self, method, params):
        if method == "window/showMessageRequest":
            return params["actions"][0]
        if method == "workspace/applyEdit":
            for change in params["edit"]["documentChanges"]:
                self.apply(change["textDocument"]["uri"], change["edits"])
            return {"applied": True}
        return None

    def apply(self, uri, edits):
        if uri not in self.texts:
            path = path_of(uri)
            path.write_text(edited(path.read_text("utf-8"), edits), "utf-8")
            return
        for edit in sorted(edits, key=lambda one: (one["range"]["start"]["line"], one["range"]["start"]["character"]), reverse=True):
            self.change(uri, edit["range"], edit["newText"])

    def write(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.child.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.child.stdin.flush()

    def tell(self, method, params=None):
        self.write({"method": method, "params": params or {}})

    def ask(self, method, params=None):
        self.last_id += 1
        wanted = self.last_id
        self.write({"id": wanted, "method": method, "params": params or {}})
        return self.until(method, lambda: self.answers.pop(wanted, None))

    def until(self, what, found):
        with self.changed:
            value = None

            def look():
                nonlocal value
                value = found()
                return value is not None or self.ended

            if not self.changed.wait_for(look, WAIT_S) or value is None:
                raise SystemExit(f"waited in vain for: {what}")
            return value

    def open(self, uri, text):
        self.texts[uri], self.versions[uri] = text, 1
        self.tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "markdown", "version": 1, "text": text}})

    def change(self, uri, span, text):
        """An incremental change, as editors send them."""
        self.texts[uri] = edited(self.texts[uri], [{"range": span, "newText": text}])
        self.versions[uri] += 1
        self.tell("textDocument/didChange", {"textDocument": {"uri": uri, "version": self.versions[uri]}, "contentChanges": [{"range": span, "text": text}]})

    def flagged(self, uri, wanted=lambda found: True):
        """Diagnostics of the text as it is now."""

        def look():
            told = self.diagnostics.get(uri)
            return told["diagnostics"] if told and told.get("version") == self.versions[uri] and wanted(told["diagnostics"]) else None

        return self.until(f"diagnostics of {uri}", look)


def path_of(uri):
    return Path(unquote(urlparse(uri).path))


def uri_of(path):
    return "file://" + quote(str(path))


def offset_of(text, position):
    """LSP columns count UTF-16 units, Python characters code points."""
    lines = text.split("\n")
    line = lines[position["line"]].encode("utf-16-le")[: position["character"] * 2].decode("utf-16-le")
    return sum(len(one) + 1 for one in lines[: position["line"]]) + len(line)


def edited(text, edits):
    for edit in sorted(edits, key=lambda one: offset_of(text, one["range"]["start"]), reverse=True):
        text = text[: offset_of(text, edit["range"]["start"])] + edit["newText"] + text[offset_of(text, edit["range"]["end"]) :]
    return text


def judged_missing(note, text, folder, workspace):
    """An independent look, line by line and by patterns: what must be flagged. Returns [(line, path as written)]."""
    found, fence = [], None
    definitions = re.compile(r"^ {0,3}\[(?!\^)[^\]]+\]:\s*<?([^\s>]+)")
    for number, line in enumerate(text.split("\n")):
        opened = re.match(r"^[\s>*+-]*(`{3,}|~{3,})", line)
        if opened and (fence is None or line.strip(" >").startswith(fence) and line.strip(" >`~") == ""):
            fence = opened.group(1) if fence is None else None
            continue
        if fence is not None or re.match(r"^(?: {4}|\t)(?!\s*[-*+\d])", line) and not text.split("\n")[number - 1].strip().startswith(("-", "*", "1")):
            continue
        line = re.sub(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", lambda code: " " * len(code.group(0)), line)
        written = [one.group(1) for one in re.finditer(r"\]\(\s*<?([^)\s>]+)", line)]
        written += [one.group(1) for one in re.finditer(r"<(?:img|audio|video|source)\b[^>]*?\ssrc=[\"']?([^\"'>\s]+)", line)]
        written += [one.group(1) for one in definitions.finditer(line)]
        for name in written:
            path = name.split("#")[0].split("?")[0]
            if path == "" or re.match(r"^[a-z][a-z0-9+.-]+:|^//", path, re.I):
                continue
            base = workspace if path.startswith("/") else posixpath.dirname(str(note))
            absolute = posixpath.normpath(posixpath.join(base, unquote(path).lstrip("/")))
            if absolute.startswith(f"{folder}/") and "." in posixpath.basename(absolute) and not os.path.exists(absolute):
                found.append((number, path))
        for one in re.finditer(r"!\[\[([^\]|#]+)", line):
            name = one.group(1).strip().rstrip("\\")
            known = any(name == other or other.endswith(f"/{name}") for other in media_below(folder))
            if re.search(r"\.(png|jpe?g|gif|svg|webp|mp3|mp4|pdf)$", name, re.I) and not known:
                found.append((number, name))
    return sorted(found)


def media_below(folder):
    return [posixpath.relpath(posixpath.join(base, name), folder) for base, _, names in os.walk(folder) for name in names]


def main():
    workspace, folder, *command = sys.argv[1:]
    editor = Editor(command)
    told = editor.ask(
        "initialize",
        {
            "processId": os.getpid(),
            "rootUri": uri_of(workspace),
            "workspaceFolders": [{"uri": uri_of(workspace), "name": "notes"}],
            "capabilities": {
                "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
                "window": {"showMessage": {"messageActionItem": {}}},
                "textDocument": {"hover": {"contentFormat": ["markdown"]}},
            },
        },
    )["result"]
    assert told["serverInfo"]["name"] == "Satchel", told
    editor.tell("initialized")
    print("initialize")

    notes = sorted(Path(workspace).rglob("*.md"))
    flagged = 0
    for note in notes:
        text = note.read_text("utf-8")
        editor.open(uri_of(note), text)
        expected = judged_missing(note, text, folder, workspace)
        found = editor.flagged(uri_of(note))
        lines = text.split("\n")
        got = sorted((one["range"]["start"]["line"], lines[one["range"]["start"]["line"]][one["range"]["start"]["character"] : one["range"]["end"]["character"]]) for one in found)
        assert got == expected, f"{note}: flagged {got}, by our own look {expected}"
        assert all(one["source"] == "satchel" and one["code"] == "never" for one in found), found
        flagged += len(found)
    print(f"notes {len(notes)} flagged {flagged}")

    scratch = Path(workspace) / "scratch.md"
    uri = uri_of(scratch)
    name = sorted(one for one in media_below(folder) if one.endswith(".png"))[0]
    way = posixpath.relpath(posixpath.join(folder, name), workspace)
    editor.open(uri, f"𝒳 ![](./{quote(way)})\n\n![](nope.png)\n")
    assert editor.flagged(uri) == []
    hover = editor.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 12}})["result"]
    assert name in hover["contents"]["value"].replace("\\", "") and "file://" in hover["contents"]["value"], hover
    print("hover")
    end = {"line": 2, "character": 13}
    editor.change(uri, {"start": {"line": 2, "character": 0}, "end": end}, "![[")
    items = editor.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 3}})["result"]["items"]
    assert name in [one["label"] for one in items], items
    editor.change(uri, {"start": {"line": 2, "character": 0}, "end": {"line": 2, "character": 3}}, f"![[{name}]]")
    assert editor.flagged(uri) == []
    print("completion")
    links = editor.ask("textDocument/documentLink", {"textDocument": {"uri": uri}})["result"]
    assert [path_of(one["target"]) for one in links] == [Path(folder) / name] * 2, links
    places = editor.ask("textDocument/references", {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 5}, "context": {"includeDeclaration": True}})["result"]
    assert len([one for one in places if one["uri"] == uri]) == 2, places
    print("links")

    os.rename(os.path.join(folder, name), os.path.join(folder, "renamed (1).png"))
    editor.until("the edit", lambda: next((one for one in editor.asked if one["method"] == "workspace/applyEdit"), None))
    way = posixpath.relpath(posixpath.join(folder, "renamed%20%281%29.png"), workspace)
    assert editor.texts[uri] == f"𝒳 ![](./{way})\n\n![[renamed (1).png]]\n", editor.texts[uri]
    assert editor.flagged(uri, lambda found: found == []) == []
    for note in notes:
        on_disk = note.read_text("utf-8")
        assert editor.texts[uri_of(note)] == on_disk or quote(name) not in editor.texts[uri_of(note)], note
    print("rename")

    editor.open(uri_of(Path(workspace) / "huge.md"), "x" * (1 << 20))
    assert editor.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 0}})["result"] is None
    print("huge")

    assert editor.ask("shutdown")["result"] is None
    editor.tell("exit")
    assert editor.child.wait(WAIT_S) == 0, editor.child.returncode
    print("exit")


main()
