//! `[hl7.destinations.NAME]`: where HL7 messages go, each key declared once.

use std::time::Duration;

use pacslab_hl7::Charset;
use pacslab_hl7::write::OrderForm;

use super::value::Setting;

/// Before the name of a destination.
pub(super) const DESTINATIONS: &str = "hl7.destinations.";

/// One key of a destination, as documented.
#[allow(dead_code, reason = "a test makes the page of the configuration of them")]
pub(super) struct DestinationKey {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: &'static str,
    pub(super) quoted: bool,
}

macro_rules! destination {
    ($( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:literal, )*) => {
        /// Where HL7 messages go.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Destination {
            /// What people call it.
            pub(crate) name: String,
            $( $(#[doc = $doc])+ pub(crate) $key: $type, )*
        }

        pub(super) const KEYS: &[DestinationKey] = &[ $( DestinationKey {
            name: stringify!($key),
            doc: concat!($($doc),+),
            default: $default,
            kind: <$type as Setting>::KIND,
            quoted: <$type as Setting>::QUOTED,
        }, )* ];

        impl Destination {
            /// `read` gives what was said of a key, or else its default, as a value.
            pub(super) fn from_values<E>(
                name: &str,
                read: &impl Reads<E>,
            ) -> std::result::Result<Self, E> {
                Ok(Self {
                    name: name.to_owned(),
                    $( $key: read.read(stringify!($key), $default)?, )*
                })
            }
        }
    };
}

/// Whoever knows what was said of the keys of one destination.
pub(super) trait Reads<E> {
    fn read<T: Setting>(&self, key: &'static str, default: &str) -> Result<T, E>;
}

destination! {
    /// Its host, which has to be told.
    host: Host = "",
    /// Its TCP port.
    port: u16 = "2575",
    /// Whether it is called with TLS, with the files of `[tls]`.
    tls: bool = "false",
    /// What goes there: `orders` as an image manager wants them (NW, XO, CA, DC), `status` as whoever placed them does (SC, OC, DC), `reports` (ORU^R01), `patients` (ADT, as they came); several with commas.
    send: Topics = "orders",
    /// How orders are written: `ORM`, `OMG` (since 2.4) or `OMI` (since 2.5).
    form: Form = "ORM",
    /// MSH-12.
    version: Version = "2.5.1",
    /// MSH-18; a message that does not fit leaves as UTF-8.
    charset: Set = "UNICODE UTF-8",
    /// MSH-3, the sending application.
    sending_application: String = "PACSLAB_RIS",
    /// MSH-4, the sending facility.
    sending_facility: String = "PACSLAB",
    /// MSH-5, the receiving application.
    application: String = "",
    /// MSH-6, the receiving facility.
    facility: String = "",
    /// Take nothing for an acknowledgement whose MSA-2 is not the MSH-10 of the message.
    strict: bool = "false",
    /// How long connecting may take, and an acknowledgement.
    timeout: Duration = "30s",
    /// After how long a message is tried again that was not acknowledged; each time twice as long.
    retry: Duration = "1s",
    /// The longest time between two tries.
    retry_at_most: Duration = "5m",
    /// Older messages than this become dead letters; 0: never.
    give_up_after: Duration = "3d",
    /// Messages that were tried so often become dead letters; 0: never.
    give_up_tries: u32 = "0",
}

impl Destination {
    /// One on this computer that gets reports, and nothing else.
    pub(crate) fn of_reports(name: &str, port: u16) -> Result<Self, String> {
        struct These(String);
        impl Reads<String> for These {
            fn read<T: Setting>(&self, key: &'static str, default: &str) -> Result<T, String> {
                T::read(match key {
                    "host" => "127.0.0.1",
                    "port" => &self.0,
                    "send" => "reports",
                    _ => default,
                })
            }
        }
        Self::from_values(name, &These(port.to_string()))
    }

    /// As the RIS knows it.
    pub(crate) fn told(&self) -> pacslab_ris::Destination {
        pacslab_ris::Destination {
            name: self.name.clone(),
            orders: self.send.orders,
            status: self.send.status,
            reports: self.send.reports,
            patients: self.send.patients,
            form: self.form.0,
            version: self.version.0.clone(),
            charset: self.charset.0,
            application: self.sending_application.clone(),
            facility: self.sending_facility.clone(),
            receiving_application: self.application.clone(),
            receiving_facility: self.facility.clone(),
        }
    }
}

/// The name of a destination and one of its keys, where that is what a key of the configuration is.
pub(super) fn split(key: &str) -> Option<(&str, &str)> {
    let (name, key) = key.strip_prefix(DESTINATIONS)?.split_once('.')?;
    // it is part of keys of the desk, of addresses and of metrics
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let named = !name.is_empty() && name.len() <= 64 && name.chars().all(plain);
    (named && KEYS.iter().any(|known| known.name == key)).then_some((name, key))
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Host(pub(crate) String);

impl Setting for Host {
    const KIND: &'static str = "host";
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("a host is expected: who is to get these messages".into()),
            host => Ok(Self(host.to_owned())),
        }
    }
}

/// What goes to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Topics {
    orders: bool,
    status: bool,
    reports: bool,
    patients: bool,
}

impl Setting for Topics {
    const KIND: &'static str = "orders, status, reports, patients";
    fn read(text: &str) -> Result<Self, String> {
        let mut topics = Self::default();
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            match word {
                "orders" => topics.orders = true,
                "status" => topics.status = true,
                "reports" => topics.reports = true,
                "patients" => topics.patients = true,
                other => {
                    return Err(format!("'{other}' is none of orders, status, reports, patients"));
                }
            }
        }
        match topics == Self::default() {
            true => Err("one of orders, status, reports, patients is expected".into()),
            false => Ok(topics),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form(OrderForm);

impl Setting for Form {
    const KIND: &'static str = "ORM, OMG or OMI";
    fn read(text: &str) -> Result<Self, String> {
        let word = text.to_ascii_uppercase();
        let form = OrderForm::ALL.into_iter().find(|form| form.kind().starts_with(&word));
        form.filter(|_| word.len() == 3)
            .map(Self)
            .ok_or_else(|| "ORM, OMG or OMI is expected".into())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version(String);

impl Setting for Version {
    const KIND: &'static str = "HL7 version";
    fn read(text: &str) -> Result<Self, String> {
        let known = ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1"];
        match known.contains(&text) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("one of {} is expected", known.join(", "))),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Set(Charset);

impl Setting for Set {
    const KIND: &'static str = "character set of table 0211";
    fn read(text: &str) -> Result<Self, String> {
        Charset::by_name(text).map(Self).ok_or_else(|| {
            "a character set of HL7 table 0211 is expected, as UNICODE UTF-8 or 8859/1".into()
        })
    }
}

impl Destination {
    /// What cannot be together.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let since = self.form.0.since();
        let number = |version: &str| {
            let parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
            parts.collect::<Vec<_>>()
        };
        if number(&self.version.0) < number(since) {
            let kind = self.form.0.kind();
            let why = format!("version {} has no {kind}; it came with {since}", self.version.0);
            return Err(("form", why));
        }
        Ok(())
    }
}
