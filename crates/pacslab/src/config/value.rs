//! The kinds of values. Each reads itself from text, whichever layer the text came from.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pacslab_archive::ReportWay;
use pacslab_dicom::dict;
use pacslab_hl7::map::Sources;
use pacslab_model::{AeTitle, Level, Tag, Vr};
use pacslab_ris::worklist::Poll;
use pacslab_scp::policy::Mode;

/// A type that a configuration key may have.
pub(crate) trait Setting: Sized {
    /// What a value looks like, for messages and documentation.
    const KIND: &'static str;
    const SECRET: bool = false;
    const QUOTED: bool = true;

    /// Reads a value; the error says what is wrong with it.
    fn read(text: &str) -> Result<Self, String>;
}

impl Setting for String {
    const KIND: &'static str = "text";
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path is expected".into()) } else { Ok(text.into()) }
    }
}

impl Setting for AeTitle {
    const KIND: &'static str = "AE title";
    fn read(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| error.to_string())
    }
}

impl Setting for IpAddr {
    const KIND: &'static str = "IP address";
    fn read(text: &str) -> Result<Self, String> {
        let text = if text == "localhost" { "127.0.0.1" } else { text };
        text.parse().map_err(|_| "an IP address such as 127.0.0.1 or 0.0.0.0 is expected".into())
    }
}

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            const KIND: &'static str = "number";
            const QUOTED: bool = false;
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| {
                    format!("a whole number from {} to {} is expected", Self::MIN, Self::MAX)
                })
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64, usize);

impl Setting for Duration {
    const KIND: &'static str = "duration";
    fn read(text: &str) -> Result<Self, String> {
        read_duration(text).ok_or_else(|| "a duration such as 500ms, 30s or 2m is expected".into())
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";
    const QUOTED: bool = false;
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "true or false is expected".into())
    }
}

/// What is decided elsewhere unless it is set.
impl Setting for Option<bool> {
    const KIND: &'static str = "auto, true or false";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(None),
            _ => bool::read(text).map(Some).map_err(|_| "auto, true or false is expected".into()),
        }
    }
}

impl Setting for Mode {
    const KIND: &'static str = "lab, strict or orthanc-quirks";
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|()| "lab, strict or orthanc-quirks is expected".into())
    }
}

impl Setting for ReportWay {
    const KIND: &'static str = "same-first, reverse or early";
    fn read(text: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, way)| *way).ok_or_else(|| "same-first, reverse or early is expected".into())
    }
}

/// Names of computers, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl Setting for Names {
    const KIND: &'static str = "names, separated by commas";
    fn read(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        Ok(Self(names.map(str::to_owned).collect()))
    }
}

/// Where the HL7 door looks for attributes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hl7Sources(pub(crate) Sources);

impl Setting for Hl7Sources {
    const KIND: &'static str = "attributes with their fields, separated by semicolons";
    fn read(text: &str) -> Result<Self, String> {
        let mut sources = Sources::default();
        for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            sources.set_line(line).map_err(|error| error.to_string())?;
        }
        Ok(Self(sources))
    }
}

/// Attributes that the index can search by, with how their values are written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Attributes(pub(crate) Vec<(Tag, Vr)>);

impl Setting for Attributes {
    const KIND: &'static str = "attributes, separated by commas";
    fn read(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let read = |name: &str| {
            let tag = dict::tag(name).ok_or_else(|| {
                format!("'{name}' is no attribute: a keyword or a tag, like BodyPartExamined")
            })?;
            let kept = Level::of(tag).is_some_and(|level| level.attributes().contains(&tag));
            if !kept || Level::of(tag) == Some(Level::Instance) {
                return Err(format!(
                    "'{name}' is none of the attributes that the index keeps of patients, studies \
                     and series"
                ));
            }
            Ok((tag, dict::vr(tag).unwrap_or(Vr::LO)))
        };
        names.map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// How a user is recognised.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// A PHC string: `$argon2id$…`.
    Hash(String),
    Plain(Secret),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Setting for Password {
    const KIND: &'static str = "argon2 hash";
    const SECRET: bool = true;
    fn read(text: &str) -> Result<Self, String> {
        match text.strip_prefix("plain:") {
            Some(word) if !word.is_empty() => Ok(Self::Plain(Secret(word.to_owned()))),
            _ if text.starts_with("$argon2") => Ok(Self::Hash(text.to_owned())),
            _ => {
                Err("a hash as `pacslab user hash` prints it is expected, or plain:PASSWORD"
                    .to_owned())
            }
        }
    }
}

/// `500ms`, `30s`, `10m`, `2h`, `1d`; a bare number counts seconds.
pub(crate) fn read_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    let millis: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

/// A word that stays out of logs and of `config show`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl Secret {
    /// For the one who checks it; never for a message.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Setting for Secret {
    const KIND: &'static str = "text";
    const SECRET: bool = true;
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// An amount of storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl Setting for Bytes {
    const KIND: &'static str = "size";
    fn read(text: &str) -> Result<Self, String> {
        let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
        let shift = match text.trim()[digits.len()..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => 64,
        };
        let number = digits.parse::<u64>().ok().filter(|_| shift < 64);
        number
            .and_then(|number| number.checked_mul(1 << shift))
            .map(Self)
            .ok_or_else(|| "a size such as 500 MiB or 20 GiB is expected".into())
    }
}

/// What happens when a limit of the storage is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WhenFull {
    Refuse,
    DeleteOldest,
}

