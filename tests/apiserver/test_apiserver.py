"""The lab's API server itself: what it must get right for the tests above it to mean anything."""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

SERVER = pathlib.Path(__file__).with_name("apiserver.py")


class Api:
    def __init__(self, directory, *flags):
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, SERVER, "--listen", "127.0.0.1:0", "--objects", directory, *flags], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def ask(self, path, method="GET", body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def watch(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse()

    def stop(self):
        self.process.kill()
        self.process.wait()


def service(name, port=80, **metadata):
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata},
                       "spec": {"ports": [{"port": port}]}})


def write(path, text):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.rename(temporary, path)


def event(stream):
    return json.loads(stream.readline())


@pytest.fixture
def api(tmp_path):
    server = Api(tmp_path)
    yield server
    server.stop()


def test_objects_of_the_directory_are_listed_and_their_changes_watched(api, tmp_path):
    assert api.ask("/api/v1/services")[1]["items"] == []
    version = api.ask("/api/v1/services")[1]["metadata"]["resourceVersion"]
    stream = api.watch(f"/api/v1/services?watch=1&resourceVersion={version}")
    started = time.monotonic()
    write(tmp_path / "web.yaml", service("web"))
    added = event(stream)
    assert time.monotonic() - started < 0.5
    assert added["type"] == "ADDED" and added["object"]["metadata"]["namespace"] == "default"
    write(tmp_path / "web.yaml", service("web", 81))
    assert event(stream)["type"] == "MODIFIED"
    listed = api.ask("/api/v1/namespaces/default/services")[1]
    assert listed["kind"] == "ServiceList" and listed["items"][0]["spec"]["ports"][0]["port"] == 81
    os.unlink(tmp_path / "web.yaml")
    assert event(stream)["type"] == "DELETED"
    assert api.ask("/api/v1/namespaces/other/services")[1]["items"] == []


def test_selectors_choose_and_what_stops_matching_is_deleted(api, tmp_path):
    write(tmp_path / "all.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        json.loads(service("a", labels={"x": "1"})), json.loads(service("b"))]}))
    time_limit = time.monotonic() + 5
    while len(api.ask("/api/v1/services")[1]["items"]) < 2:
        assert time.monotonic() < time_limit
    names = lambda query: [one["metadata"]["name"] for one in api.ask("/api/v1/services?" + query)[1]["items"]]
    assert names("fieldSelector=metadata.name%3Db") == ["b"]
    assert names("labelSelector=x") == ["a"]
    stream = api.watch("/api/v1/services?watch=1&labelSelector=x&resourceVersion=0")
    assert event(stream)["object"]["metadata"]["name"] == "a"
    api.ask("/_objects", "PUT", service("a"))
    assert event(stream)["type"] == "DELETED"


def test_an_old_version_is_expired(api):
    version = api.ask("/api/v1/services")[1]["metadata"]["resourceVersion"]
    api.ask("/_objects", "PUT", service("web"))
    api.ask("/_compact", "POST")
    error = event(api.watch(f"/api/v1/services?watch=1&resourceVersion={version}"))
    assert error["type"] == "ERROR" and error["object"]["code"] == 410


def test_versions_survive_a_restart(tmp_path):
    write(tmp_path / "web.yaml", service("web"))
    first = Api(tmp_path)
    before = first.ask("/api/v1/services")[1]
    first.stop()
    second = Api(tmp_path, "--bookmark-interval", "0.05")
    assert second.ask("/api/v1/services")[1] == before
    version = before["metadata"]["resourceVersion"]
    stream = second.watch(f"/api/v1/services?watch=1&allowWatchBookmarks=true&resourceVersion={version}")
    assert event(stream)["type"] == "BOOKMARK"
    second.stop()
    os.unlink(tmp_path / "web.yaml")
    third = Api(tmp_path)
    assert event(third.watch(f"/api/v1/services?watch=1&resourceVersion={version}"))["object"]["code"] == 410
    third.stop()


def test_pages_hold_together_or_expire(api):
    for index in range(5):
        api.ask("/_objects", "PUT", service(f"s{index}"))
    page = api.ask("/api/v1/services?limit=2")[1]
    assert len(page["items"]) == 2
    page = api.ask("/api/v1/services?limit=2&continue=" + page["metadata"]["continue"])[1]
    token = page["metadata"]["continue"]
    assert len(api.ask("/api/v1/services?limit=2&continue=" + token)[1]["items"]) == 1
    api.ask("/_objects?kind=Service&name=s0", "DELETE")
    assert api.ask("/api/v1/services?limit=2&continue=" + token)[0] == 410


def test_it_fails_as_told_and_writes_down_what_it_was_asked(api):
    api.ask("/_fail?status=429&count=2&path=services", "POST")
    assert [api.ask("/api/v1/services")[0], api.ask("/api/v1/nodes")[0], api.ask("/api/v1/services")[0],
            api.ask("/api/v1/services")[0]] == [429, 200, 429, 200]
    assert api.ask("/_requests")[1].splitlines() == ["/api/v1/services", "/api/v1/nodes", "/api/v1/services", "/api/v1/services"]
    assert api.ask("/readyz") == (200, "ok")


def test_watches_can_be_cut(api):
    stream = api.watch("/api/v1/services?watch=1&resourceVersion=0")
    api.ask("/_cut", "POST")
    assert stream.readline() == b""
