//! Instructions outside of a Dockerfile: `commit --change`.

use std::collections::BTreeMap;

use rcompose_image::ImageConfig;

use crate::dockerfile::{Dockerfile, Instruction, Kind};
use crate::error::StepError;
use crate::state::{Scope, State};

/// Has instructions change what an image says of itself; its layers and history stay.
///
/// # Errors
/// What is no instruction, and instructions that would make a layer or mean nothing outside of a build.
pub fn changed(image: ImageConfig, lines: &[String]) -> Result<ImageConfig, StepError> {
    let history = image.history.clone();
    let scope = Scope { given: BTreeMap::new(), globals: BTreeMap::new(), escape: '\\', epoch: None };
    let mut state = State::on(image);
    for line in lines {
        for instruction in parsed(line)? {
            apply(&mut state, &instruction, &scope)?;
        }
    }
    Ok(ImageConfig { history, ..state.image })
}

fn parsed(line: &str) -> Result<Vec<Instruction>, StepError> {
    let (file, problems) = Dockerfile::parse(format!("FROM scratch\n{line}\n").as_bytes());
    if let Some(problem) = problems.iter().find(|problem| problem.is_error()) {
        return Err(StepError::Invalid(format!("`{line}`: {}", problem.text)));
    }
    let mut stages = file.map(|file| file.stages).unwrap_or_default();
    if stages.len() > 1 {
        return Err(refused(line));
    }
    Ok(stages.pop().map(|stage| stage.instructions).unwrap_or_default())
}

fn refused(line: &str) -> StepError {
    StepError::Invalid(format!("`{line}` cannot change an image without building it"))
}

fn apply(state: &mut State, instruction: &Instruction, scope: &Scope) -> Result<(), StepError> {
    let refused = || refused(&instruction.text);
    match &instruction.kind {
        Kind::Workdir(path) => state.work_in(path, scope).map(drop),
        Kind::Arg(_) | Kind::Maintainer(_) | Kind::Shell(_) => Err(refused()),
        _ => state.apply(instruction, scope)?.map(drop).ok_or_else(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str]) -> Result<ImageConfig, String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        changed(ImageConfig::default(), &lines).map_err(|error| error.to_string())
    }

    #[test]
    fn instructions_that_describe_are_taken_and_others_are_not() {
        let image = check(&["CMD [\"/app\"]", "ENV A=1 B=$A", "WORKDIR /srv", "EXPOSE 80", "USER web"]).unwrap();
        assert_eq!(image.config.cmd, Some(vec!["/app".to_owned()]));
        assert_eq!((image.config.working_dir.as_str(), image.config.user.as_str()), ("/srv", "web"));
        assert!(image.history.is_empty() && image.config.exposed_ports.contains_key("80/tcp"));
        for refused in ["RUN true", "COPY a b", "ARG A", "FROM other"] {
            assert!(check(&[refused]).is_err(), "{refused}");
        }
        assert!(check(&["NOTHING x"]).unwrap_err().starts_with("`NOTHING x`: "));
    }
}
