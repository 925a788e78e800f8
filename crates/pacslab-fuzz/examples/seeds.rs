//! Writes what fuzzing begins with into `fuzz/corpus/`: small, whole and right, made by our own
//! encoders. `cargo run -p pacslab-fuzz --example seeds`
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a chore for the one who runs it")]

use std::fs;
use std::path::Path;

use bytes::Bytes;
use pacslab_dicom::{Dataset, Element, FileMeta, TransferSyntax, Value, encode, file};
use pacslab_dimse::message::{self, Command, Operation, Priority, Request};
use pacslab_dimse::pdu::{self, Abort, AssociateAc, AssociateRj, AssociateRq, Pdu, Pdv};
use pacslab_dimse::{Status, pdu::ContextOutcome};
use pacslab_hl7::mllp;
use pacslab_model::{Tag, Uid, Vr, tags, uids};

fn main() {
    let mut seeds = Seeds { made: 0 };
    seeds.pdus();
    seeds.commands();
    seeds.datasets();
    seeds.hl7();
    seeds.others();
    println!("{} seeds in fuzz/corpus", seeds.made);
}

struct Seeds {
    made: usize,
}

impl Seeds {
    fn put(&mut self, target: &str, name: &str, bytes: &[u8]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        fs::create_dir_all(&root).expect("a folder");
        fs::write(root.join(name), bytes).expect("a seed");
        self.made += 1;
    }

