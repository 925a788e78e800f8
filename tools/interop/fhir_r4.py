"""Reads exported FHIR resources with the R4 models of fhir.resources, which reject what R4 does
not know, and checks counts and references."""
import base64
import json
import sys

from fhir.resources import construct_fhir_element

study, count, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
resources = []
for path in paths:
    with open(path, encoding="utf-8") as file:
        resource = json.load(file)
    construct_fhir_element(resource["resourceType"], resource)
    if resource["resourceType"] == "Bundle":
        resources += [(entry.get("fullUrl"), entry["resource"]) for entry in resource["entry"]]
    else:
        resources.append((None, resource))

kinds = [resource["resourceType"] for _, resource in resources]
for kind in ("ImagingStudy", "Patient", "Endpoint"):
    assert kind in kinds, f"no {kind} among {kinds}"

# the same study stands alone, with the ids of a server, and in the transaction, with URNs
studies = [
    resource
    for _, resource in resources
    if resource["resourceType"] == "ImagingStudy"
    and any(f"urn:oid:{study}" == identifier.get("value") for identifier in resource["identifier"])
]
assert studies, f"no ImagingStudy of {study}"
for imaging in studies:
    instances = [one for series in imaging["series"] for one in series.get("instance", [])]
    assert imaging["numberOfInstances"] == count == len(instances), (imaging["numberOfInstances"], count, len(instances))
    assert imaging["numberOfSeries"] == len(imaging["series"])
    for series in imaging["series"]:
        assert series["numberOfInstances"] == len(series["instance"]), series["uid"]

for report in (resource for _, resource in resources if resource["resourceType"] == "DiagnosticReport"):
    for form in report["presentedForm"]:
        data = base64.b64decode(form.get("data", ""), validate=True)
        assert len(data) == form.get("size", 0), form
        assert data or form["url"].startswith("http"), form
        if form["contentType"] == "text/plain":
            assert report["conclusion"] in data.decode("utf-8")
        elif data:
            assert data.startswith(b"%PDF-"), data[:8]
    assert report["basedOn"] and report["imagingStudy"] and report["resultsInterpreter"], report

known = {url for url, _ in resources if url}
known |= {f"{resource['resourceType']}/{resource['id']}" for _, resource in resources if "id" in resource}


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


for _, resource in resources:
    contained = {"#" + inner["id"] for inner in resource.get("contained", [])}
    for reference in references(resource):
        assert reference in known or reference in contained, f"{reference} leads nowhere"
print(f"{len(resources)} resources, {count} instances")
