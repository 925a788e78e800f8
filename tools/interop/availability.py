"""Takes Instance Availability Notifications with pynetdicom and prints each as a JSON line."""
import json

from lab import EXPLICIT_LE, arguments
from pynetdicom import AE, evt

NOTIFICATION = "1.2.840.10008.5.1.4.33"

(port,) = arguments("port")


def on_create(event):
    told = event.attribute_list
    assert len(told.ReferencedPerformedProcedureStepSequence) == 0, told
    items = [item for series in told.ReferencedSeriesSequence for item in series.ReferencedSOPSequence]
    said = {
        "study": str(told.StudyInstanceUID),
        "instances": [str(item.ReferencedSOPInstanceUID) for item in items],
        "availability": sorted({item.InstanceAvailability for item in items}),
        "retrieve": sorted({item.RetrieveAETitle for item in items}),
    }
    print(json.dumps(said), flush=True)
    return 0x0000, told


ae = AE(ae_title="RIS")
ae.add_supported_context(NOTIFICATION, EXPLICIT_LE)
ae.start_server(("127.0.0.1", int(port)), block=True, evt_handlers=[(evt.EVT_N_CREATE, on_create)])
