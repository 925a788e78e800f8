//! Randomness from the operating system, for secrets: the binary's privilege, as the clock is.

use crate::exit::{Failure, Result};

/// Bytes that nobody can guess.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}
