"""C-ECHO by pynetdicom."""
from lab import arguments, associated

host, port, called = arguments("host", "port", "called")
with associated(host, port, called, [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]) as association:
    for _ in range(3):
        assert association.send_c_echo().Status == 0x0000
