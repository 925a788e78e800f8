//! What is written is read back as the same, strictly and without a remark.

use pacslab_model::order::{
    Code, Identifier, Order, Priority, RequestedProcedure, ScheduledStep, StepStatus, Visit,
};
use pacslab_model::{AeTitle, PersonName, Uid};
use proptest::prelude::*;

use super::*;
use crate::incoming::{
    Appointment, AppointmentAction, Document, Observation, Person, Report, ReportStatus, Resource,
    ResourceKind, Section, SectionKind,
};
use crate::order::{Fill, OrderRequest};
use crate::{Finding, Message, Options, What};

fn sending(version: &str) -> Sending {
    Sending {
        app: "RIS".to_owned(),
        facility: "PACSLAB".to_owned(),
        receiving_app: "PACS".to_owned(),
        receiving_facility: "PACSLAB".to_owned(),
        version: version.to_owned(),
        control_id: "M1".to_owned(),
        at: Moment::parse("2026-01-05T08:00", 0).unwrap(),
        charset: Charset::UTF_8,
    }
}

/// What a strict reader makes of the bytes; anything it remarks fails the test.
#[track_caller]
fn read_back(message: &Message) -> What {
    let bytes = message.to_bytes();
    let again = Message::parse(&bytes).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    let options = Options { strict: true, ..Options::default() };
    let incoming = crate::read(&again, &options)
        .unwrap_or_else(|refusal| panic!("{:?}\n{}", refusal.findings, message.to_text()));
    let told: Vec<Finding> = incoming.warnings;
    assert_eq!(told, [], "{}", message.to_text());
    incoming.what
}

/// Any text of one line, as a person may type it.
fn word() -> impl Strategy<Value = String> {
    "[!-~äß山é][ -~äß山é]{0,20}[!-~äß山é]".prop_filter("\"\" asks to delete", |text| text != "\"\"")
}

fn maybe(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 3 => text]
}

/// A number of at most 16 characters.
fn number() -> impl Strategy<Value = String> {
    "[A-Z0-9]{1,8}[A-Z0-9._/ -]{0,6}[A-Z0-9]"
}

fn name() -> impl Strategy<Value = PersonName> {
    let part = || "[A-Za-zäé'-]{1,12}";
    prop_oneof![
        1 => Just(PersonName::default()),
        4 => (part(), part(), part()).prop_map(|(family, given, prefix)| {
            PersonName::new(&format!("{family}^{given}^^{prefix}"))
        }),
    ]
}

fn identifier() -> impl Strategy<Value = Identifier> {
    (number(), maybe("[A-Z]{1,8}")).prop_map(|(id, issuer)| Identifier::new(id, issuer))
}

fn code() -> impl Strategy<Value = Code> {
    (number(), word()).prop_map(|(value, meaning)| Code::new(value, "99PACSLAB", meaning))
}

prop_compose! {
    fn patient()(
        id in identifier(),
        other in identifier(),
        name in name(),
        birth_date in prop_oneof![Just(""), Just("19800101")],
        sex in prop_oneof![Just(""), Just("F"), Just("M"), Just("O")],
        address in maybe(word()),
        mother_birth_name in name(),
    ) -> Patient {
        let name = if name.is_empty() { PersonName::new("DOE^JANE") } else { name };
        Patient {
            id,
            other_ids: vec![other],
            name,
            birth_date: birth_date.to_owned(),
            sex: sex.to_owned(),
            address,
            mother_birth_name,
            ..Patient::default()
        }
    }
}

prop_compose! {
    fn visit()(
        admission in identifier(),
        class in prop_oneof![Just(""), Just("O"), Just("I"), Just("E")],
        location in maybe("[A-Z0-9]{1,6}\\^[A-Z0-9]{1,6}"),
        referring_physician in name(),
    ) -> Visit {
        Visit { admission, class: class.to_owned(), location, referring_physician }
    }
}

