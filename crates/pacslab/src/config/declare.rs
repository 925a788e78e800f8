//! The macro behind the declaration of the configuration.

/// One key, as documented.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyInfo {
    /// `dicom.port`
    pub(crate) key: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) default: &'static str,
    /// What a value looks like: `number`, `text`, ….
    pub(crate) kind: &'static str,
    /// Whether the value is hidden when shown.
    pub(crate) secret: bool,
    /// Whether TOML writes it in quotes.
    pub(crate) quoted: bool,
}

macro_rules! config {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:literal, )*
        }
    )*) => {
        /// All settings, checked.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(dead_code, reason = "a key is declared before the part of the lab that reads it")]
        pub(crate) struct Config {
            $( $(#[doc = $section_doc])+ pub(crate) $section: $Section, )*
            /// Where peers listen, by name.
            pub(crate) peers: std::collections::BTreeMap<String, $crate::config::Peer>,
            /// What else was said about them.
            pub(crate) peer_settings: std::collections::BTreeMap<String, pacslab_archive::Peer>,
            /// Who may log in, by name.
            pub(crate) users: std::collections::BTreeMap<String, $crate::config::Password>,
            /// Where HL7 messages go.
            pub(crate) destinations: Vec<$crate::config::Destination>,
            /// The password of the login was chosen by nobody.
            pub(crate) built_in_login: bool,
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq)]
            #[allow(dead_code, reason = "as above")]
            pub(crate) struct $Section {
                $( $(#[doc = $doc])+ pub(crate) $key: $type, )*
            }
        )*

        impl Config {
            pub(crate) fn from_values(values: &Values) -> $crate::exit::Result<Self> {
                Ok(Self {
                    $( $section: $Section {
                        $( $key: values.get(concat!(stringify!($section), ".", stringify!($key)))?, )*
                    }, )*
                    peers: values.peers()?.into_iter().map(|(name, peer)| (name, peer.into())).collect(),
                    peer_settings: values.peers()?,
                    users: values.users()?,
                    destinations: values.destinations()?,
                    built_in_login: *values.origin("http.password")
                        == $crate::config::Origin::Default,
                })
            }
        }

        /// Every section with what it is about, in order.
        pub(crate) const SECTIONS: &[(&str, &str)] =
            &[ $( (stringify!($section), concat!($($section_doc),+)), )* ];

        /// Every key, in order.
        pub(crate) const KEYS: &[KeyInfo] = &[ $( $( KeyInfo {
            key: concat!(stringify!($section), ".", stringify!($key)),
            doc: concat!($($doc),+),
            default: $default,
            kind: <$type as $crate::config::value::Setting>::KIND,
            secret: <$type as $crate::config::value::Setting>::SECRET,
            quoted: <$type as $crate::config::value::Setting>::QUOTED,
        }, )* )* ];
    };
}

pub(crate) use config;
