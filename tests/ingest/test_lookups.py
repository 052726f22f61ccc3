"""Rules 16 to 21, asked of a service that this test is: nothing outside is ever contacted."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tomoportal.errors import Problem, SettingsError
from tomoportal.ingest import load_config
from tomoportal.ingest.lookups import SERVICES, Client, check_online, read_exclusions
from tomoportal.ingest.lookups.client import Unreachable
from tomoportal.testing.sources import sample_config, write_config

OBO = """\
format-version: 1.2

[Term]
id: CDPO:0000001
name: streak artifact
synonym: "streak" EXACT []

[Typedef]
id: CDPO:0000009
name: not a term
"""


def _ols(value: str) -> str:
    root = "http://www.ebi.ac.uk/efo/" if value.startswith("EFO") else "http://purl.obolibrary.org/obo/"
    return f"/ols/terms?iri={root.replace(':', '%3A').replace('/', '%2F')}{value.replace(':', '_')}"


def _terms(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"_embedded": {"terms": list(terms)}}


def _ancestors(value: str) -> str:
    iri = f"http%253A%252F%252Fpurl.obolibrary.org%252Fobo%252F{value.replace(':', '_')}"
    return f"/ols/ontologies/go/terms/{iri}/ancestors?size=500"


@dataclass
class Service:
    """Answers by path; a path that is not here is not found. ``broken`` services answer 503."""

    address: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    """Service → how many requests it fails before it recovers."""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    """Go with a broken service's status."""
    asked: Counter[str] = field(default_factory=Counter)
    raw: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    """Path → what is written to the connection instead of an answer."""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def client(self, **settings: Any) -> Client:
        addresses = {name: f"{self.address}/{name}" for name in SERVICES}
        return Client(addresses, **{"pause": 0.0, "interval": 0.0, "intervals": {}, **settings})


