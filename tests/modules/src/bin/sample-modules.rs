//! Compiles the sample modules for NetBSD 7.99.34 on amd64: `sample-modules DIR`.

use rumpload_test_modules::{Target, build};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: sample-modules DIR");
        return ExitCode::from(2);
    };
    match build(&Target::NETBSD_7_99_34_AMD64, directory) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample-modules: {error}");
            ExitCode::FAILURE
        }
    }
}
