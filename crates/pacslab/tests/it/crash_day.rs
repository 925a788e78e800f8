//! A day that ends in the middle: the server is killed while messages come, and what was
//! acknowledged has had its effect, once. Seen from outside only: acknowledgements and C-FIND.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Lab, dcmtk, mllp, needs, wait};

/// What the worklist says of an order: patient's name and start time. `None`: it is not there.
type Seen = Option<(String, String)>;

/// One patient's order and what became of it, message by message.
#[derive(Clone, Debug)]
struct Case {
    accession: String,
    patient: String,
    /// After the last acknowledged message.
    known: Seen,
    /// Sent, and never answered: the message and what it makes of the order.
    open: Option<(String, Seen)>,
}

impl Case {
    fn new(sender: usize, number: usize) -> Self {
        let accession = format!("D{sender}N{number:05}");
        Self { patient: format!("P{accession}"), accession, known: None, open: None }
    }

    /// The messages of the case, in order, and what each makes of it.
    fn messages(&self, number: usize) -> Vec<(String, Seen)> {
        let (accession, patient) = (&self.accession, &self.patient);
        let new = mllp::orm(accession, patient, "PYMOD1", "20260105090000");
        let at = |name: &str, time: &str| Some((name.to_owned(), time.to_owned()));
        let mut all = vec![(new.clone(), at("DOE^JANE", "090000"))];
        let again = |control: &str, id: char, start: &str| {
            let message = mllp::orm(accession, patient, "PYMOD1", start);
            message
                .replace("ORC|NW", &format!("ORC|{control}"))
                .replace(&format!("|M{accession}"), &format!("|{id}{accession}"))
        };
        match number % 4 {
            0 => {}
            1 => all.push((again("XO", 'X', "20260105103000"), at("DOE^JANE", "103000"))),
            2 => all.push((again("CA", 'C', "20260105090000"), None)),
            _ => {
                let renamed = format!(
                    "MSH|^~\\&|ADT|HOSP|RIS|PACSLAB|20260105080000||ADT^A08^ADT_A01|A{accession}|P|2.5\r\
                     EVN|A08|20260105080000\rPID|1||{patient}^^^HOSP||ROE^MARY||19800101|F\rPV1|1|N\r"
                );
                all.push((renamed, at("ROE^MARY", "090000")));
                let moved = again("XO", 'X', "20260105103000").replace("DOE^JANE", "ROE^MARY");
                all.push((moved, at("ROE^MARY", "103000")));
            }
        }
        all
    }
}

/// Everything on the worklist, as findscu is told it.
fn worklist(lab: &Lab) -> BTreeMap<String, Vec<(String, String)>> {
    let keys = ["0008,0050", "0010,0010", "(0040,0100)[0].0040,0003"];
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for answer in dcmtk::find(lab.dicom, "-W", &keys) {
        let value = |tag| dcmtk::value(&answer, tag).unwrap_or_default();
        let item = (value("(0010,0010)"), value("(0040,0003)"));
        all.entry(value("(0008,0050)")).or_default().push(item);
    }
    all
}

#[track_caller]
fn accepted(answer: &str, message: &str) {
    assert_eq!(mllp::field(answer, "MSA", 1), "AA", "{answer}\n{message}");
}

/// Sends cases until the server is gone.
fn send(port: u16, sender: usize, round: usize, answered: &AtomicUsize) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut connection = mllp::Connection::open(port);
    for number in round * 10_000.. {
        let mut case = Case::new(sender, number);
        for (message, after) in case.messages(number) {
            let Some(answer) = connection.try_exchange(message.as_bytes()) else {
                case.open = Some((message, after));
                cases.push(case);
                return cases;
            };
            accepted(&answer, &message);
            case.known = after;
            answered.fetch_add(1, Ordering::SeqCst);
        }
        cases.push(case);
    }
    cases
}

#[test]
fn what_was_acknowledged_has_happened_once_whenever_the_server_is_killed() {
    needs!("findscu");
    const SENDERS: usize = 4;
    let mut lab = Lab::start();
    let mut cases: Vec<Case> = Vec::new();
    // answers after which it is killed: early, in the thick of it, and after files and logs have grown
    for (round, kill_after) in [1, 37, 150, 5, 90].into_iter().enumerate() {
        let (answered, killed) = (AtomicUsize::new(0), Mutex::new(None));
        let (port, counted) = (lab.mllp, &answered);
        let sent: Vec<Case> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| scope.spawn(move || send(port, sender, round, counted)))
                .collect();
            wait::until_true("enough answers", || answered.load(Ordering::SeqCst) >= kill_after);
            *killed.lock().unwrap() = Some(lab.kill_and_restart());
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        });
        lab = killed.into_inner().unwrap().expect("it was started again");
        cases.extend(sent);

        let there = worklist(&lab);
        for case in &cases {
            let items = there.get(&case.accession).cloned().unwrap_or_default();
            assert!(items.len() <= 1, "{case:?} is there {} times", items.len());
            let seen = items.into_iter().next();
            let open = case.open.as_ref().is_some_and(|(_, after)| *after == seen);
            assert!(seen == case.known || open, "{case:?} is shown as {seen:?}");
        }
        let known: Vec<&str> = cases.iter().map(|case| &*case.accession).collect();
        let strangers: Vec<_> = there.keys().filter(|one| !known.contains(&&***one)).collect();
        assert!(strangers.is_empty(), "{strangers:?}");

        // whoever got no answer sends the same again, and again
        for case in &mut cases {
            if let Some((message, after)) = case.open.take() {
                for _ in 0..2 {
                    accepted(&mllp::exchange(lab.mllp, message.as_bytes()), &message);
                }
                case.known = after;
            }
        }
    }
    let there = worklist(&lab);
    for case in &cases {
        let items = there.get(&case.accession).cloned().unwrap_or_default();
        assert_eq!(items, case.known.iter().cloned().collect::<Vec<_>>(), "{case:?}");
    }
    assert!(cases.len() > 50, "only {} orders were sent", cases.len());
}