@pytest.fixture
def service() -> Iterator[Service]:
    known = Service()
    known.answers = {
        "/orcid/0000-0002-1825-0097": {},
        "/crossref/10.1101/2022.01.01.00001": {},
        "/doi/10.5281/zenodo.1": {},
        "/empiar/EMPIAR-10001/": {},
        "/emdb/EMD-1234": {},
        "/cellosaurus/CVCL_0030?format=json&fld=id&fld=sy": {
            "Cellosaurus": {"cell-line-list": [{"name-list": [{"value": "HeLa"}, {"value": "HELA"}]}]}
        },
        "/wormbase/WBStrain00000001/name": {"name": {"data": {"label": "N2"}}},
        "/wormbase/WBStrain00000001/other_names": {"other_names": {"data": ["Bristol"]}},
        "/wormbase/WBStrain00000002/name": {"name": {"data": None}},
        "/uniprot/P01266.json": {
            "proteinDescription": {
                "recommendedName": {"fullName": {"value": "Thyroglobulin"}},
                "alternativeNames": [{"fullName": {"value": "Tg"}}],
            }
        },
        "/pdb/entry/1ABC": {
            "struct": {"title": "Structure of CD40-L in complex"},
            "rcsb_entry_container_identifiers": {"polymer_entity_ids": ["1"]},
        },
        "/pdb/polymer_entity/1ABC/1": {"rcsb_polymer_entity": {"pdbx_description": "Antibody heavy chain"}},
        "/cdpo": OBO,
        "/cl": OBO.replace("CDPO:0000001", "CL:0000001").replace("streak artifact", "cell in vitro"),
        _ols("EFO:0022601"): _terms({"label": "cryo-electron tomography", "synonyms": ["cryo-ET"]}),
        _ols("PATO:0000461"): _terms({"label": "normal", "synonyms": []}),
        _ols("NCBITaxon:9606"): _terms({"label": "Homo sapiens", "synonyms": None}),
        _ols("GO:0005886"): _terms({"label": "plasma membrane", "synonyms": ["cell membrane"]}),
        _ancestors("GO:0005886"): _terms({"obo_id": "GO:0005575"}),
        _ols("GO:0006412"): _terms({"label": "translation", "synonyms": []}),
        _ancestors("GO:0006412"): _terms({"obo_id": "GO:0008150"}),
        _ols("GO:0000001"): _terms(),
        _ols("GO:0005634"): _terms({"label": None, "synonyms": None}),
        _ancestors("GO:0005634"): _terms({"obo_id": "GO:0005575"}),
        "/photos/good.png": ("image/png", b"png"),
        "/photos/page.png": ("text/html", b"<html>"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("/")[1]
            with known.guard:
                known.asked[self.path] += 1
            if self.path in known.raw:
                known.raw[self.path](self.wfile)
                self.close_connection = True
                return
            left = known.broken.get(name, 0)
            if left:
                known.broken[name] = left - 1
                self.send_response(known.status)
                for key, value in known.headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = known.answers.get(self.path)
            if answer is None:
                self.send_error(404)
                return
            kind, body = "application/json", b""
            if isinstance(answer, tuple):
                kind, body = answer
            else:
                body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()


Check = Callable[..., tuple[list[Problem], list[Problem]]]


@pytest.fixture
def check(tmp_path: Path, service: Service) -> Check:
    """``check(change)``: what the services say about the sample config with a change."""

    def run(
        change: Callable[[dict[str, Any]], object] = lambda config: None, exclusions: Any = None, **settings: Any
    ) -> tuple[list[Problem], list[Problem]]:
        config = sample_config()
        for entry in config["annotations"]:
            entry["metadata"]["annotation_object"] = {"id": "GO:0005886", "name": "plasma membrane"}
        change(config)
        loaded = load_config(write_config(tmp_path / "config.yaml", config))
        return check_online(loaded, service.client(**settings), exclusions)

    return run


def _object(value: str, name: str) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["annotations"][0]["metadata"].update(annotation_object={"id": value, "name": name})


def _references(text: str) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["datasets"][0]["metadata"].update(cross_references={"related_database_entries": text})


def _part(key: str, value: str, name: str) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["datasets"][0]["metadata"].update({key: {"id": value, "name": name}})


def test_what_exists_is_fine_and_asked_once(check: Check, service: Service) -> None:
    assert check() == ([], [])
    assert set(service.asked.values()) == {1}
    assert service.asked["/orcid/0000-0002-1825-0097"] == 1  # it stands in the config six times


def _photo(config: dict[str, Any], url: str) -> None:
    config["dataset_keyphotos"] = [{"sources": [{"literal": {"value": {"snapshot": url, "thumbnail": None}}}]}]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c["datasets"][0]["metadata"]["authors"][0].update(ORCID="0000-0001-5109-3700"), "no ORCID"),
        (_references("EMPIAR-10001, EMD-1234, PDB-1ABC"), None),
        (_references("EMPIAR-10001, EMD-9999"), "no entry EMD-9999"),
        (_references("EMPIAR-99999"), "no entry EMPIAR-99999"),
        (_references("PDB-9XYZ"), "no entry PDB-9XYZ"),
        (lambda c: c["annotations"][0]["metadata"].update(annotation_publications="10.5281/zenodo.1"), None),
        (lambda c: c["annotations"][0]["metadata"].update(annotation_publications="10.9999/no"), "no entry 10.9999/no"),
        (_part("assay", "EFO:0022601", "cryo-ET"), None),
        (_part("assay", "EFO:0022601", "Cryo-ET"), "is not called 'Cryo-ET'"),
        (_part("assay", "EFO:0009999", "x"), "there is no EFO:0009999"),
        (_part("cell_strain", "CVCL_0030", "HELA"), None),
        (_part("cell_strain", "CVCL_0030", "Vero"), "is not called 'Vero'"),
        (_part("cell_strain", "CVCL_9999", "Vero"), "there is no CVCL_9999"),
        (_part("cell_strain", "WBStrain00000001", "Bristol"), None),
        (_part("cell_strain", "WBStrain00000002", "N3"), "there is no WBStrain00000002"),
        (_part("cell_strain", "CC-0001", "anything"), None),
        (_object("UniProtKB:P01266", "Tg"), None),
        (_object("UniProtKB:P01266", "Ferritin"), "is not called 'Ferritin'"),
        (_object("PDB-1ABC", "CD40L"), None),
        (_object("PDB-1ABC", "antibody"), None),
        (_object("PDB-1ABC", "ribosome"), "is not called 'ribosome'"),
        (_object("CDPO:0000001", "streak"), None),
        (_object("CDPO:0000009", "not a term"), "there is no CDPO:0000009"),
        (_object("CL:0000001", "cell in vitro"), None),
        (_object("GO:0005634", "whatever"), None),
        (_object("GO:0006412", "translation"), "no cellular component"),
        (_object("GO:0000001", "x"), "there is no GO:0000001"),
        (lambda c: c["datasets"][0]["metadata"]["organism"].update(taxonomy_id=1), "no organism 1"),
    ],
)
def test_what_does_not_exist_is_an_error_at_its_line(
    check: Check, change: Callable[[dict[str, Any]], object], what: str | None
) -> None:
    errors, warnings = check(change)
    assert warnings == []
    if what is None:
        assert errors == []
        return
    (error,) = errors
    assert what in error.what
    assert error.where.startswith("config.yaml:")
    assert "(" in error.where


