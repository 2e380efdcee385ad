//! Loading a seccomp filter.

use crate::{Error, Result};

/// One instruction of classic BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Distance to go when the comparison holds.
    pub jump_true: u8,
    /// Distance to go when it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// Applies a filter to this thread and everything that it will execute. Needs CAP_SYS_ADMIN or no_new_privs.
pub fn load(program: &[Instruction]) -> Result<()> {
    let filters: Vec<libc::sock_filter> = program
        .iter()
        .map(|it| libc::sock_filter { code: it.code, jt: it.jump_true, jf: it.jump_false, k: it.operand })
        .collect();
    let length = u16::try_from(filters.len()).map_err(|_| too_long(program.len()))?;
    let argument = libc::sock_fprog { len: length, filter: filters.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions, which live until the call returns, and does not write to them.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const argument) };
    if done == 0 { Ok(()) } else { Err(Error::last("seccomp", format!("SECCOMP_SET_MODE_FILTER, 0, {length} instructions"))) }
}

fn too_long(length: usize) -> Error {
    Error::new("seccomp", format!("SECCOMP_SET_MODE_FILTER, 0, {length} instructions"), rustix::io::Errno::INVAL)
}
