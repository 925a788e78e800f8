//! `pacslab tls init`: a CA of one's own, and certificates that it vouches for. RFC 5280.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pacslab_model::{Clock, Moment};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};
use crate::tls::FOLDER;

/// Make a CA, a server certificate and a client certificate
///
/// The server certificate is good for calling others, too. Give ca-cert.pem to those who call;
/// keep ca-key.pem where nobody finds it, or delete it: it is needed for nothing but further
/// certificates.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Folder of the files
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    out: PathBuf,
    /// Names and addresses by which others call this computer, beside localhost
    #[arg(long = "host", value_name = "NAME", num_args = 1..)]
    hosts: Vec<String>,
    /// How long the certificates are valid; the CA is valid for ten years
    #[arg(long, value_name = "N", default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Replace what is there: whoever trusted the old CA has to be given the new one
    #[arg(long)]
    force: bool,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab tls init", "CA and certificates for this computer in ./tls"),
        (
            "pacslab tls init --out lab-tls --host pacs.lab 192.168.1.10",
            "for a department that others call by name or address",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let made = make(&self.names()?, self.days, context.clock.now())
            .map_err(|error| Failure::failed(format!("no certificate could be made: {error}")))?;
        self.write(&made)?;
        let path = |name: &str| self.out.join(name).display().to_string();
        if context.out.json {
            let files: Vec<String> = made.iter().map(|file| path(file.name)).collect();
            context.out.json(&serde_json::json!({"files": files, "hosts": self.names()?}));
        } else {
            context.out.text(&self.explanation(&made, &config)?);
        }
        Ok(Exit::Done)
    }
}

/// One file that is to be written.
struct Made {
    name: &'static str,
    text: String,
    about: &'static str,
}

impl Made {
    fn is_secret(&self) -> bool {
        self.name.ends_with("-key.pem")
    }
}

const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Args {
    fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = LOCAL.iter().map(|name| (*name).to_owned()).collect();
        for host in &self.hosts {
            let usable = rustls::pki_types::ServerName::try_from(host.as_str()).is_ok();
            if !usable {
                return Err(Failure::usage(format!("no certificate can be for '{host}'"))
                    .hint("a name such as pacs.lab or an address such as 192.168.1.10"));
            }
            if !names.contains(host) {
                names.push(host.clone());
            }
        }
        Ok(names)
    }

    fn write(&self, made: &[Made]) -> Result<()> {
        let paths: Vec<PathBuf> = made.iter().map(|file| self.out.join(file.name)).collect();
        if let Some(there) = paths.iter().find(|path| path.exists()).filter(|_| !self.force) {
            return Err(Failure::usage(format!("{} is there already", there.display())).hint(
                "--force replaces all of them, and whoever trusts the old CA has to be given the \
                 new one; --out DIR takes another folder",
            ));
        }
        std::fs::create_dir_all(&self.out)
            .map_err(|error| Failure::file("make the folder", &self.out, &error))?;
        for (file, path) in made.iter().zip(&paths) {
            write(path, &file.text, file.is_secret())
                .map_err(|error| Failure::file("write", path, &error))?;
        }
        Ok(())
    }

    fn explanation(&self, made: &[Made], config: &Config) -> Result<String> {
        let path = |name: &str| self.out.join(name).display().to_string();
        let (ca, cert, key) =
            (path("ca-cert.pem"), path("client-cert.pem"), path("client-key.pem"));
        let mut text = String::new();
        for Made { name, about, .. } in made {
            text += &format!("{:<28}{about}\n", path(name));
        }
        text += &format!(
            "\nFor the names {}. Others: pacslab tls init --host NAME --force\n",
            self.names()?.join(", ")
        );
        text += "\npacslab.toml:\n\n  [tls]\n";
        if self.out != Path::new(FOLDER) {
            for (key, name) in
                [("cert", "server-cert.pem"), ("key", "server-key.pem"), ("ca", "ca-cert.pem")]
            {
                // a literal string: Windows has backslashes
                text += &format!("  {key} = '{}'\n", path(name));
            }
        }
        text += "  client_certificates = \"none\"   # asked, required\n\n  [dicom]\n  tls = true\n\n\
                 \x20 [http]\n  tls = true\n";
        let (title, dicom, http) = (&config.dicom.aet, config.dicom.port, config.http.port);
        // in Windows PowerShell `curl` is another program; Windows' own asks each CA for a list of
        // what it took back, which ours does not have
        let curl = if cfg!(windows) { "curl.exe --ssl-no-revoke" } else { "curl" };
        text += &format!(
            "\nThen, while `pacslab serve` runs:\n\n  \
             pacslab echo --tls --ca {ca}\n  \
             echoscu +tls {key} {cert} +cf {ca} -aec {title} localhost {dicom}\n  \
             openssl s_client -connect localhost:{dicom} -CAfile {ca} -verify_return_error\n  \
             {curl} --cacert {ca} -u {user} https://localhost:{http}/system\n",
            user = config.http.user,
        );
        text += &match cfg!(windows) {
            true => format!(
                "\nKeys are as readable as the folder. For you alone (PowerShell):\n\n  \
                 icacls {}\\*-key.pem /inheritance:r /grant:r \"$($env:USERNAME):(R,W,D)\"\n\n\
                 For browsers of this user, and Invoke-RestMethod:\n\n  \
                 Import-Certificate -FilePath {ca} -CertStoreLocation Cert:\\CurrentUser\\Root\n  \
                 Invoke-RestMethod https://localhost:{http}/system -Credential (Get-Credential)\n",
                self.out.display()
            ),
            false => "\nKeys are readable by you alone. docs/tls.md has the same for PowerShell.\n"
                .to_owned(),
        };
        Ok(text)
    }
}