@pytest.mark.parametrize(("name", "what"), [("good.png", None), ("page.png", "text/html"), ("none.png", "status 404")])
def test_key_photos_are_pictures(check: Check, service: Service, name: str, what: str | None) -> None:
    errors, _ = check(lambda config: _photo(config, f"{service.address}/photos/{name}"))
    assert (what is None and errors == []) or (what is not None and what in errors[0].what)


def test_a_service_that_recovers_is_asked_again(check: Check, service: Service) -> None:
    service.broken = {"orcid": 3, "ols": 1}
    assert check() == ([], [])
    assert service.asked["/orcid/0000-0002-1825-0097"] == 4


@pytest.mark.parametrize(("status", "requests"), [(503, 4), (429, 4), (403, 1)])
def test_a_service_that_is_away_is_one_warning(check: Check, service: Service, status: int, requests: int) -> None:
    service.broken, service.status = {"ols": 100}, status
    errors, (warning,) = check()
    assert errors == []
    assert str(status) in warning.what
    assert "ols could not be asked about 4 values" in warning.what
    assert sum(count for path, count in service.asked.items() if path.startswith("/ols")) == requests


def test_what_could_not_be_asked_is_listed(check: Check, service: Service) -> None:
    service.broken = {"emdb": 100}
    errors, (warning,) = check(_references("EMD-1234, EMD-7777, EMPIAR-99999"))
    assert [error.what.partition(" (")[0] for error in errors] == ["there is no entry EMPIAR-99999"]
    assert "emdb could not be asked about 2 values" in warning.what
    assert warning.what.endswith("not checked: EMD-1234, EMD-7777")


ROR = "https://ror.org/0420db125"


@pytest.mark.parametrize(("answers", "there"), [({"/ror/0420db125": {"id": ROR}}, True), ({}, False)])
def test_organisations_are_looked_up(check: Check, service: Service, answers: dict[str, Any], there: bool) -> None:
    service.answers |= answers
    errors, warnings = check(lambda c: c["datasets"][0]["metadata"]["authors"][0].update(affiliation_identifier=ROR))
    assert warnings == []
    assert [error.what for error in errors if "no organisation" in error.what] == (
        [] if there else [error.what for error in errors]
    )
    assert bool(errors) is not there
    assert service.asked["/ror/0420db125"] == 1


