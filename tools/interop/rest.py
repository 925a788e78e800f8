"""What scripts around Orthanc do over HTTP, with requests."""
import requests
from lab import arguments

url, study, accession = arguments("url", "study", "accession")
session = requests.Session()
session.auth = ("orthanc", "orthanc")


def get(path, **options):
    answer = session.get(url + path, timeout=20, **options)
    answer.raise_for_status()
    return answer


assert get("/system").json()["Version"]
(one,) = get("/studies").json()
assert get(f"/studies/{one}").json()["MainDicomTags"]["AccessionNumber"] == accession
found = get(
    "/dicom-web/studies",
    params={"AccessionNumber": accession, "includefield": "all"},
    headers={"Accept": "application/dicom+json"},
).json()
assert [item["0020000D"]["Value"][0] for item in found] == [study], found
whole = get(f"/dicom-web/studies/{study}", headers={"Accept": 'multipart/related; type="application/dicom"'})
assert whole.headers["Content-Type"].startswith("multipart/related"), whole.headers
assert whole.content.count(b"DICM") >= 8
