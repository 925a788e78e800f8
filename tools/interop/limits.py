"""Negotiation at its limits: the smallest PDU a peer may ask for, 128 contexts, user identity."""
from lab import EXPLICIT_LE, arguments, associated
from pynetdicom import AE, StoragePresentationContexts, build_context
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation, UserIdentityNegotiation

VERIFICATION, CT_IMAGE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"

host, port, called = arguments("host", "port", "called")
for size in (4096, 0, 1 << 20):
    with associated(host, port, called, [(VERIFICATION, EXPLICIT_LE)], max_pdu=size) as association:
        assert association.send_c_echo().Status == 0x0000, size

ae = AE(ae_title="PYMOD1")
contexts = [build_context(VERIFICATION)] + StoragePresentationContexts
contexts += [build_context(CT_IMAGE) for _ in range(128 - len(contexts))]
association = ae.associate(host, int(port), contexts=contexts, ae_title=called)
accepted = len(association.accepted_contexts)
association.release()
assert accepted == len(contexts) == 128, (accepted, len(contexts))

identity = UserIdentityNegotiation()
identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"tina", b"secret"
identity.positive_response_requested = True
role = SCP_SCU_RoleSelectionNegotiation()
role.sop_class_uid, role.scu_role, role.scp_role = contexts[1].abstract_syntax, True, True
ae = AE(ae_title="PYMOD1")
association = ae.associate(host, int(port), contexts=contexts[:2], ae_title=called, ext_neg=[identity, role])
assert association.is_established
assert association.send_c_echo().Status == 0x0000
association.release()
