//! Runs scenarios in kernels where one symbol makes no sense.

use crate::scenario::{self, Modules};
use rumpload_base::Symbol;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const TEST: &str = "every_symbol_has_a_test_that_fails_without_it";
/// The symbol, and the scenarios to run separated by spaces.
const VARIABLE: &str = "RUMPLOAD_SABOTAGE";
const MODULES: &str = "RUMPLOAD_SABOTAGE_MODULES";
const LATER_MODULES: &str = "RUMPLOAD_SABOTAGE_LATER_MODULES";
/// Seconds after which a scenario that hangs has failed.
const PATIENCE: u32 = 20;
/// Begins the line that a child writes before it starts a scenario.
const BEGINS: &str = "begins: ";
/// A child's last line if no scenario failed.
const UNNOTICED: &str = "nothing failed";

/// In a child: runs its scenarios and ends the program. Otherwise returns.
pub fn child() {
    let (Ok(work), Some(old), Some(new)) = (std::env::var(VARIABLE), std::env::var_os(MODULES), std::env::var_os(LATER_MODULES))
    else {
        return;
    };
    let modules = Modules { netbsd_7_99_34: old.into(), netbsd_10: new.into() };
    // SAFETY: no signal handler is installed for it: the program ends when the time is over.
    unsafe { libc::alarm(PATIENCE) };
    let (symbol, names) = work.split_once(' ').expect("a symbol and scenarios");
    let symbol: &'static str = Box::leak(symbol.to_owned().into_boxed_str());
    for name in names.split(' ') {
        println!("\n{BEGINS}{name}");
        std::io::stdout().flush().expect("somebody listens");
        if let Err(error) = scenario::run(name, &modules, Some(symbol)) {
            println!("{error}");
            std::process::exit(1);
        }
    }
    println!("{UNNOTICED}");
    std::process::exit(0);
}

/// By symbol, the scenario that fails without it.
pub fn proven(candidates: &[(Symbol, Vec<String>)]) -> BTreeMap<&'static str, String> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((symbol, scenarios)) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(failed) = failing(symbol.name, scenarios) {
                        found.lock().expect("nobody panics").insert(symbol.name, failed);
                    }
                }
            });
        }
    });
    found.into_inner().expect("nobody panics")
}

/// The first of `scenarios` that fails without `symbol`.
fn failing(symbol: &str, scenarios: &[String]) -> Option<String> {
    if scenarios.is_empty() {
        return None;
    }
    let modules = scenario::modules();
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
        .env(VARIABLE, format!("{symbol} {}", scenarios.join(" ")))
        .env(MODULES, modules.netbsd_7_99_34)
        .env(LATER_MODULES, modules.netbsd_10)
        .stderr(Stdio::null())
        .output()
        .expect("this program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    if text.lines().any(|line| line == UNNOTICED) {
        return None;
    }
    let last = text.lines().filter_map(|line| line.strip_prefix(BEGINS)).next_back();
    Some(last.unwrap_or_else(|| panic!("{symbol}: the child did not begin: {text}")).to_owned())
}
