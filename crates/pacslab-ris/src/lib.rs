//! The RIS: orders, procedure steps, the worklist and its folder, the HL7 door.
