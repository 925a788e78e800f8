"""C-ECHO over TLS by pynetdicom, both ways: as a client of the lab, or as a server that waits for
one C-ECHO. `version` is 1.2 or 1.3; the certificates are those of `pacslab tls init`."""
import os
import ssl
import sys
import threading

from lab import arguments, associated
from pynetdicom import AE, evt

VERIFICATION = "1.2.840.10008.1.1"

role, port, folder, version = arguments("role", "port", "folder", "version")


def file(name):
    return os.path.join(folder, name)


if role == "client":
    context = ssl.create_default_context(cafile=file("ca-cert.pem"))
    context.load_cert_chain(file("client-cert.pem"), file("client-key.pem"))
else:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=file("ca-cert.pem"))
    context.load_cert_chain(file("server-cert.pem"), file("server-key.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
context.minimum_version = context.maximum_version = {
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}[version]

if role == "client":
    contexts = [(VERIFICATION, "1.2.840.10008.1.2")]
    tls = (context, "localhost")
    with associated("127.0.0.1", port, "PACSLAB", contexts, tls_args=tls) as association:
        for _ in range(3):
            assert association.send_c_echo().Status == 0x0000
else:
    echoed = threading.Event()

    def on_echo(event):
        echoed.set()
        return 0x0000

    ae = AE(ae_title="PEER")
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(
        ("127.0.0.1", int(port)),
        block=False,
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_ECHO, on_echo)],
    )
    try:
        sys.exit(0 if echoed.wait(30) else "nobody came")
    finally:
        server.shutdown()
