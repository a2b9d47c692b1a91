//! The Pinion server: reads its settings, begins the log, and serves.

use pinion::config::{Settings, Start, read};
use pinion::log::Log;
use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "check") {
        return pinion::check::run(words);
    }
    let variables = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let done = match read(std::env::args_os().skip(1), variables) {
        Ok(Start::Serve { settings, warnings }) => serve(*settings, &warnings),
        Ok(Start::Print(text)) => {
            // A reader that went away, such as `head`, is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Err(sentence) => Err(sentence),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(std::io::stderr(), "pinion: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until asked to stop.
fn serve(settings: Settings, warnings: &[String]) -> Result<(), String> {
    let _log = Log::begin(&settings)?;
    for warning in warnings.iter().chain(&settings.warnings()) {
        tracing::warn!("{warning}");
    }
    pinion::start::serve(settings).map_err(|error| error.to_string())
}