impl Setting for WhenFull {
    const KIND: &'static str = "refuse or delete-oldest";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "delete-oldest" => Ok(Self::DeleteOldest),
            _ => Err("refuse or delete-oldest is expected".into()),
        }
    }
}

/// How the archive keeps instances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StorageLayout {
    Disk(pacslab_store::Layout),
    Memory,
}

impl Setting for StorageLayout {
    const KIND: &'static str = "pack, files or memory";
    fn read(text: &str) -> Result<Self, String> {
        use pacslab_store::Layout;
        match text {
            "pack" => Ok(Self::Disk(Layout::Pack)),
            "files" => Ok(Self::Disk(Layout::Files)),
            "memory" => Ok(Self::Memory),
            _ => Err("pack, files or memory is expected".into()),
        }
    }
}

/// What order messages are answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hl7Responses(pub(crate) pacslab_hl7::Responses);

impl Setting for Hl7Responses {
    const KIND: &'static str = "asked, always or never";
    fn read(text: &str) -> Result<Self, String> {
        use pacslab_hl7::Responses;
        match text {
            "asked" => Ok(Self(Responses::Asked)),
            "always" => Ok(Self(Responses::Always)),
            "never" => Ok(Self(Responses::Never)),
            _ => Err("asked, always or never is expected".into()),
        }
    }
}

impl Setting for Poll {
    const KIND: &'static str = "auto, always or never";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("auto, always or never is expected".into()),
        }
    }
}

/// Whether those who call a door have to show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientCertificates {
    None,
    Asked,
    Required,
}

impl Setting for ClientCertificates {
    const KIND: &'static str = "none, asked or required";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "asked" => Ok(Self::Asked),
            "required" => Ok(Self::Required),
            _ => Err("none, asked or required is expected".into()),
        }
    }
}

/// From which importance on things are logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogLevel(pub(crate) tracing::level_filters::LevelFilter);

impl LogLevel {
    /// Only what somebody has to look at.
    pub(crate) const fn quiet() -> Self {
        Self(tracing::level_filters::LevelFilter::ERROR)
    }
}

impl Setting for LogLevel {
    const KIND: &'static str = "level";
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| "off, error, warn, info, debug or trace is expected".into())
    }
}

/// An application entity and where it listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    pub(crate) aet: AeTitle,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether it is called with TLS.
    pub(crate) tls: bool,
}

impl FromStr for Peer {
    type Err = String;

    /// `AET@host:port`; an IPv6 address stands in brackets, and `+tls` at the end is for TLS.
    fn from_str(text: &str) -> Result<Self, String> {
        let (text, tls) = without_tls(text);
        let (aet, address) = text.split_once('@').ok_or("AET@host:port is expected")?;
        let (host, port) = read_address(address)?;
        let aet = AeTitle::new(aet).map_err(|error| error.to_string())?;
        Ok(Self { aet, host, port, tls })
    }
}

/// Takes `+tls` off the end of an address.
pub(crate) fn without_tls(text: &str) -> (&str, bool) {
    match text.trim_end().strip_suffix("+tls") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// `host:port`
pub(crate) fn read_address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("host:port is expected")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("a host before the colon is expected".into());
    }
    Ok((host.to_owned(), read_port(port)?))
}

/// The port of somebody else. The sentence is Orthanc's: it is what people search for.
pub(crate) fn read_port(text: &str) -> Result<u16, String> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(port @ 1..=65_534) => u16::try_from(port).map_err(|_| no_port(text)),
        _ => Err(no_port(text)),
    }
}

fn no_port(found: &str) -> String {
    format!("A TCP port number must be in range [1..65534], but found: {found}")
}

impl From<pacslab_archive::Peer> for Peer {
    fn from(peer: pacslab_archive::Peer) -> Self {
        Self { aet: peer.aet, host: peer.host, port: peer.port, tls: peer.tls }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let tls = if self.tls { "+tls" } else { "" };
        write!(f, "{}@{open}{}{close}:{}{tls}", self.aet, self.host, self.port)
    }
}

impl Setting for Peer {
    const KIND: &'static str = "AET@host:port";
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
}
