"""Names in other character sets: stored in one, asked for in another. PS3.5 section 6.1.2."""
import copy
import os

from lab import EXPLICIT_LE, answers, arguments, associated
from pydicom import dcmread
from pydicom.dataset import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
FIXTURES = os.path.join(os.path.dirname(__file__), "../../crates/pacslab/tests/fixtures")

# (character sets of the stored object, name as it was meant, key in UTF-8)
NAMES = [
    ("ISO_IR 100", "M\u00fcLLER^J\u00f6RG", "M\u00fcLLER*"),
    ("ISO_IR 144", "\u0418\u0432\u0430\u043d\u043e\u0432^\u0418\u0432\u0430\u043d", "\u0418\u0432\u0430\u043d\u043e\u0432*"),
    (
        ["", "ISO 2022 IR 87"],
        "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
        "Yamada*",
    ),
    ("GB18030", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c", "Wang*"),
]

host, port, called = arguments("host", "port", "called")
original = dcmread(os.path.join(FIXTURES, "ct.dcm"))
contexts = [(CT_IMAGE, EXPLICIT_LE), (STUDY_ROOT_FIND, EXPLICIT_LE)]
with associated(host, port, called, contexts) as association:
    for number, (charset, name, key) in enumerate(NAMES, 1):
        image = copy.deepcopy(original)
        # everything else in it is ASCII, which all of these sets contain
        image.SpecificCharacterSet = charset
        image.PatientName = name
        image.PatientID = f"CS{number}"
        image.StudyInstanceUID = f"2.25.88{number}"
        image.SeriesInstanceUID = f"2.25.88{number}.1"
        image.SOPInstanceUID = f"2.25.88{number}.1.1"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        assert association.send_c_store(image).Status == 0x0000

        query = Dataset()
        query.SpecificCharacterSet = "ISO_IR 192"
        query.QueryRetrieveLevel = "STUDY"
        query.PatientName = key
        query.StudyInstanceUID = query.PatientID = ""
        found = answers(association.send_c_find(query, STUDY_ROOT_FIND))
        assert [study.PatientID for study in found] == [f"CS{number}"], (key, found)
        assert str(found[0].PatientName) == name, (found[0].PatientName, name)
