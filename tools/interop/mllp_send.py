"""Sends one HL7 message with python-hl7's MLLP client and prints the acknowledgement."""
from hl7.client import MLLPClient
from lab import arguments

host, port, path = arguments("host", "port", "file")
with open(path, "rb") as file:
    message = file.read()
with MLLPClient(host, int(port)) as client:
    client.socket.settimeout(20)
    print(client.send_message(message).decode("utf-8").replace("\r", "\n"))
