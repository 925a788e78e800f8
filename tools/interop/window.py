"""The asynchronous operations window as pynetdicom negotiates it (PS3.7 D.3.3.3): what is asked
for is lowered to 16, never raised; without the item there is none in the answer. Objects are stored
over each of these associations."""
import copy

from lab import EXPLICIT_LE, arguments
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

host, port, called, ct = arguments("host", "port", "called", "ct-file")
original = dcmread(ct)
entity = AE("PYMOD1")
entity.add_requested_context(CT_IMAGE, EXPLICIT_LE)
for asked, expected in [(None, None), ((5, 3), (5, 3)), ((0, 0), (16, 16)), ((99, 1), (16, 1))]:
    items = []
    if asked:
        item = AsynchronousOperationsWindowNegotiation()
        item.maximum_number_operations_invoked, item.maximum_number_operations_performed = asked
        items.append(item)
    association = entity.associate(host, int(port), ae_title=called, ext_neg=items)
    assert association.is_established
    answered = [
        (item.maximum_number_operations_invoked, item.maximum_number_operations_performed)
        for item in association.acceptor.primitive.user_information
        if isinstance(item, AsynchronousOperationsWindowNegotiation)
    ]
    assert answered == ([expected] if expected else []), (asked, answered)
    for _ in range(5):
        image = copy.deepcopy(original)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        status = association.send_c_store(image)
        assert status and status.Status == 0x0000, status
    association.release()
print("window negotiated")
