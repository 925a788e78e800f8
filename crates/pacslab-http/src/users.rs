//! Passwords: hashed with Argon2id (RFC 9106), verified once and then recognised.
//!
//! A hash is made to be slow; a page of thirty images would pay for it thirty times. What was
//! verified is remembered as a keyed digest, so that further requests cost a SHA-256.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// Who may log in.
#[derive(Clone, Default)]
pub struct Auth {
    users: BTreeMap<String, Proof>,
    built_in: Option<(String, String)>,
    /// Users that are kept in a file, which may change at any time.
    file: Option<PathBuf>,
    state: Arc<State>,
}

#[derive(Clone)]
enum Proof {
    Hash(String),
    Plain(String),
}

/// What became of a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Login {
    Welcome,
    Wrong,
    /// The password that is built in, from another computer.
    FromAfar,
    /// Too many failures: again after this time.
    Later(Duration),
}

struct State {
    /// Makes the digests of this run different from those of any other.
    seal: [u8; 32],
    kept: Mutex<Kept>,
    verified: Mutex<BTreeSet<[u8; 32]>>,
    failures: Mutex<BTreeMap<IpAddr, Failures>>,
    /// Hashing takes memory and a core: so many at a time.
    hashing: Semaphore,
}

/// The users of the file, as they were when it had this stamp.
#[derive(Default)]
struct Kept {
    stamp: Option<(SystemTime, u64)>,
    users: Arc<BTreeMap<String, String>>,
}

struct Failures {
    since: Instant,
    count: u32,
}

/// So many verified logins are remembered, and so many addresses that failed.
const REMEMBERED: usize = 1_000;
/// So many failures of one address within the time are a person; more are a program.
const TRIES: u32 = 10;
const WITHIN: Duration = Duration::from_secs(60);

impl Default for State {
    fn default() -> Self {
        Self {
            seal: [0; 32],
            kept: Mutex::default(),
            verified: Mutex::default(),
            failures: Mutex::default(),
            hashing: Semaphore::new(2),
        }
    }
}

impl Auth {
    /// `seal`: random bytes, for the digests of what was verified.
    pub fn new(seal: [u8; 32]) -> Self {
        Self { state: Arc::new(State { seal, ..State::default() }), ..Self::default() }
    }

