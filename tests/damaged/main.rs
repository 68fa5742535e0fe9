//! Damaged images: whatever is wrong with one, its walk ends in an error number, or module code ends its own instance. Nothing
//! of ours crashes, panics or runs for ever.
//!
//! Each mutant of an image is walked and read in a process of its own, forked from one that has the module loaded. The seed is
//! fixed and nothing is timed: work is bounded by counts, and what runs away by processor time.
//!
//! Without stock modules it is our sample file system that is put to the test. `RUMPLOAD_STOCK=DIR` names a directory of
//! stock modules and `RUMPLOAD_IMAGES=DIR` one of images: `NAME.img` or `NAME.iso`, beside it `NAME.opts` with
//! `--type TYPE [-o OPTIONS]` as for `rumpload mount`. `RUMPLOAD_ONLY=PREFIX` picks images, `RUMPLOAD_MUTANTS=N` says how many
//! mutants of each, and `RUMPLOAD_MUTANT=INDEX` runs a single one here and now, for a debugger.

#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
#[path = "../support/forked.rs"]
mod forked;
#[cfg(target_arch = "x86_64")]
mod mutant;
#[cfg(target_arch = "x86_64")]
#[path = "../support/random.rs"]
mod random;
#[cfg(target_arch = "x86_64")]
mod runaway;
#[cfg(target_arch = "x86_64")]
mod subject;
#[cfg(target_arch = "x86_64")]
mod tally;
#[cfg(target_arch = "x86_64")]
mod walk;

#[cfg(not(target_arch = "x86_64"))]
fn main() {}

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    // As the standard harness: names that do not fit, and lists, are not for us.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = arguments.iter().filter(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--list")
        || names.clone().any(|name| !"damaged_images".contains(name.as_str()))
    {
        return std::process::ExitCode::SUCCESS;
    }
    let subjects = subject::all();
    let count = number("RUMPLOAD_MUTANTS").unwrap_or(if subject::stock().is_some() { 2000 } else { 3000 });
    let mut healthy = true;
    for subject in &subjects {
        let server = subject.server();
        let clean = child::learn(subject, &server);
        if let Some(index) = number("RUMPLOAD_MUTANT") {
            let mutant = mutant::Mutant::new(&clean, &subject.image, index);
            println!("{mutant:?}");
            println!("{}", walk::walk(subject, &server, &mutant));
            continue;
        }
        let mut tally = tally::Tally::default();
        for index in 0..count {
            let mutant = mutant::Mutant::new(&clean, &subject.image, index);
            tally.add(index, &child::run(&server, || walk::walk(subject, &server, &mutant)));
        }
        println!("{}: {tally}", subject.name);
        healthy &= tally.is_healthy();
    }
    if healthy { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}

#[cfg(target_arch = "x86_64")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
