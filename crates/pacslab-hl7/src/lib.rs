//! HL7 v2: bytes to tree and back, character sets, radiology messages, acknowledgements, MLLP.