    /// A user with a password that was stated somewhere in the clear.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), Proof::Plain(password.to_owned()));
        self
    }

    /// A user with a hash of [`hash`].
    #[must_use]
    pub fn hashed(mut self, name: &str, hash: &str) -> Self {
        self.users.insert(name.to_owned(), Proof::Hash(hash.to_owned()));
        self
    }

    /// The login that is there when there is no other; for this computer only.
    #[must_use]
    pub fn built_in(mut self, name: &str, password: &str) -> Self {
        self.built_in = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Users that are kept in a file; it is looked at again when it has changed.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Checks a login. `from`: the address it comes from, if it comes over a socket.
    pub(crate) async fn check(&self, name: &str, password: &str, from: Option<IpAddr>) -> Login {
        let kept = self.kept();
        let proof = match (self.users.get(name), kept.get(name), &self.built_in) {
            (Some(proof), _, _) => Some(proof.clone()),
            (None, Some(hash), _) => Some(Proof::Hash(hash.clone())),
            (None, None, Some((user, word)))
                if user == name && self.users.is_empty() && kept.is_empty() =>
            {
                Some(Proof::Plain(word.clone()))
            }
            _ => None,
        };
        let built_in = proof.is_some() && self.users.is_empty() && kept.is_empty();
        // the proof is a part of it: another password, another digest
        let expected = match &proof {
            Some(Proof::Hash(text) | Proof::Plain(text)) => text.as_str(),
            None => "",
        };
        let seen = self.sealed(&[name, password, expected]);
        let known = locked(&self.state.verified).contains(&seen);
        if !known {
            if let Some(wait) = self.failed_too_often(from) {
                return Login::Later(wait);
            }
            if !self.verify(proof, password).await {
                self.count_failure(from);
                return Login::Wrong;
            }
        }
        if built_in && from.is_some_and(|from| !from.to_canonical().is_loopback()) {
            return Login::FromAfar;
        }
        if !known {
            let mut verified = locked(&self.state.verified);
            if verified.len() >= REMEMBERED {
                verified.clear();
            }
            verified.insert(seen);
        }
        Login::Welcome
    }

    async fn verify(&self, proof: Option<Proof>, password: &str) -> bool {
        let hash = match proof {
            Some(Proof::Plain(word)) => {
                return self.sealed(&[&word]) == self.sealed(&[password]);
            }
            Some(Proof::Hash(hash)) => Some(hash),
            None => None,
        };
        // nobody by this name: takes as long, so that the time does not tell
        let (hash, real) = match hash {
            Some(hash) => (hash, true),
            None if self.users.values().any(|p| matches!(p, Proof::Hash(_)))
                || !self.kept().is_empty() =>
            {
                (NOBODY.to_owned(), false)
            }
            None => return false,
        };
        let Ok(_slot) = self.state.hashing.acquire().await else { return false };
        let password = password.to_owned();
        let fits = tokio::task::spawn_blocking(move || verify(&password, &hash)).await;
        real && fits.unwrap_or(false)
    }

    /// A digest under the seal; lengths keep the parts apart.
    fn sealed(&self, parts: &[&str]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.state.seal);
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// The users of the file as it is now.
    fn kept(&self) -> Arc<BTreeMap<String, String>> {
        let Some(path) = &self.file else { return Arc::default() };
        let stamp = std::fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        let mut kept = locked(&self.state.kept);
        if kept.stamp != stamp {
            match read(path) {
                Ok(users) => *kept = Kept { stamp, users: Arc::new(users) },
                // the users of before stay until it can be read
                Err(error) => tracing::warn!("cannot read {}: {error}", path.display()),
            }
        }
        kept.users.clone()
    }

    fn failed_too_often(&self, from: Option<IpAddr>) -> Option<Duration> {
        let failures = locked(&self.state.failures);
        let failed = failures.get(&from?)?;
        let left = WITHIN.checked_sub(failed.since.elapsed())?;
        (failed.count >= TRIES).then_some(left)
    }

    fn count_failure(&self, from: Option<IpAddr>) {
        let Some(from) = from else { return };
        let mut failures = locked(&self.state.failures);
        failures.retain(|_, failed| failed.since.elapsed() < WITHIN);
        if failures.len() >= REMEMBERED {
            failures.clear();
        }
        let failed = failures.entry(from).or_insert(Failures { since: Instant::now(), count: 0 });
        failed.count += 1;
        match failed.count {
            1 => tracing::warn!("http: a login from {from} failed: wrong name or password"),
            TRIES => tracing::warn!("http: {TRIES} logins from {from} failed: it has to wait"),
            _ => {}
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("users", &self.users.keys())
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A hash that no password is known for.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The most that a hash may ask of us, in KiB and rounds: a file may come from anywhere.
const COSTLIEST: (u32, u32) = (1 << 20, 16);

/// The hash of a password, as a PHC string. `salt`: random bytes, new for each hash.
///
/// # Errors
/// An empty password, or one that is too long for Argon2.
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, String> {
    if password.is_empty() {
        return Err("a password must not be empty".to_owned());
    }
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| format!("the password cannot be hashed: {error}"))?;
    Ok(hash.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let (memory, rounds) = COSTLIEST;
    params.m_cost() <= memory
        && params.t_cost() <= rounds
        && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// The users of a file: `name:hash` lines. A file that is not there holds nobody.
pub fn read(path: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        text => text?,
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, hash)| (name.trim().to_owned(), hash.trim().to_owned())).collect())
}

/// Writes the file anew, so that a reader sees all of the old or all of the new one.
pub fn write(path: &Path, users: &BTreeMap<String, String>) -> io::Result<()> {
    use io::Write;
    let mut text = String::from("# who may log in; written by `pacslab user`\n");
    for (name, hash) in users {
        text += &format!("{name}:{hash}\n");
    }
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    pacslab_store::disk::patiently(|| std::fs::rename(&beside, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20)));

    #[tokio::test]
    async fn hashed_and_stated_users_come_in_from_everywhere() {
        let hash = hash("s:ecret", &[7; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let auth = Auth::new([1; 32]).user("orthanc", "orthanc").hashed("jane", &hash);
        for from in [HERE, THERE, None] {
            assert_eq!(auth.check("orthanc", "orthanc", from).await, Login::Welcome);
            assert_eq!(auth.check("jane", "s:ecret", from).await, Login::Welcome);
            assert_eq!(auth.check("jane", "orthanc", from).await, Login::Wrong);
            assert_eq!(auth.check("nobody", "", from).await, Login::Wrong);
        }
        assert!(!format!("{auth:?}").contains("argon2"));
    }

    #[tokio::test]
    async fn what_was_verified_costs_no_hash_again() {
        let auth = Auth::new([1; 32]).hashed("jane", &hash("word", &[7; 16]).unwrap());
        assert_eq!(auth.check("jane", "word", HERE).await, Login::Welcome);
        let begun = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(auth.check("jane", "word", HERE).await, Login::Welcome);
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn the_built_in_login_is_for_this_computer_and_while_there_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let auth = Auth::new([1; 32]).built_in("orthanc", "orthanc").file(&path);
        assert_eq!(auth.check("orthanc", "orthanc", HERE).await, Login::Welcome);
        assert_eq!(auth.check("orthanc", "orthanc", THERE).await, Login::FromAfar);
        assert_eq!(auth.check("orthanc", "other", THERE).await, Login::Wrong);
        let mut users = BTreeMap::from([("jane".to_owned(), hash("word", &[7; 16]).unwrap())]);
        write(&path, &users).unwrap();
        assert_eq!(auth.check("orthanc", "orthanc", HERE).await, Login::Wrong);
        assert_eq!(auth.check("jane", "word", THERE).await, Login::Welcome);
        users.clear();
        write(&path, &users).unwrap();
        assert_eq!(auth.check("jane", "word", THERE).await, Login::Wrong);
        assert_eq!(auth.check("orthanc", "orthanc", HERE).await, Login::Welcome);
    }

    #[tokio::test]
    async fn who_guesses_has_to_wait_and_others_do_not() {
        let auth = Auth::new([1; 32]).user("jane", "word").user("joe", "other");
        assert_eq!(auth.check("jane", "word", THERE).await, Login::Welcome);
        for _ in 0..TRIES {
            assert_eq!(auth.check("jane", "guess", THERE).await, Login::Wrong);
        }
        assert!(matches!(auth.check("joe", "other", THERE).await, Login::Later(_)));
        assert_eq!(auth.check("jane", "word", THERE).await, Login::Welcome, "recognised");
        assert_eq!(auth.check("joe", "other", HERE).await, Login::Welcome);
    }

    #[test]
    fn hashes_that_cost_too_much_are_not_tried() {
        assert!(verify("word", &hash("word", &[3; 16]).unwrap()));
        let costly = hash("word", &[3; 16]).unwrap().replace("m=19456", "m=4294967295");
        assert!(!verify("word", &costly));
        assert!(!verify("word", "nonsense") && !verify("word", NOBODY));
        assert!(hash("", &[3; 16]).is_err());
    }
}
