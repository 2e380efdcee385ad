//! `man`: pages of the manual, from the same text as `--help`.

use std::path::Path;

use clap::CommandFactory;

use crate::arguments::CommandLine;
use crate::error::CommandError;
use crate::exit::Exit;

pub(super) fn write(folder: &Path) -> Result<Exit, CommandError> {
    let failed = |source| CommandError::System { doing: format!("write the manual to {}", folder.display()), source };
    clap_mangen::generate_to(CommandLine::command(), folder).map_err(failed)?;
    Ok(Exit::Success)
}