prop_compose! {
    fn step()(
        id in number(),
        protocol in code(),
        station in "[A-Z][A-Z0-9_]{0,15}",
        time in "0[0-9][0-5][0-9]00",
        performing_physician in name(),
    ) -> ScheduledStep {
        ScheduledStep {
            id,
            description: protocol.meaning.clone(),
            protocol,
            modality: "CT".to_owned(),
            station: AeTitle::new(&station).unwrap(),
            station_name: String::new(),
            location: String::new(),
            start_date: "20310105".to_owned(),
            start_time: time,
            performing_physician,
            status: StepStatus::Scheduled,
        }
    }
}

prop_compose! {
    fn order()(
        accession in number(),
        (placer, filler) in (identifier(), identifier()),
        (mut patient, visit) in (patient(), visit()),
        (state, alerts, weight) in (maybe(word()), maybe(word()), prop_oneof![Just(""), Just("62.5")]),
        (id, code, study) in (number(), code(), "2\\.25\\.[1-9][0-9]{0,30}"),
        description in word(),
        priority in prop_oneof![Just(Priority::Stat), Just(Priority::High), Just(Priority::Routine)],
        (reason, comments, transport) in (maybe(word()), maybe("[!-~ä]{1,9}\n[!-~]{1,9}"), maybe(word())),
        requesting_physician in name(),
        mut steps in prop::collection::vec(step(), 1..4),
    ) -> Order {
        patient.state = state;
        patient.medical_alerts = alerts;
        patient.weight = weight.to_owned();
        for (at, step) in steps.iter_mut().enumerate() {
            step.id = format!("S{at}");
        }
        Order {
            accession,
            accession_issuer: Identifier::default(),
            placer,
            filler,
            patient,
            visit,
            procedure: RequestedProcedure {
                id,
                description,
                code,
                study_uid: Uid::new(study),
                priority,
                reason,
                requesting_physician,
                transport,
                comments,
                ..RequestedProcedure::default()
            },
            steps,
            further: false,
        }
    }
}

