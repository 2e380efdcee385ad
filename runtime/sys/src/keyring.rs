//! Session keyrings.

use rustix::io::Errno;

use crate::{Error, Result};

/// Gives this process a new, empty session keyring, so that it shares no keys with whoever started it.
/// A kernel without keyrings is fine.
pub fn new_session() -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    let done = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    if done >= 0 {
        return Ok(());
    }
    let error = Error::last("keyctl", "KEYCTL_JOIN_SESSION_KEYRING, NULL");
    if error.errno() == Errno::NOSYS { Ok(()) } else { Err(error) }
}