/// A new file; keys are readable by their owner only, where the system knows that.
fn write(path: &Path, text: &str, secret: bool) -> io::Result<()> {
    // not written over: the new file gets rights of its own
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    // elsewhere a new file has the rights of its folder
    #[cfg(not(unix))]
    let _ = secret;
    let mut file: File = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn make(
    names: &[String],
    days: u32,
    now: Moment,
) -> std::result::Result<[Made; 6], rcgen::Error> {
    const DAY: u64 = 24 * 3600;
    // a clock that is a little behind finds them valid, too
    let yesterday = Moment::new(now.micros.saturating_sub(DAY as i64 * 1_000_000), 0);
    let after = |days: u32| {
        Moment::new(now.micros, 0).plus(Duration::from_secs(u64::from(days) * DAY))
    };
    let day = |moment: Moment| {
        let (year, month, day) = moment.date().ymd();
        rcgen::date_time_ymd(i32::from(year), month, day)
    };
    let describe = |params: &mut CertificateParams, name: &str, days: u32| {
        params.not_before = day(yesterday);
        params.not_after = day(after(days));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "PACS Lab");
        params.distinguished_name.push(DnType::CommonName, name);
    };

    let ca_key = KeyPair::generate()?;
    let ca_pem = ca_key.serialize_pem();
    let mut ca = CertificateParams::default();
    describe(&mut ca, &format!("PACS Lab CA {}", now.date()), 3650);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(ca, ca_key)?;

    let leaf = |names: &[String], name: &str, usages: &[ExtendedKeyUsagePurpose]| {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        describe(&mut params, name, days);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        Ok::<_, rcgen::Error>((params.signed_by(&key, &ca)?.pem(), key.serialize_pem()))
    };
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    // an application entity is server and client
    let name = names.get(LOCAL.len()).map_or("localhost", String::as_str);
    let (server, server_key) = leaf(names, name, &[ServerAuth, ClientAuth])?;
    let (client, client_key) = leaf(&[], "PACS Lab client", &[ClientAuth])?;
    let file = |name, text, about| Made { name, text, about };
    Ok([
        file("ca-cert.pem", ca.pem(), "the CA: whoever calls or is called trusts this"),
        file("ca-key.pem", ca_pem, "its key: keep it away from everybody"),
        file("server-cert.pem", server, "what the doors show, and pacslab when it calls"),
        file("server-key.pem", server_key, "its key"),
        file("client-cert.pem", client, "for a peer that calls: scanner, workstation, script"),
        file("client-key.pem", client_key, "its key"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(out: &Path, force: bool) -> Args {
        Args { out: out.to_owned(), hosts: vec!["pacs.lab".into()], days: 30, force }
    }

    fn made() -> [Made; 6] {
        let names = args(Path::new("x"), false).names().unwrap();
        make(&names, 30, Moment::parse("2026-12-31T08:00", 0).unwrap()).unwrap()
    }

    #[test]
    fn nothing_is_overwritten_and_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        args(folder.path(), false).write(&made()).unwrap();
        let again = args(folder.path(), false).write(&made()).unwrap_err();
        assert!(again.hint.unwrap().contains("--force"));
        args(folder.path(), true).write(&made()).unwrap();
        #[cfg(unix)]
        for name in ["ca-key.pem", "server-key.pem", "client-key.pem"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        let with = |host: &str| Args { hosts: vec![host.into()], ..args(Path::new("x"), false) };
        assert!(with("192.168.1.10").names().unwrap().contains(&"192.168.1.10".to_owned()));
        assert!(with("two words").names().is_err());
    }
}