    fn pdus(&mut self) {
        let context = pdu::ProposedContext {
            id: 1,
            abstract_syntax: Uid::new(uids::CT_IMAGE_STORAGE),
            transfer_syntaxes: vec![Uid::new(uids::EXPLICIT_VR_LE), Uid::new(uids::IMPLICIT_VR_LE)],
        };
        let user = pdu::UserInformation {
            async_window: Some((1, 1)),
            roles: vec![pdu::RoleSelection {
                sop_class: Uid::new(uids::CT_IMAGE_STORAGE),
                scu: true,
                scp: true,
            }],
            extended: vec![pdu::ExtendedNegotiation {
                sop_class: Uid::new("1.2.840.10008.5.1.4.1.2.2.1"),
                information: vec![1, 1],
            }],
            common_extended: vec![pdu::CommonExtendedNegotiation {
                version: 0,
                sop_class: Uid::new("1.2.3"),
                service_class: Uid::new("1.2.840.10008.4.2"),
                related: vec![Uid::new("1.2.4")],
            }],
            identity: Some(pdu::UserIdentity {
                kind: 2,
                response_requested: true,
                primary: b"anna".to_vec(),
                secondary: b"secret".to_vec(),
            }),
            identity_answer: None,
            unknown: vec![pdu::SubItem { kind: 0x5f, data: vec![1, 2, 3] }],
            ..pdu::UserInformation::default()
        };
        let request = AssociateRq {
            protocol_version: 1,
            called: "PACSLAB".into(),
            calling: "PYMOD1".into(),
            application_context: Uid::new("1.2.840.10008.3.1.1.1"),
            contexts: vec![context],
            user: user.clone(),
        };
        let accept = AssociateAc {
            protocol_version: 1,
            called: "PACSLAB".into(),
            calling: "PYMOD1".into(),
            application_context: Uid::new("1.2.840.10008.3.1.1.1"),
            contexts: vec![
                pdu::ContextResult {
                    id: 1,
                    result: ContextOutcome::Accepted,
                    transfer_syntax: Uid::new(uids::EXPLICIT_VR_LE),
                },
                pdu::ContextResult {
                    id: 3,
                    result: ContextOutcome::AbstractSyntaxNotSupported,
                    transfer_syntax: Uid::default(),
                },
            ],
            user: pdu::UserInformation { identity: None, identity_answer: Some(vec![1]), ..user },
        };
        let value = |command, last, data: &'static [u8]| Pdv {
            context: 1,
            command,
            last,
            data: Bytes::from_static(data),
        };
        let all = [
            ("request", Pdu::AssociateRq(request)),
            ("accept", Pdu::AssociateAc(accept)),
            ("reject", Pdu::AssociateRj(AssociateRj::CALLED_AE)),
            ("data", Pdu::Data(vec![value(true, true, b"1234"), value(false, false, b"")])),
            ("release", Pdu::ReleaseRq),
            ("released", Pdu::ReleaseRp),
            ("abort", Pdu::Abort(Abort::USER)),
        ];
        let mut conversation = Vec::new();
        for (name, pdu) in &all {
            let mut bytes = Vec::new();
            pdu::encode(pdu, &mut bytes).expect("it fits");
            conversation.extend_from_slice(&bytes);
            self.put("pdu", name, &bytes);
        }
        self.put("pdu", "conversation", &conversation);
    }

    fn commands(&mut self) {
        let class = || Uid::new(uids::CT_IMAGE_STORAGE);
        let instance = || Uid::new("2.25.1");
        let priority = Priority::Medium;
        let operations = [
            ("echo", Operation::Echo { sop_class: class() }),
            (
                "store",
                Operation::Store {
                    sop_class: class(),
                    sop_instance: instance(),
                    priority,
                    originator: Some(message::MoveOriginator { aet: "ME".into(), message_id: 3 }),
                },
            ),
            ("find", Operation::Find { sop_class: class(), priority }),
            ("get", Operation::Get { sop_class: class(), priority }),
            (
                "move",
                Operation::Move { sop_class: class(), priority, destination: "PYNETSCP".into() },
            ),
            (
                "n-event",
                Operation::EventReport {
                    sop_class: class(),
                    sop_instance: instance(),
                    event_type: 1,
                },
            ),
            (
                "n-get",
                Operation::NGet {
                    sop_class: class(),
                    sop_instance: instance(),
                    attributes: vec![tags::PATIENT_ID],
                },
            ),
            ("n-set", Operation::NSet { sop_class: class(), sop_instance: instance() }),
            (
                "n-action",
                Operation::NAction { sop_class: class(), sop_instance: instance(), action_type: 1 },
            ),
            ("n-create", Operation::NCreate { sop_class: class(), sop_instance: None }),
            ("n-delete", Operation::NDelete { sop_class: class(), sop_instance: instance() }),
        ];
        for (name, operation) in operations {
            let request = Request { message_id: 7, has_data: true, operation };
            let mut response = request.response(Status(0xA700));
            response.reply.comment = Some("the disk is full".into());
            response.reply.offending = vec![tags::PATIENT_ID];
            response.counts = Some(message::SubOperations {
                remaining: Some(1),
                completed: 2,
                failed: 3,
                warning: 4,
            });
            for (kind, command) in
                [("rq", Command::Request(request)), ("rsp", Command::Response(response))]
            {
                let mut bytes = Vec::new();
                message::encode(&command, &mut bytes);
                self.put("command", &format!("{name}-{kind}"), &bytes);
            }
        }
        let mut bytes = Vec::new();
        message::encode(&Command::Cancel { message_id: 7 }, &mut bytes);
        self.put("command", "cancel", &bytes);
    }

    fn datasets(&mut self) {
        let syntaxes = [
            ("implicit", TransferSyntax::ImplicitLe, 0),
            ("explicit", TransferSyntax::ExplicitLe, 1),
            ("big", TransferSyntax::ExplicitBe, 2),
            ("encapsulated", TransferSyntax::Encapsulated("1.2.840.10008.1.2.4.50".into()), 3),
            ("deflated-here", TransferSyntax::ExplicitLe, 4),
            ("deflated", TransferSyntax::DeflatedLe, 5),
        ];
        for (name, syntax, choice) in syntaxes {
            for (kind, set) in [("image", image()), ("worklist", worklist())] {
                let mut set = set;
                if choice == 3 && kind == "image" {
                    set.put(Element {
                        tag: tags::PIXEL_DATA,
                        vr: Vr::OB,
                        value: Value::Fragments(vec![vec![], vec![0xFF, 0xD8], vec![3; 20]]),
                    });
                }
                let bytes = encode(&set, &syntax);
                let chosen = [&[choice], bytes.as_slice()].concat();
                let name = format!("{kind}-{name}");
                self.put("dataset", &name, &chosen);
                self.put("scanner", &name, &[&[9], chosen.as_slice()].concat());
                let uid = if choice == 4 { TransferSyntax::ExplicitLe } else { syntax.clone() };
                let meta = meta(uid);
                let bytes = file::write(&meta, &set);
                self.put("part10", &name, &bytes);
                if kind == "worklist" {
                    self.put("worklist_file", &name, &bytes);
                }
            }
            let query = encode(&identifier(), &syntax);
            self.put("query", name, &[&[choice], query.as_slice()].concat());
        }
        // with delimiters, as many write them
        let mut open = vec![0];
        open.extend([0x40, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0]);
        open.extend([0xFF, 0xFF, 0xFF, 0xFF, 0x40, 0, 1, 0, 4, 0, 0, 0]);
        open.extend(b"LAB ");
        open.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        self.put("dataset", "delimited", &open);
        self.put("query", "delimited", &open);
        self.put("scanner", "delimited", &[&[3], open.as_slice()].concat());
    }

    fn hl7(&mut self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pacslab-hl7/tests/fixtures");
        let mut stream = vec![5];
        for entry in fs::read_dir(folder).expect("fixtures").flatten() {
            let name = entry.file_name().to_string_lossy().replace(".hl7", "");
            let bytes = fs::read(entry.path()).expect("a fixture");
            self.put("hl7_message", &name, &bytes);
            if !name.starts_with("ack") {
                self.put("hl7_order", &name, &bytes);
            }
            if name.ends_with("nw_25") || name.ends_with("aa_251") {
                let short = &bytes[..bytes.len().min(200)];
                self.put("mllp", &name, &[&[7], mllp::encode(short).as_slice()].concat());
                stream.extend(mllp::encode(&bytes[..bytes.len().min(80)]));
            }
        }
        stream.extend(b"\r\n\x0bMSH|no end\x0bMSH|then another\x1c\rGET / HTTP/1.1\r\n");
        self.put("mllp", "stream", &stream);
        let moved = b"MSH|^~\\&|HIS|H|LAB|L|20260105080000||ADT^A08^ADT_A01|77|P|2.5.1|||AL|NE||UNICODE UTF-8\r\
            EVN|A08|20260105080000\rPID|1||P1^^^H&2.25.1&ISO^MR~P2^^^X^PI||M\xc3\xbcller^J\xc3\xb6rg^^^Dr.||19700101|M\r\
            PV1|1|I|W^1^2||||A^B~\"\"\rNTE|1||a\\.br\\b\\T\\c\\X41\\\\H\\d\\N\\\r";
        self.put("hl7_message", "adt_a08", moved);
        let latin =
            b"MSH|^~\\&|HIS|H|LAB|L|20260105||ORM^O01|1|P|2.3||||||8859/1\rPID|||P1||M\xfcller\r\
            ORC|NW|A1\rOBR|1|A1||CT1^CT of the head\r";
        self.put("hl7_message", "latin", latin);
        self.put("hl7_order", "latin", latin);
        let japanese =
            b"MSH|^~\\&|HIS|H|LAB|L|20260105||ORM^O01|1|P|2.5||||||ASCII~ISO IR87\rPID|||P1||Y^T\
            ~\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B\rORC|NW|A1\rOBR|1|A1||CT1\r";
        self.put("hl7_message", "japanese", japanese);
        self.put("hl7_order", "japanese", japanese);
    }

    fn others(&mut self) {
        let part = file::write(&meta(TransferSyntax::ExplicitLe), &worklist());
        let mut body =
            b"\x09multipart/related; type=\"application/dicom\"; boundary=xYz\n".to_vec();
        self.put("multipart", "none", &[&body, b"--xYz--\r\n".as_slice()].concat());
        body.extend(b"nobody reads this\r\n--xYz\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(&part[128..]);
        body.extend(b"\r\n--xYz\r\n\r\n\r\nshort\r\n-\r\n--xY\r\n--xYz--\r\n");
        self.put("multipart", "two", &body);
        let toml = "# a lab\n[dicom]\naet = \"LAB\"\nport = 4_242\npolicy = \"strict\"\nopen = true\n\
            always_allow_echo = \"auto\"\nidle_timeout = \"90s\"\n[http]\nhosts = \"a.example, b.example\"\n\
            [http.users]\nanna = \"plain:secret\"\n[peers]\nA = \"A@127.0.0.1:104\"\n\
            B = [\"B\", \"host\", 104, \"GenericNoWildcardInDates\"]\n\
            C = { AET = \"C\", Host = \"h\", Port = 0x68, AllowEcho = false, UseDicomTls = true }\n\
            [storage]\ndir = \"d\"\nkind = \"memory\"\n[tls]\nclient_certificates = \"required\"\n";
        self.put("config_toml", "most", toml.as_bytes());
        self.put("config_toml", "wrong", b"[dicom]\nprt = 0\n");
        self.put("config_toml", "port", b"dicom.port = 70000\npeers.X = 'X@h:0'\n");
        let json = "\u{feff}{ // Orthanc's\n \"Name\" : \"${HOME}\", /* two\n lines */\n \"DicomAet\" : \"ORTHANC\",\n\
            \"DicomPort\" : 4242, \"HttpPort\": \"8042\", \"RemoteAccessAllowed\": false,\n\
            \"AuthenticationEnabled\" : true, \"RegisteredUsers\" : { \"anna\" : \"a/*b*/\" },\n\
            \"DicomModalities\" : { \"A\" : [\"A\", \"h\", 104], \"B\": {\"AET\":\"B\",\"Host\":\"h\",\"Port\":1}},\n\
            \"DicomScpTimeout\" : 30, \"DicomTlsEnabled\": true, \"DicomAlwaysAllowEcho\": true,\n\
            \"Worklists\" : { \"Enable\": true, \"Database\": \"${NO:-'w'}\" }, \"StorageDirectory\": \"x\",\n\
            \"DicomWeb\" : { \"Root\": \"/dicom-web/\" }, \"Plugins\": [] }";
        self.put("config_orthanc", "most", json.as_bytes());
        self.put("config_orthanc", "variable", b"DICOM_PORT=0");
        self.put("config_orthanc", "modalities", b"DICOM_MODALITIES={\"A\":[\"A\",\"*\",11112]}");
        self.put("config_orthanc", "open", b"{ \"a\": \"\\\" // }\n/*");
    }
}

