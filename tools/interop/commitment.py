"""Storage commitment by pynetdicom, as the one that asks and as the one that keeps.

ask    asks and waits for reports on the association or on a port of its own
listen waits for reports on a port
serve  is a PACS that commits all but what is named, until it is ended

Reports are printed as JSON lines in the order in which they come, with the answer between them.
"""
import json
import sys
import threading

from lab import EXPLICIT_LE
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

PUSH = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
PATIENCE = 20
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def entity(title):
    ae = AE(ae_title=title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE
    return ae


def items(pairs, reason=None):
    made = []
    for pair in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = pair
        if reason is not None:
            item.FailureReason = reason
        made.append(item)
    return made


def pairs_of(sequence):
    return [(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in sequence or []]


class Reports:
    """Takes so many reports; answers those before with a failure, if it is told to."""

    def __init__(self, count, refuse):
        self.left, self.refuse, self.all = count, refuse, threading.Event()

    def taken(self, event, how, leaving=False):
        told, kind = event.event_information, event.event_type
        status = 0x0000
        if leaving:
            status = 0x0110
        elif self.refuse:
            self.refuse, status = self.refuse - 1, 0x0110
        failed = {str(i.ReferencedSOPInstanceUID): f"{i.FailureReason:04x}" for i in told.get("FailedSOPSequence", [])}
        say(
            report=how,
            type=kind,
            transaction=str(told.TransactionUID),
            committed=[uid for _, uid in pairs_of(told.get("ReferencedSOPSequence"))],
            failed=failed,
            aet=told.get("RetrieveAETitle", ""),
            status=status,
        )
        if status == 0:
            self.left -= 1
            if self.left <= 0:
                self.all.set()
        return status, None

    def listener(self, title, port):
        ae = entity(title)
        # who calls is SCP: that is the point of the role selection
        ae.add_supported_context(PUSH, EXPLICIT_LE, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: self.taken(event, "reverse"))]
        return ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)


def ask(host, port, called, listen, way, transaction, reports, *references):
    """way: `hold` the association until the report is here, or `close` it after the answer; what comes
    on it before that is refused."""
    waiting = Reports(int(reports), 0)
    server = waiting.listener("PYCOMMIT", int(listen)) if int(listen) else None
    ae = entity("PYCOMMIT")
    ae.add_requested_context(PUSH, EXPLICIT_LE)
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: waiting.taken(event, "same", way == "close"))]
    association = ae.associate(host, int(port), ae_title=called, evt_handlers=handlers)
    assert association.is_established, "the association was not accepted"
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = items(one.split("=") for one in references)
    status, _ = association.send_n_action(asked, 1, PUSH, INSTANCE)
    say(answer=f"{status.Status:04x}", comment=status.get("ErrorComment", ""))
    if way == "close":
        association.release()
    if int(reports):
        assert waiting.all.wait(PATIENCE), "no report"
    if association.is_established:
        association.release()
    if server:
        server.shutdown()


def listen(port, reports, refuse):
    waiting = Reports(int(reports), int(refuse))
    server = waiting.listener("PYCOMMIT", int(port))
    assert waiting.all.wait(PATIENCE), "no report"
    server.shutdown()


def serve(port, way, requestor_port, *missing):
    """way: `same` association, `after` it has been released, or `before` the answer."""
    ae = entity("PYPACS")
    ae.add_supported_context(PUSH, EXPLICIT_LE)
    owed = {}

    def report(asked):
        pairs = pairs_of(asked.ReferencedSOPSequence)
        good = [pair for pair in pairs if pair[1] not in missing]
        bad = [pair for pair in pairs if pair[1] in missing]
        told = Dataset()
        told.TransactionUID = asked.TransactionUID
        if good:
            told.ReferencedSOPSequence = items(good)
        if bad:
            told.FailedSOPSequence = items(bad, 0x0112)
        return told, 2 if bad else 1

    def call(title, asked):
        caller = entity("PYPACS")
        caller.add_requested_context(PUSH, EXPLICIT_LE)
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = PUSH, False, True
        association = caller.associate("127.0.0.1", int(requestor_port), ae_title=title, ext_neg=[role])
        assert association.is_established, "the requestor does not take the call"
        told, kind = report(asked)
        status, _ = association.send_n_event_report(told, kind, PUSH, INSTANCE)
        say(reported=f"{status.Status:04x}")
        association.release()

    def on_action(event):
        asked, title = event.action_information, event.assoc.requestor.ae_title
        if way == "before":
            call(title, asked)
        else:
            owed[event.assoc] = (title, asked)
        return 0x0000, None

    def on_sent(event):
        # the answer to the N-ACTION has left
        if way == "same" and type(event.message).__name__ == "N_ACTION_RSP":
            _, asked = owed.pop(event.assoc)

            def tell():
                told, kind = report(asked)
                status, _ = event.assoc.send_n_event_report(told, kind, PUSH, INSTANCE)
                say(reported=f"{status.Status:04x}")

            threading.Thread(target=tell, daemon=True).start()

    def on_released(event):
        title, asked = owed.pop(event.assoc, (None, None))
        if way == "after" and asked:
            threading.Thread(target=call, args=(title, asked), daemon=True).start()

    handlers = [(evt.EVT_N_ACTION, on_action), (evt.EVT_DIMSE_SENT, on_sent), (evt.EVT_RELEASED, on_released)]
    ae.start_server(("127.0.0.1", int(port)), block=True, evt_handlers=handlers)


{"ask": ask, "listen": listen, "serve": serve}[sys.argv[1]](*sys.argv[2:])
