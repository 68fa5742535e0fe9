//! What became of the mutants.

use crate::child::End;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Ok,
    Errno,
    /// The module left references behind.
    Left,
    /// Module code ended its instance by panic or fault.
    Ended,
    /// Module code runs for ever.
    Endless,
    /// Code of ours runs for ever.
    OursEndless,
    /// Code of ours crashed.
    Crash,
}

/// Counts by class, and the mutants of each distinct end.
#[derive(Default)]
pub struct Tally {
    counts: BTreeMap<Class, usize>,
    ends: BTreeMap<(Class, String), Vec<u64>>,
}

impl Tally {
    pub fn add(&mut self, index: u64, end: &End) {
        let (class, what) = classify(end);
        *self.counts.entry(class).or_default() += 1;
        if class >= Class::Left {
            self.ends.entry((class, what)).or_default().push(index);
        }
    }

    pub fn is_healthy(&self) -> bool {
        !self.counts.contains_key(&Class::Crash) && !self.counts.contains_key(&Class::OursEndless)
    }
}

fn classify(end: &End) -> (Class, String) {
    let text = end.text.trim();
    if let Some(signal) = end.signal {
        return (Class::Crash, format!("signal {signal}: {text}"));
    }
    let word = text.split(' ').next().unwrap_or_default();
    match word {
        "ok" => (Class::Ok, String::new()),
        "errno" => (Class::Errno, text.into()),
        "left" => (Class::Left, text.into()),
        // A panic of the server's own code ends the instance as well.
        "ended" if text.starts_with("ended panic: ") && text.contains(".rs:") => (Class::Crash, text.into()),
        "ended" => (Class::Ended, without_addresses(text.split(" (called from").next().unwrap_or_default())),
        // Where in the loop it was is chance; who called the loop is not.
        "runaway" if text.starts_with("runaway module") => (Class::Endless, text.rsplit(' ').next().unwrap_or_default().into()),
        "runaway" => (Class::OursEndless, text.into()),
        _ => (Class::Crash, text.into()),
    }
}

/// Numbers in hexadecimal that differ from run to run, cut out: what stays is the same for the same cause. Offsets in symbols
/// stay.
fn without_addresses(text: &str) -> String {
    let text = text.trim_start_matches("ended the instance has ended: ");
    let mut parts = text.split("0x");
    let mut kept = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(part.len());
        if kept.ends_with('+') {
            kept.push_str("0x");
            kept.push_str(part);
        } else {
            kept.push('…');
            kept.push_str(&part[digits..]);
        }
    }
    kept
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} mutants:", self.counts.values().sum::<usize>())?;
        for (class, count) in &self.counts {
            write!(f, " {count} {class:?}")?;
        }
        for ((class, what), mutants) in &self.ends {
            write!(f, "\n  {} × {class:?}: {} (mutant {})", mutants.len(), what.replace('\n', " | "), mutants[0])?;
        }
        Ok(())
    }
}
