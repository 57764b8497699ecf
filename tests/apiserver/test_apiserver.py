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


EVENT = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": "default"},
         "eventTime": "2026-11-20T08:15:30.000000Z", "reportingController": "vipkeeper.io/vipkeeper", "reportingInstance": "node1",
         "type": "Warning", "reason": "R", "action": "A", "regarding": {"kind": "Service", "namespace": "default", "name": "web"}}
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
SERIES = {"series": {"count": 2, "lastObservedTime": "2026-11-20T08:15:31.000000Z"}}


def patch(api, path, value, content_type="application/merge-patch+json"):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    connection.request("PATCH", path, json.dumps(value), {"Content-Type": content_type})
    status = connection.getresponse().status
    connection.close()
    return status


def test_events_are_made_once_and_become_series(api):
    assert api.ask(EVENTS, "POST", json.dumps(EVENT))[0] == 201
    assert api.ask(EVENTS, "POST", json.dumps(EVENT))[0] == 409
    assert patch(api, EVENTS + "/web.1", SERIES) == 200
    assert patch(api, EVENTS + "/web.2", SERIES) == 404
    assert patch(api, EVENTS + "/web.1", {"note": "another"}) == 422
    assert patch(api, EVENTS + "/web.1", SERIES, "application/json") == 415
    assert [one["series"]["count"] for one in api.ask(EVENTS)[1]["items"]] == [2]
    assert api.ask("/_requests")[1].splitlines()[0] == "POST " + EVENTS


@pytest.mark.parametrize("field,value", [("action", ""), ("reportingInstance", "x" * 129), ("eventTime", "2026-11-20T08:15:30Z"),
                                         ("type", "Error"), ("note", "x" * 1025), ("regarding", {"kind": "Node", "name": "n", "namespace": "a"}),
                                         ("metadata", {"name": "Web", "namespace": "default"}), ("series", {"count": 1})])
def test_an_event_that_the_real_server_would_refuse_is_refused(api, field, value):
    assert api.ask(EVENTS, "POST", json.dumps({**EVENT, field: value}))[0] == 422


def test_the_status_of_a_load_balancer_is_patched_and_watched(api):
    item = json.loads(service("web"))
    item["spec"]["type"] = "LoadBalancer"
    api.ask("/_objects", "PUT", json.dumps(item))
    api.ask("/_objects", "PUT", service("inner"))
    stream = api.watch("/api/v1/services?watch=1&resourceVersion=0")
    assert {event(stream)["object"]["metadata"]["name"] for _ in range(2)} == {"web", "inner"}
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.50", "ipMode": "VIP"}]}}}
    assert patch(api, "/api/v1/namespaces/default/services/web/status", status) == 200
    assert event(stream)["object"]["status"] == status["status"]
    assert patch(api, "/api/v1/namespaces/default/services/inner/status", status) == 422
    assert patch(api, "/api/v1/namespaces/default/services/none/status", status) == 404
    assert patch(api, "/api/v1/namespaces/default/services/web/status", {"status": {"loadBalancer": {"ingress": None}}}) == 200
    assert event(stream)["object"]["status"] == {"loadBalancer": {}}


def test_what_is_forbidden_stays_forbidden_until_all_is_allowed(api):
    api.ask("/_forbid?method=POST&path=/events", "POST")
    assert [api.ask(EVENTS, "POST", json.dumps(EVENT))[0] for _ in range(2)] == [403, 403]
    assert api.ask(EVENTS)[0] == 200
    api.ask("/_forbid", "POST")
    assert api.ask(EVENTS, "POST", json.dumps(EVENT))[0] == 201