fn requests(message: &Message) -> Vec<OrderRequest> {
    match read_back(message) {
        What::Orders(requests) => requests,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_order_reads_back_in_each_form(order in order()) {
        for form in OrderForm::ALL {
            for control in ["NW", "XO"] {
                let message = build_order(form, &order, control, &sending("2.5.1"));
                let read = requests(&message);
                prop_assert_eq!(read.len(), 1, "{}", message.to_text());
                prop_assert_eq!(&read[0].order, &order, "{:?} {}", form, message.to_text());
                prop_assert_eq!((read[0].code.as_str(), read[0].fill.len()), (control, 0));
            }
        }
        let old = build_order(OrderForm::Orm, &order, "NW", &sending("2.3.1"));
        prop_assert_eq!(&requests(&old)[0].order, &order);
    }

    #[test]
    fn any_report_reads_back(report in report()) {
        for version in ["2.3.1", "2.5.1"] {
            let message = build_oru(&report, &sending(version));
            let What::Reports(read) = read_back(&message) else { panic!() };
            prop_assert_eq!(read.as_slice(), std::slice::from_ref(&report), "{}", message.to_text());
        }
    }

    #[test]
    fn any_appointment_reads_back(
        order in order(),
        (placer, filler) in (identifier(), identifier()),
        action in prop::sample::select(AppointmentAction::ALL.to_vec()),
        minutes in 1_u32..600,
        more in prop::collection::vec(name(), 0..3),
    ) {
        let mut sent = Appointment::of_order(action, placer, filler, order, minutes);
        for (at, name) in more.iter().filter(|name| !name.is_empty()).enumerate() {
            sent.resources.push(Resource {
                kind: ResourceKind::Person,
                code: Code::new(format!("P{at}"), "", name.as_str()),
                start: sent.start.clone(),
                minutes: None,
            });
        }
        sent.reason = Code::new("ROUTINE", "99PACSLAB", "Routine");
        let message = build_siu(&sent, &sending("2.5.1"));
        let What::Appointment(read) = read_back(&message) else { panic!() };
        // what an SIU has no place for
        let told = told_by_siu(&sent);
        prop_assert_eq!(*read, told, "{}", message.to_text());
    }
}

/// The part of an appointment that an SIU can tell.
fn told_by_siu(sent: &Appointment) -> Appointment {
    let mut told = sent.clone();
    let Order { placer, filler, patient, visit, procedure, steps, .. } = sent.order.clone();
    let step = &steps[0];
    let procedure = RequestedProcedure {
        description: procedure.code.meaning.clone(),
        code: procedure.code,
        ..RequestedProcedure::default()
    };
    let patient = Patient {
        state: String::new(),
        medical_alerts: String::new(),
        weight: String::new(),
        ..patient
    };
    let step = ScheduledStep {
        id: String::new(),
        description: procedure.description.clone(),
        protocol: Code::default(),
        modality: String::new(),
        station: step.station.clone(),
        station_name: String::new(),
        location: String::new(),
        start_date: step.start_date.clone(),
        start_time: step.start_time.clone(),
        performing_physician: PersonName::default(),
        status: StepStatus::Scheduled,
    };
    let steps = if sent.action.stands() { vec![step] } else { Vec::new() };
    told.order = Order { placer, filler, patient, visit, procedure, steps, ..Order::default() };
    told.fill = if sent.action.stands() { Fill::of(&told.order) } else { Vec::new() };
    told
}

fn person() -> impl Strategy<Value = Person> {
    (maybe("[0-9]{1,6}"), name()).prop_map(|(id, name)| Person { id, name })
}

fn time() -> impl Strategy<Value = Timestamp> {
    let at = |time: &str| Timestamp {
        date: "20260105".to_owned(),
        time: time.to_owned(),
        offset: String::new(),
    };
    prop_oneof![Just(at("081500")), Just(at("2359"))]
}

prop_compose! {
    fn report()(
        (accession, id, placer, filler) in (number(), number(), identifier(), identifier()),
        (patient, visit, code, description) in (patient(), visit(), code(), word()),
        (study, sr) in ("2\\.25\\.[1-9][0-9]{0,30}", prop_oneof![Just(""), Just("2.25.9")]),
        requesting_physician in name(),
        status in prop::sample::select(ReportStatus::ALL.to_vec()),
        (exam_start, exam_end, at) in (time(), time(), time()),
        (interpreter, assistant, transcriptionist) in (person(), person(), person()),
        texts in prop::collection::vec("[!-~äß山][ -~äß山\n]{0,40}[!-~]", 5),
        kinds in prop::sample::subsequence(SectionKind::ALL.to_vec(), 1..=5),
        documents in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..3),
        dose in prop_oneof![Just(None), Just(Some("3.5")), Just(Some("high"))],
        link in prop_oneof![Just(None), Just(Some("https://pacs/study?id=1&x=2"))],
    ) -> Report {
        let sections = kinds.iter().zip(&texts).filter(|(_, text)| {
            !text.starts_with("http") && text.as_str() != "\"\""
        });
        let study_uid = Uid::new(study);
        Report {
            order: Order {
                accession,
                placer,
                filler,
                patient,
                visit,
                procedure: RequestedProcedure {
                    id,
                    description,
                    code,
                    study_uid: study_uid.clone(),
                    requesting_physician,
                    ..RequestedProcedure::default()
                },
                ..Order::default()
            },
            modality: "CT".to_owned(),
            status,
            exam_start,
            exam_end,
            at,
            interpreter,
            assistant,
            transcriptionist,
            sections: sections.map(|(kind, text)| Section::new(*kind, text.clone())).collect(),
            documents: [vec![b"%PDF-1.4".to_vec()], documents]
                .concat()
                .into_iter()
                .map(Document::pdf)
                .collect(),
            observations: dose
                .into_iter()
                .map(|value| Observation {
                    code: Code::new("D", "99PACSLAB", "Dose"),
                    value: value.to_owned(),
                    units: "mGy".to_owned(),
                })
                .collect(),
            studies: vec![study_uid],
            sr_instance: Uid::new(sr),
            links: link.into_iter().map(str::to_owned).collect(),
        }
    }
}

