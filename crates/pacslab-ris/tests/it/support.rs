//! What the tests share: a lab in a temporary folder, orders, and waiting with a deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_model::event::Collect;
use pacslab_model::matching::Rules;
use pacslab_model::order::{Identifier, Order, OrderChange, OrderControl, ScheduledStep};
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Clock, Event, Key, Moment, PersonName, Vr, tags};
use pacslab_ris::{Ris, RisSettings, Worklist, WorklistSettings};
use pacslab_store::{Desk, SqliteDesk};
use tempfile::TempDir;

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(FixedClock(Moment::parse("2026-01-05T08:00", 3600).unwrap()))
}

pub(crate) struct Lab {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) ris: Arc<Ris>,
    pub(crate) events: Arc<Collect>,
    pub(crate) settings: RisSettings,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(RisSettings::default())
    }

    pub(crate) fn with(settings: RisSettings) -> Self {
        let desk: Arc<dyn Desk> = Arc::new(SqliteDesk::memory().unwrap());
        let folder = TempDir::new().unwrap();
        let events = Arc::new(Collect::default());
        let ris = open(&desk, folder.path(), &settings, &events);
        Self { desk, ris, events, settings, folder }
    }

    /// The same desk and folder, as after a restart.
    pub(crate) fn reopen(&mut self) {
        self.ris = open(&self.desk, self.folder.path(), &self.settings, &self.events);
    }

    pub(crate) fn files(&self) -> Vec<String> {
        names(self.folder.path())
    }

    pub(crate) fn apply(
        &self,
        control: OrderControl,
        order: &Order,
    ) -> Result<pacslab_ris::Applied, pacslab_ris::RefusedOrder> {
        self.ris.apply(OrderChange { control, order: order.clone(), remarks: Vec::new() })
    }
}

fn open(
    desk: &Arc<dyn Desk>,
    folder: &Path,
    settings: &RisSettings,
    events: &Arc<Collect>,
) -> Arc<Ris> {
    let worklist = worklist(folder, WorklistSettings::default(), events);
    Arc::new(
        Ris::open(desk.clone(), Arc::new(worklist), settings.clone(), clock(), events.clone())
            .unwrap(),
    )
}

pub(crate) fn worklist(
    folder: &Path,
    settings: WorklistSettings,
    events: &Arc<Collect>,
) -> Worklist {
    Worklist::open(folder, settings, clock(), events.clone()).unwrap()
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn order(accession: &str) -> Order {
    let mut order = Order { accession: accession.to_owned(), ..Order::default() };
    order.placer = Identifier::new(format!("PO{accession}"), "HIS");
    order.patient.id = Identifier::new("P12345", "PACSLAB");
    order.patient.name = PersonName::new("DOE^JANE");
    order.patient.birth_date = "19800101".to_owned();
    order.patient.sex = "F".to_owned();
    order.procedure.id = "RP1001".to_owned();
    order.procedure.description = "CT CHEST W CONTRAST".to_owned();
    order.steps = vec![step("SPS1", "20260105", "081000")];
    order
}

pub(crate) fn step(id: &str, date: &str, time: &str) -> ScheduledStep {
    ScheduledStep {
        id: id.to_owned(),
        description: "CT CHEST ROUTINE".to_owned(),
        protocol: Default::default(),
        modality: "CT".to_owned(),
        station: AeTitle::new("PYMOD1").unwrap(),
        station_name: String::new(),
        location: String::new(),
        start_date: date.to_owned(),
        start_time: time.to_owned(),
        performing_physician: PersonName::default(),
        status: Default::default(),
    }
}

/// The bytes of a `.wl` file.
pub(crate) fn wl(accession: &str) -> Vec<u8> {
    let order = order(accession);
    pacslab_ris::worklist::file::bytes(&order, &order.steps[0], Default::default())
}

pub(crate) fn accession(value: &str) -> Vec<Key> {
    vec![Key::parse(tags::ACCESSION_NUMBER, Vr::SH, value).unwrap()]
}

/// Accession numbers that are answered.
pub(crate) fn found(worklist: &Worklist, keys: &[Key]) -> Vec<String> {
    let items = worklist.find(keys, &Rules::WORKLIST, usize::MAX);
    items.iter().map(|item| item.dataset.str(tags::ACCESSION_NUMBER).to_owned()).collect()
}

/// Waits until something that happens elsewhere has happened.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for an event of a kind; the others that came before are dropped.
pub(crate) fn event(events: &Collect, kind: &str) -> Event {
    eventually(kind, || events.take().into_iter().find(|event| event.kind == kind))
}
