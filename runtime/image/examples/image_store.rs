//! A program that does one thing to a store: what the room's tests kill in the middle of it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rcompose_image::{RegistryConfig, Store};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(error.source(), |error| error.source());
            let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
            // A test shows it when something else goes wrong than it wants.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    let [root, command, rest @ ..] = arguments else { return Err("expected a store and a command".into()) };
    let store = Store::open(Path::new(root))?;
    match (command.as_str(), rest) {
        ("load", [path]) => drop(store.load_file(std::fs::File::open(path)?)?),
        ("remove", [name]) => drop(store.remove(name)?),
        ("collect", []) => drop(store.collect(Duration::ZERO)?),
        ("pull", [name]) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let config = RegistryConfig { stall_seconds: Some(5), ..RegistryConfig::default() };
            runtime.block_on(store.pull(&name.parse()?, None, &config, |_| {}))?;
        }
        _ => return Err(format!("unknown command {command}").into()),
    }
    Ok(())
}
