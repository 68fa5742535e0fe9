//! Links every module of a directory with rumpload, with other loaders, and with the least work that could do, in one process.
//!
//! `cargo run --release -p rumpload-bench -- --corpus DIR`, or with `--samples` over the sample modules.

mod bound;
mod corpus;
mod memory;
mod peers;
mod reference;
mod report;
mod rows;
mod verify;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static HEAP: rows::Counting = rows::Counting;

/// Compare linking with the copy bound and with other loaders.
#[derive(Debug, Parser)]
struct Arguments {
    /// Directory of modules (.ko or .kmod, not compressed), such as /lib/modules or an unpacked kernel package.
    #[arg(long, value_name = "DIR", required_unless_present = "samples")]
    corpus: Option<PathBuf>,
    /// Compile the sample modules that a file system consists of, and link those.
    #[arg(long, conflicts_with = "corpus")]
    samples: bool,
    /// Rounds per row and memory mode.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Write the figures to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only compare every linked byte with an independent relocator; modules of any machine.
    #[arg(long)]
    verify: bool,
    /// Run only the rows whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rumpload-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let corpus = match &arguments.corpus {
        Some(directory) => corpus::Corpus::read(directory)?,
        None => samples()?,
    };
    let verified = verify::all(&corpus)?;
    if arguments.verify {
        return Ok(verified);
    }
    let figures = rows::measure(corpus, arguments.rounds, &arguments.only)?;
    report::print(&figures);
    if !arguments.samples {
        report::print_goals(&figures);
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, report::json(&figures).to_string() + "\n")?;
    }
    Ok(verified)
}

/// The sample modules, compiled into a directory that is gone afterwards.
fn samples() -> Result<corpus::Corpus> {
    let directory = std::env::temp_dir().join(format!("rumpload-bench-{}", std::process::id()));
    let names = ["hello", "tarindex", "tarfs"];
    let built = rumpload_test_modules::build_some(&rumpload_test_modules::Target::NETBSD_7_99_34_AMD64, &directory, &names);
    let corpus = built.map_err(anyhow::Error::from).and_then(|built| corpus::Corpus::read(&built.directory));
    std::fs::remove_dir_all(&directory)?;
    corpus
}