@pytest.mark.parametrize(("status", "gone"), [(404, True), (410, True), (400, True), (422, True), (405, False)])
def test_only_some_answers_say_that_there_is_no_such_thing(
    check: Check, service: Service, status: int, gone: bool
) -> None:
    service.broken, service.status = {"emdb": 1}, status
    errors, warnings = check(_references("EMD-1234"))
    assert (len(errors), len(warnings)) == ((1, 0) if gone else (0, 1))
    assert service.asked["/emdb/EMD-1234"] == 1


@pytest.mark.parametrize("after", ["7", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_when_it_says(
    check: Check, service: Service, monkeypatch: pytest.MonkeyPatch, status: int, after: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tomoportal.ingest.lookups.client.time.sleep", slept.append)
    now = time.time()
    monkeypatch.setattr("tomoportal.ingest.lookups.client.time.time", lambda: now)
    text = after if after != "date" else email.utils.formatdate(now + 7.5, usegmt=True)
    service.broken, service.status, service.headers = {"orcid": 1}, status, {"Retry-After": text}
    assert check() == ([], [])
    assert len(slept) == 1
    assert 6.5 <= slept[0] <= 7.5  # dates are whole seconds


def test_a_service_that_asks_for_a_long_pause_is_left_alone(check: Check, service: Service) -> None:
    service.broken, service.status, service.headers = {"orcid": 9}, 429, {"Retry-After": "3600"}
    errors, (warning,) = check()
    assert errors == []
    assert "429 and asks to be left alone for 3600 s" in warning.what
    assert service.asked["/orcid/0000-0002-1825-0097"] == 1


@pytest.mark.parametrize("answer", [("text/html", b"<html>log in first</html>"), "", ("application/json", b"{")])
def test_an_answer_that_is_no_json_says_nothing(check: Check, service: Service, answer: Any) -> None:
    """Such as the page on which a hotel's network wants us to log in: it neither proves nor disproves an entry."""
    service.answers["/emdb/EMD-1234"] = service.answers["/emdb/EMD-9999"] = answer
    errors, (warning,) = check(_references("EMD-1234, EMD-9999"))
    assert errors == []
    assert "instead of JSON" in warning.what
    assert "2 values" in warning.what
    assert sum(count for path, count in service.asked.items() if path.startswith("/emdb")) == 1
    service.answers["/cdpo"] = ("text/html", b"<html>")
    errors, warnings = check(_object("CDPO:0000001", "streak"))
    assert errors == []
    assert "OBO" in warnings[0].what


def _redirect(service: Service, start: str, target: str) -> None:
    line = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    service.raw[start] = lambda out: out.write(line)


def test_redirections_are_followed_but_not_in_circles(check: Check, service: Service) -> None:
    _redirect(service, "/emdb/EMD-2001", f"{service.address}/emdb/EMD-1234")
    assert check(_references("EMD-2001")) == ([], [])
    _redirect(service, "/emdb/EMD-2002", f"{service.address}/emdb/EMD-2003")
    _redirect(service, "/emdb/EMD-2003", f"{service.address}/emdb/EMD-2002")
    for target in ("EMD-2002", "EMD-2004"):
        if target == "EMD-2004":
            _redirect(service, "/emdb/EMD-2004", "file:///etc/hostname")
        errors, warnings = check(_references(target))
        assert (errors, len(warnings)) == ([], 1)
        assert "302" in warnings[0].what


@pytest.mark.parametrize("drips", [False, True])
def test_services_that_do_not_come_to_an_end_are_tried_again(service: Service, drips: bool) -> None:
    """Without a byte, and with one after the other: time is up when the whole answer takes too long."""
    given_up = threading.Event()

    def write(out: Any) -> None:
        with suppress(OSError):  # nobody listens any more
            out.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" * drips)
            while not given_up.wait(0.05):
                out.write(b" " * drips)
                out.flush()

    service.raw["/emdb/EMD-1234"] = write
    try:
        with pytest.raises(Unreachable) as raised:
            service.client(timeout=0.3, attempts=2).ask("emdb", "/EMD-1234")
    finally:
        given_up.set()
    assert raised.value.why == "timed out"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"nonsense\r\n\r\n", "nonsense"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", "IncompleteRead"),
        (b"", "closed connection"),
    ],
)
def test_broken_answers_are_tried_again_and_then_told(check: Check, service: Service, answer: bytes, why: str) -> None:
    service.raw["/emdb/EMD-1234"] = lambda out: out.write(answer)
    errors, (warning,) = check(_references("EMD-1234"), attempts=2)
    assert errors == []
    assert why in warning.what
    assert service.asked["/emdb/EMD-1234"] == 2


def test_a_few_services_at_a_time_and_each_with_one_question(check: Check, service: Service) -> None:
    first = {"emdb": "/emdb/EMD-10001", "empiar": "/empiar/EMPIAR-10001/"}
    met = threading.Barrier(2)
    busy: Counter[str] = Counter()
    most: Counter[str] = Counter()

    def slowly(name: str, path: str) -> Callable[[Any], None]:
        def write(out: Any) -> None:
            with service.guard:
                busy[name] += 1
                most[name] = max(most[name], busy[name])
            if path == first[name]:
                met.wait(60)  # breaks, and with it the answer, if the other service is not asked meanwhile
            else:
                time.sleep(0.05)  # a moment for a second question, which there must not be
            with service.guard:
                busy[name] -= 1
            out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        return write

    numbers = range(10001, 10004)
    names = [f"{kind}-{number}" for number in numbers for kind in ("EMD", "EMPIAR")]
    for number in numbers:
        for name, path in (("emdb", f"/emdb/EMD-{number}"), ("empiar", f"/empiar/EMPIAR-{number}/")):
            service.raw[path] = slowly(name, path)
    assert check(_references(", ".join(names))) == ([], [])
    assert all(service.asked[f"/emdb/EMD-{number}"] == 1 for number in numbers)
    assert most == {"emdb": 1, "empiar": 1}


def test_no_connection_is_a_warning_too(check: Check, service: Service) -> None:
    client = Client({"orcid": "http://127.0.0.1:9"}, pause=0, attempts=2)
    with pytest.raises(Unreachable):
        client.ask("orcid", "/x")


def test_requests_keep_their_distance(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tomoportal.ingest.lookups.client.time.sleep", slept.append)
    client = service.client(intervals={"doi": 1000.0})
    for number in range(3):
        client.ask("doi", f"/{number}")
    client.ask("doi", "/0")  # known
    assert len(slept) == 2
    assert all(900 < pause <= 1000 for pause in slept)


def test_exclusions_switch_rules_off_for_values(check: Check) -> None:
    strange = _object("GO:0006412", "translation")
    assert check(strange, {"AnnotationObject": {"id": ["GO:0006412"]}}) == ([], [])
    assert check(strange, {"AnnotationObject": {"name": ["translation"]}}) == ([], [])
    assert check(strange, {"Assay": {"id": ["GO:0006412"]}})[0]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"a": 1}', b'{"a": {"b": "c"}}'])
def test_an_exclusions_file_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsError):
        read_exclusions(data, "exclusions.json")


@pytest.mark.parametrize("addresses", [{"nothing": "http://x"}, {"ols": "file:///etc"}, {"ols": ""}])
def test_a_wrong_address_of_a_service_is_refused(addresses: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Client(addresses)


def test_the_command_asks_the_services_that_it_is_told(tmp_path: Path, service: Service) -> None:
    from click.testing import CliRunner

    from tomoportal.cli.config import command

    config = sample_config()
    config["datasets"][0]["metadata"]["organism"]["taxonomy_id"] = 1
    path = write_config(tmp_path / "config.yaml", config)
    services = [part for name in SERVICES for part in ("--service", f"{name}={service.address}/{name}")]
    arguments = ["validate", str(path), "--network", "--json", *services]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.return_value == 1
    (found,) = json.loads(done.stdout)
    assert any("no organism 1" in error["what"] for error in found["errors"])
