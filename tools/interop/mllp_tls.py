"""One HL7 message over MLLP and TLS with Python's own ssl: mllp_tls.py PORT CA CERT KEY FILE prints
the acknowledgement. CERT and KEY may be '-'."""
import socket
import ssl
import sys

port, ca, cert, key, message = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if cert != "-":
    context.load_cert_chain(cert, key)
with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as tcp:
    with context.wrap_socket(tcp, server_hostname="localhost") as wire:
        wire.sendall(b"\x0b" + open(message, "rb").read() + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = wire.recv(4096)
            if not part:
                sys.exit(f"closed after {answer!r}")
            answer += part
print(answer.strip(b"\x0b\x1c\r").decode().replace("\r", "\n"))