#[test]
fn what_a_filler_tells_is_what_a_placer_reads() {
    use pacslab_model::order::OrderControl;
    let mut order = sample();
    for (control, state, wanted) in [
        ("CA", StepStatus::Scheduled, (OrderControl::Cancel, StepStatus::Cancelled)),
        ("OC", StepStatus::Scheduled, (OrderControl::Cancel, StepStatus::Cancelled)),
        ("DC", StepStatus::Started, (OrderControl::Discontinue, StepStatus::Discontinued)),
        ("SC", StepStatus::Started, (OrderControl::StatusChange, StepStatus::Started)),
        ("SC", StepStatus::Completed, (OrderControl::StatusChange, StepStatus::Completed)),
        ("SC", StepStatus::Discontinued, (OrderControl::StatusChange, StepStatus::Discontinued)),
    ] {
        order.steps.iter_mut().for_each(|step| step.status = state);
        for form in OrderForm::ALL {
            let read = requests(&build_order(form, &order, control, &sending("2.5.1"))).remove(0);
            let states: Vec<StepStatus> = read.order.steps.iter().map(|step| step.status).collect();
            assert_eq!((read.control, read.code.as_str()), (wanted.0, control), "{form:?}");
            assert_eq!(states, [wanted.1, wanted.1], "{form:?} {control}");
        }
    }
}

#[test]
fn an_omi_is_this_text() {
    let text = build_order(OrderForm::Omi, &sample(), "NW", &sending("2.5.1")).to_text();
    let lines: Vec<&str> = text.split_terminator('\r').skip(3).collect();
    assert_eq!(
        lines,
        [
            "ORC|NW|P1^OP|F1^OF||SC||||20260105080000",
            "TQ1|1||||||20310105080000||R^^HL70485",
            "OBR|1|P1^OP|F1^OF|CTC^CT CHEST^99PACSLAB||||||||||||||||||||||||||||||||||||||||CTC^CT CHEST^99PACSLAB",
            "IPC|A1|RP1|2.25.7|S1|CT^^DCM|P^CHEST^99PACSLAB|ROOM1|^Room 1|CT1",
            "IPC|A1|RP1|2.25.7|S2|CT^^DCM|P^CHEST^99PACSLAB|ROOM1|^Room 1|CT1",
        ]
    );
}

fn sample() -> Order {
    let step = |id: &str| ScheduledStep {
        id: id.to_owned(),
        description: "CHEST".to_owned(),
        protocol: Code::new("P", "99PACSLAB", "CHEST"),
        modality: "CT".to_owned(),
        station: AeTitle::new("CT1").unwrap(),
        station_name: "ROOM1".to_owned(),
        location: "Room 1".to_owned(),
        start_date: "20310105".to_owned(),
        start_time: "080000".to_owned(),
        performing_physician: PersonName::default(),
        status: StepStatus::Scheduled,
    };
    Order {
        accession: "A1".to_owned(),
        placer: Identifier::new("P1", "OP"),
        filler: Identifier::new("F1", "OF"),
        patient: Patient {
            id: Identifier::new("PL1", "LAB"),
            name: PersonName::new("DOE^JANE"),
            ..Patient::default()
        },
        procedure: RequestedProcedure {
            id: "RP1".to_owned(),
            description: "CT CHEST".to_owned(),
            code: Code::new("CTC", "99PACSLAB", "CT CHEST"),
            study_uid: Uid::new("2.25.7"),
            ..RequestedProcedure::default()
        },
        steps: vec![step("S1"), step("S2")],
        ..Order::default()
    }
}