fn meta(transfer_syntax: TransferSyntax) -> FileMeta {
    FileMeta {
        sop_class: Uid::new(uids::CT_IMAGE_STORAGE),
        sop_instance: Uid::new("2.25.1"),
        transfer_syntax,
        source_aet: Some("PYMOD1".into()),
    }
}

fn image() -> Dataset {
    let mut set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::SOP_CLASS_UID, Vr::UI, uids::CT_IMAGE_STORAGE)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, "2.25.1")
        .with_str(tags::STUDY_DATE, Vr::DA, "20260105")
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Müller^Jörg")
        .with_str(tags::PATIENT_ID, Vr::LO, "P1")
        .with_str(tags::PIXEL_SPACING, Vr::DS, "0.5\\0.5")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "2.25.2")
        .with_items(
            tags::REQUEST_ATTRIBUTES_SEQUENCE,
            vec![Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "inside"), Dataset::new()],
        );
    set.put_bytes(Tag::new(0x0009, 0x1001), Vr::UN, vec![3; 9]);
    set.put_bytes(Tag::new(0x0018, 0x9087), Vr::FD, 1.5_f64.to_le_bytes().to_vec());
    set.put_u16(tags::ROWS, 4);
    set.put_u16(tags::COLUMNS, 4);
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![7; 32]);
    set
}

fn worklist() -> Dataset {
    let step = Dataset::new()
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "PYMOD1")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260105")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, "0930")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, "S1");
    Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "\\ISO 2022 IR 87")
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "A1")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Yamada^Tarou=山田^太郎")
        .with_str(tags::PATIENT_ID, Vr::LO, "P1")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "2.25.3")
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step.clone(), step])
}

fn identifier() -> Dataset {
    let step = Dataset::new()
        .with_str(tags::MODALITY, Vr::CS, "CT\\MR")
        .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "PY*")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260105-")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, "0800-1200");
    Dataset::new()
        .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
        .with_str(tags::STUDY_DATE, Vr::DA, "20250101-20260105")
        .with_str(tags::PATIENT_NAME, Vr::PN, "M?ll*^J")
        .with_str(tags::PATIENT_ID, Vr::LO, "")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2\\1.3")
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step])
}
